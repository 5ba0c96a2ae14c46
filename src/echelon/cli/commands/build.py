"""`echelon build`: source in, module out; or an application, with all that it compiles written ahead."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Final

from echelon.cli import source, worlds
from echelon.cli.parser import Arguments, Command, Usage
from echelon.cli.status import FAILED, OK
from echelon.cli.target import environment, find_target
from echelon.cli.terminal import Terminal, is_terminal
from echelon.config import Config
from echelon.errors import InvalidModule
from echelon.http.loading import load_app, split_target
from echelon.plugin.artifacts import Artifact
from echelon.plugin.interface import pyi
from echelon.runtime import binary

STANDARD_OUTPUT: Final = "-"
_WORDS: Final = re.compile(r"\W")


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    if _is_application(arguments.src):
        return _build_application(command, arguments, terminal)
    if arguments.config:
        raise Usage("--config is for applications; a source file needs none")
    path = source.existing_file(arguments.src)
    out = _target(path, arguments.output, terminal)
    if arguments.stub and out is None:
        raise Usage("--stub writes a file beside the module, so the module needs one: write -o FILE")
    how = _how(arguments)
    try:
        artifact = asyncio.run(source.read(path, terminal, how))
        binary.parse(artifact.wasm)
        types = asyncio.run(_types(path, artifact)) if arguments.stub else ""
    except source.CompileFailed as exc:
        return exc.status
    except InvalidModule as exc:
        terminal.error(f"{path}: {exc}")
        return FAILED
    took = "was compiled before" if artifact.cached else f"compiled in {artifact.compile_ms:.0f} ms"
    terminal.note(
        terminal.paint(f"{artifact.language}, {len(artifact.wasm)} bytes, {artifact.digest}, {took}", "dim")
    )
    if out is None:
        terminal.raw(artifact.wasm)
    else:
        _write(out, artifact.wasm)
        terminal.result(str(out))
        if types:
            beside = out.with_name(f"{_WORDS.sub('_', out.stem)}.pyi")
            _write(beside, types.encode())
            terminal.result(str(beside))
    return OK


async def _types(path: Path, artifact: Artifact) -> str:
    found = await worlds.read(path, artifact)
    return pyi.text(found, worlds.comment(path, artifact)) + "\n"


def _is_application(src: str | None) -> bool:
    return src is None or (not Path(src).exists() and split_target(src)[1] is not None)


def _build_application(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    for option in command.options:
        if option.name != "config" and getattr(arguments, option.name):
            raise Usage(f"{option.flags[-1]} is for a source file; name one: echelon build SRC")
    from echelon.app import Application  # a source file needs none of it

    target = find_target(arguments.src, "echelon build {}:app")
    config = Config.load(arguments.config)
    os.environ.update(environment(config, arguments.config))
    app = load_app(target)
    if not isinstance(app, Application):
        raise Usage(f"{target} is not an Application of Echelon, so there is nothing to build")
    began = time.perf_counter()
    built = asyncio.run(app.build())
    took = (time.perf_counter() - began) * 1000
    what = f"{_count(built.pages, 'page')}, {_count(built.modules, 'module')}, built in {took:.0f} ms"
    terminal.note(terminal.paint(what, "dim"))
    terminal.result(str(built.folder))
    return OK


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _how(arguments: Arguments) -> source.How:
    """Return what the options ask for; raises Usage for those that contradict each other."""
    if arguments.names and arguments.no_names:
        raise Usage("--names and --no-names contradict each other; write one of them")
    options: dict[str, str] = {}
    for item in arguments.option:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise Usage(f"--option {item}: write NAME=VALUE")
        if name in options:
            raise Usage(f"--option {name} was given twice")
        options[name] = value
    names = True if arguments.names else False if arguments.no_names else None
    return source.How(arguments.language, arguments.optimize or "none", names, arguments.debug, options)


def _target(path: Path, output: str | None, terminal: Terminal) -> Path | None:
    """Return where the module goes, None for standard output; raises Usage where it cannot go."""
    if output == STANDARD_OUTPUT:
        if is_terminal(terminal.out):
            raise Usage("a module is not text for a terminal: write -o FILE, or send the output elsewhere")
        return None
    out = Path(output) if output else path.with_suffix(".wasm")
    if out.is_dir():
        out = out / path.with_suffix(".wasm").name
    if out.exists() and out.samefile(path):
        raise Usage(f"{out} is the source itself; write -o OUT.wasm")
    if not out.parent.is_dir():
        raise Usage(f"there is no folder {out.parent} to write {out.name} to")
    return out


def _write(out: Path, wasm: bytes) -> None:
    """Replace the file at once: whoever reads it sees the old module or the new one, never a part."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(wasm)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, out)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
