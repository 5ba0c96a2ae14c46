"""What every folder of tests shares."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from echelon.plugin import toolchain


@pytest.fixture(scope="session")
def home() -> Path:
    """Echelon's own directory with the TypeScript toolchain in it, fetched once and kept between runs."""
    kept = Path(__file__).resolve().parents[1] / ".echelon" / "home"
    base = Path(os.environ["ECHELON_HOME"]) if "ECHELON_HOME" in os.environ else kept
    asyncio.run(toolchain.install("typescript", base=base))
    return base
