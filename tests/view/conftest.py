"""Sites of a few files, as a developer has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from echelon import Application, Config


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    """Write the files of a site and return its folder."""

    def write(contents: Mapping[str, str]) -> Path:
        for name, text in contents.items():
            path = tmp_path / "site" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "site"

    return write


@pytest.fixture
def make_app(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Application]:
    """Make an application with a state of its own."""
    monkeypatch.setenv("ECHELON_HOME", str(home))
    monkeypatch.setenv("ECHELON_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("ECHELON_TELEMETRY_LOGS", "none")
    monkeypatch.chdir(tmp_path)

    def make(*, debug: bool = False) -> Application:
        monkeypatch.setenv("ECHELON_DEBUG", str(debug).lower())
        return Application(config=Config.load())

    return make
