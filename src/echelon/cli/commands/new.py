"""`echelon new`: a small project that runs."""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path
from string import Template
from typing import Final

from echelon.cli.parser import Arguments, Command, Usage
from echelon.cli.status import OK
from echelon.cli.terminal import Terminal

FILES: Final = {
    "main.py.txt": "main.py",
    "greet.ts.txt": "guests/greet.ts",
    "echelon.toml.txt": "echelon.toml",
    "test_main.py.txt": "tests/test_main.py",
    "pytest.ini.txt": "pytest.ini",
    "README.md.txt": "README.md",
    "gitignore.txt": ".gitignore",
}
"""Where each file of the template goes."""
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    folder = Path(arguments.name)
    name = folder.resolve().name
    if not _NAME.fullmatch(name):
        raise Usage(f'{name!r} cannot be a project\'s name; use letters, digits, "-", "_" and "."')
    _check_place(folder)
    template = importlib.resources.files("echelon.cli") / "template"
    for source, place in FILES.items():
        text = Template((template / source).read_text("utf-8")).substitute(name=name)
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    terminal.result(str(folder))
    _say_what_next(folder, terminal)
    return OK


def _check_place(folder: Path) -> None:
    """Raise Usage where a project would overwrite something."""
    if folder.is_dir() and any(folder.iterdir()):
        raise Usage(f"{folder} is not empty; choose another name")
    if folder.exists() and not folder.is_dir():
        raise Usage(f"{folder} is a file; choose another name")
    if not folder.parent.is_dir():
        raise Usage(f"there is no folder {folder.parent}")


def _say_what_next(folder: Path, terminal: Terminal) -> None:
    from echelon.plugin import toolchain

    steps = [f"cd {folder}", "echelon run --reload", "curl http://127.0.0.1:8000/greet/Ada"]
    if not toolchain.TYPESCRIPT.installed():
        steps.insert(1, toolchain.TYPESCRIPT.command)
    terminal.note("Next:")
    for step in steps:
        terminal.note(f"  {step}")
