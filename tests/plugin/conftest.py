from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.plugin import toolchain
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.compilers.wat import Wat
from echelon.plugin.generator import Generator

SHARED_HOME = Path(__file__).resolve().parents[2] / ".echelon" / "home"


@pytest.fixture(scope="session")
def home() -> Path:
    """Echelon's own directory with the TypeScript toolchain in it, fetched once and kept between runs."""
    base = Path(os.environ["ECHELON_HOME"]) if "ECHELON_HOME" in os.environ else SHARED_HOME
    asyncio.run(toolchain.install("typescript", base=base))
    return base


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A running generator with the real compilers and an empty store, one for the tests of a file."""
    compilers = [Wat(), AssemblyScript(home=home)]
    async with Generator(compilers, tmp_path_factory.mktemp("artifacts") / "store") as running:
        yield running
