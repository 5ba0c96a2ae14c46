from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Runtime
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.compilers.cpython.compiler import CPython
from echelon.plugin.compilers.wat import Wat
from echelon.plugin.generator import Generator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A running generator with the real compilers and an empty store, one for the tests of a file."""
    compilers = [Wat(), AssemblyScript(home=home)]
    async with Generator(compilers, tmp_path_factory.mktemp("artifacts") / "store") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cpython(cpython_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """A running runtime whose generator knows Python scripts alone, one for the tests of a file."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with (
        Generator([CPython(cpython_home)], store) as generator,
        Runtime(generator=generator) as running,
    ):
        yield running
