"""After every kind of attack, several times over, the process holds what it held before."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path

import pytest
from hostile_puppet import Puppet
from hostile_stage import Case, Footprint, Stage, resident
from test_hostile_bombs import COUNTS, MEMORY, STACK, TABLES
from test_hostile_bytes import MALFORMED, PROPOSALS
from test_hostile_files import close_everything, exhaust, granted, use_after_close, world  # noqa: F401 - a fixture
from test_hostile_hosts import FLOODS, SLEEPS, STARTS
from test_hostile_loops import CASES as LOOPS
from test_hostile_signatures import FORGED, RESULTS, SHAPES

from echelon.errors import EchelonError
from echelon.runtime.limits import MIB

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLACK = 24 * MIB
"""What the allocator may keep between two rounds; one leaked instance of each attack would be several times that."""

ATTACKS: tuple[Case, ...] = (
    *LOOPS[::4], *MEMORY, *TABLES, *COUNTS[:6], *STACK[:4], *FORGED, *RESULTS, *SHAPES, *FLOODS, *STARTS, *SLEEPS[::5],
    *MALFORMED[::3], *PROPOSALS[::3],
)  # fmt: skip


async def attack_once(stage: Stage, top: Path) -> None:
    for case in ATTACKS:
        with contextlib.suppress(EchelonError, TypeError, ValueError):
            await stage.attempt(case)
    for abuse in (exhaust, use_after_close, close_everything):
        async with Puppet.on(stage, granted(top)) as puppet:
            with contextlib.suppress(EchelonError):
                await abuse(puppet)
    assert await stage.runtime.drained(), "an instance is left"


@pytest.mark.slow
async def test_nothing_grows(stage: Stage, world: Path) -> None:  # noqa: F811 - it is the fixture
    """Rounds of a hundred attacks leave no instance, thread, descriptor, module or memory behind."""
    for _ in range(2):
        await attack_once(stage, world)
    gc.collect()
    before, memory, modules = Footprint.take(), resident(), stage.runtime.modules
    for _ in range(4):
        await attack_once(stage, world)
    gc.collect()
    assert Footprint.take() == before
    assert stage.runtime.modules == modules
    assert stage.runtime.idle()
    assert resident() < memory + SLACK
