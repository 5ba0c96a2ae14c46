"""Programs written by hand, a rule of the language each: by CPython and compiled, the same value or exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from written_programs import PROGRAMS, rules

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.filterwarnings("ignore::SyntaxWarning")]

ENOUGH = 150
"""How many programs there are at the least."""


@pytest.fixture(scope="module")
def compiled(both: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what compiles the programs of a subject, once."""
    made: dict[str, Any] = {}

    async def make(subject: str) -> Any:
        if subject not in made:
            made[subject] = await both(PROGRAMS[subject])
        return made[subject]

    return make


@pytest.mark.parametrize(("subject", "rule"), rules(), ids=lambda name: name)
async def test_a_rule_holds(compiled: Callable[[str], Any], subject: str, rule: str) -> None:
    """A program returns what CPython returns, or raises what it raises, with the same words."""
    await (await compiled(subject)).same(rule)


async def test_there_are_enough() -> None:
    """No subject was lost, and no rule is there twice."""
    names = [name for _, name in rules()]
    assert len(names) == len(set(names)) >= ENOUGH
