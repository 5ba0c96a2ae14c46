"""Applications with jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jobs_samples import MakeApp

from echelon import Application, Config


@pytest.fixture
def make(tmp_path: Path) -> MakeApp:
    """Make an application with a state of its own: the same one for each."""

    def build(**settings: Any) -> Application:
        config = Config(state=tmp_path / "state").replace({"telemetry.logs": "none", **settings})
        return Application(config=config)

    return build
