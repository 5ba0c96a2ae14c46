"""What the tests in a browser share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

from echelon.http.testing import LiveServer

ROOT: Final = Path(__file__).resolve().parents[2]
Visit = Callable[..., AbstractAsyncContextManager[Page]]


def files_in(folder: str) -> dict[str, str]:
    """Return the files of a site that lies beside the tests."""
    root = Path(__file__).with_name(folder)
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in root.rglob("*")
        if path.is_file()
    }


@contextmanager
def serve_site(files: Mapping[str, str], folder: Path, home: Path, **env: Any) -> Iterator[str]:
    """Write an application's files, `main.py` among them, and serve it on a state of its own."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environ = {"ECHELON_HOME": str(home), "ECHELON_STATE": str(folder / "state"), **env}
    with LiveServer("main.py", cwd=folder, env=environ) as server:
        yield server.url
