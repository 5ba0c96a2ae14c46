"""Well-known small programs, with nothing but types added: the same results from CPython and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.programs import PROGRAMS, paths

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

WRITTEN = [name for name in PROGRAMS if "python" in paths(name)]


@pytest.mark.parametrize("name", WRITTEN)
async def test_a_program_computes_what_cpython_computes(both: Callable[[str], Any], name: str) -> None:
    """To the last bit; and what the programs of other languages compute, but for the order of additions."""
    program = PROGRAMS[name]
    pair = await both(paths(name)["python"].read_text(encoding="utf-8"))
    for size in (4, 7, program.small):
        await pair.same("run", size)
    assert pair.expected("run", program.small) == pytest.approx(program.expected, rel=1e-9)
