"""Programs run twice: by this Python, and compiled, in a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from twice import Both

from echelon.plugin.compilers.python.compiler import translate
from echelon.runtime import binary, lines, signature
from echelon.runtime.core import Runtime


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime() -> AsyncIterator[Runtime]:
    async with Runtime() as running:
        yield running


@pytest.fixture(scope="module")
def both(runtime: Runtime) -> Callable[[str], Any]:
    """Return what compiles a program."""

    async def make(source: str) -> Both:
        made = translate(source, "program.py")
        assert made.wasm is not None, made.diagnostics
        assert made.signature is not None
        data = binary.add_custom_section(made.wasm, signature.SECTION, signature.encode(made.signature))
        data = binary.add_custom_section(data, lines.SECTION, made.lines or b"")
        return Both(source, await runtime.load(data))

    return make
