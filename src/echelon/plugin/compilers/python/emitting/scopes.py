"""What surrounds a statement while it is emitted: loops, and bodies of `try`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from echelon.plugin.compilers.python.tree import Stmt

FAIL: Final = "errors.fail"
"""The function of the library that raises."""


@dataclass(slots=True)
class Loop:
    """Where a loop ends and continues, as depths of labels."""

    ends: int
    continues: int


@dataclass(slots=True)
class Guard:
    """The body of a try: where its exceptions go, and what has to run on the way out."""

    handler: int | None
    final: list[Stmt]
    counted: bool
