"""The ten programs of the benchmarks give the same number in every language."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from benchmarks.programs import HERE, PROGRAMS, paths
from echelon import Limits
from echelon.plugin.generator import Generator
from echelon.plugin.languages import compilers
from echelon.runtime.core import Runtime

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

FIXTURES = {"c": "c_home", "zig": "c_home", "rust": "rust_home", "go": "go_home"}
FOLDERS = sorted(path.name for path in HERE.iterdir() if path.is_dir() and not path.name.startswith("_"))


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest, home: object, toolchains: None) -> str:
    """The folder of a language whose compiler is here."""
    name: str = request.param
    if name in FIXTURES:
        request.getfixturevalue(FIXTURES[name])
    return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(folder: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """A runtime with a generator of every language."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with Generator(compilers(), store) as generator, Runtime(generator=generator) as running:
        yield running


async def test_every_program_gives_the_same(runtime: Runtime, folder: str) -> None:
    """Each folder has all ten, and each gives the number of the table."""
    generator = await runtime.generator()
    for name, program in PROGRAMS.items():
        for options in [{}, {"semantics": "javascript"}] if folder == "typescript" else [{}]:
            made = await generator.compile(paths(name)[folder], language=folder, options=options)
            module = await runtime.load(made.wasm, limits=Limits(time="20s", memory="256MiB"))
            value = await module.call("run", program.small)
            assert math.isclose(value, program.expected, rel_tol=1e-9), (name, value)
            module.close()
