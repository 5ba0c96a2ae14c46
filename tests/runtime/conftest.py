"""A runtime for each test, with a native-code cache that the session shares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from echelon.runtime import native
from echelon.runtime.core import Runtime, RuntimeSettings


@pytest.fixture(scope="session")
def code_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("native")


@pytest.fixture
async def runtime(code_directory: Path) -> AsyncIterator[Runtime]:
    """A small runtime; fails the test that leaves an instance, a native thread or a slot behind."""
    settings = RuntimeSettings(instances=16, queue=100, threads=2, cache=code_directory)
    async with Runtime(settings) as runtime:
        yield runtime
        await runtime.drained()
        assert runtime.idle(), "a call left its instance or slot behind"


@pytest.fixture
def wat() -> Callable[[str], bytes]:
    """Assemble WebAssembly text."""
    return native.load().wat2wasm
