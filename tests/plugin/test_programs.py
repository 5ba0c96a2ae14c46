"""The ten small programs of the benchmarks compute the same in every language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from benchmarks.programs import HERE, PROGRAMS, paths
from echelon.plugin.compilers.c import compilers as c
from echelon.plugin.generator import Generator
from echelon.runtime.core import Runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

LANGUAGES = {"c": "c"}
"""Folders whose programs are run here, and what the generator calls their language."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(c_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """A runtime that compiles what it is given."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with Generator(c.make(c_home), store) as generator, Runtime(generator=generator) as running:
        yield running


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program_computes_the_same(runtime: Runtime, name: str, language: str) -> None:
    """Numbers are equal to the last digits that the order of additions can change."""
    program = PROGRAMS[name]
    module = await runtime.load(paths(name)[language], language=LANGUAGES[language])
    assert await module.call("run", program.small) == pytest.approx(program.expected, rel=1e-9)


async def test_no_program_is_forgotten() -> None:
    """A folder that is run here has all of them, and no file is without a name in the table."""
    for language in LANGUAGES:
        assert {path.stem for path in (HERE / language).iterdir()} == set(PROGRAMS)
