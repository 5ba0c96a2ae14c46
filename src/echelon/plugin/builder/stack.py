"""What lies on the stack at every point of a function, checked while it is written.

Source: WebAssembly core specification 2.0, appendix A.3 (validation algorithm). None stands for a value whose type is
not known because the code is never reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NoReturn

from echelon.errors import BuildError

MAX_DEPTH: Final = 500
"""Blocks in each other; compilers recurse over them."""

Kind = str | None


class Label:
    """A block, loop, if or function, as the target of branches inside it."""

    __slots__ = ("height", "kind", "params", "place", "reached", "results")

    def __init__(
        self, kind: str, place: int, height: int, params: tuple[str, ...], results: tuple[str, ...]
    ) -> None:
        self.kind = kind
        self.place = place
        self.height = height
        self.params = params
        self.results = results
        self.reached = True

    @property
    def carried(self) -> tuple[str, ...]:
        """What a branch to it carries: to the begin of a loop, to the end of everything else."""
        return self.params if self.kind == "loop" else self.results


class Stack:
    """The operands and the open blocks of one function, which `name` names in errors."""

    __slots__ = ("kinds", "labels", "name", "refused")

    def __init__(self, name: str, results: tuple[str, ...]) -> None:
        self.name = name
        self.refused: str | None = None
        """The first thing that was refused; what is known of the stack since then may be wrong."""
        self.kinds: list[Kind] = []
        self.labels = [Label("function", 0, 0, (), results)]

    def fail(self, message: str) -> NoReturn:
        """Raise BuildError that names the function."""
        self.refused = self.refused or message
        raise BuildError(f"in {self.name}: {message}")

    def require_open(self, what: str) -> Label:
        """Return the innermost block; raises BuildError when the function has ended."""
        if not self.labels:
            self.fail(f"{what} stands behind the function's end")
        return self.labels[-1]

    def apply(self, what: str, params: tuple[str, ...], results: tuple[str, ...]) -> None:
        """Take what an instruction takes, and put what it leaves."""
        if params:
            kinds = self.kinds
            start = len(kinds) - len(params)
            if not self.labels or start < self.labels[-1].height or tuple(kinds[start:]) != params:
                self.take(what, params)
            else:
                del kinds[start:]
        elif not self.labels:
            self.require_open(what)
        self.kinds += results

    def take(self, what: str, wanted: Sequence[str]) -> list[Kind]:
        """Take values of these types, the last from the top; returns what was there. Raises BuildError."""
        label = self.require_open(what)
        there = self.kinds[max(label.height, len(self.kinds) - len(wanted)) :]
        missing = len(wanted) - len(there)
        fits = all(kind in (None, want) for kind, want in zip(there, wanted[missing:], strict=True))
        if not fits or (missing and label.reached):
            self.fail(f"{what} takes {shown(wanted)}; on the stack there is {shown(there)}")
        del self.kinds[len(self.kinds) - len(there) :]
        return [None] * missing + there

    def take_any(self, what: str) -> Kind:
        """Take a value of any type; raises BuildError when there is none."""
        label = self.require_open(what)
        if len(self.kinds) > label.height:
            return self.kinds.pop()
        if label.reached:
            self.fail(f"{what} takes a value; there is none on the stack")
        return None

    def enter(self, kind: str, params: tuple[str, ...], results: tuple[str, ...]) -> Label:
        """Begin a block; raises BuildError when it is one too many, or its parameters are not there."""
        if len(self.labels) > MAX_DEPTH:
            self.fail(f"more than {MAX_DEPTH} blocks stand in each other")
        self.take(kind, params)
        label = Label(kind, len(self.labels), len(self.kinds), params, results)
        self.labels.append(label)
        self.kinds += params
        return label

    def leave(self, what: str) -> Label:
        """End the innermost block; raises BuildError unless its results are there and nothing else."""
        label = self.require_open(what)
        self.take(f"the end of the {label.kind}", label.results)
        if len(self.kinds) != label.height:
            left = shown(self.kinds[label.height :])
            self.fail(f"at the end of the {label.kind} {left} is left over on the stack; drop it")
        if label.kind == "if" and label.params != label.results:
            self.fail(
                f"an if that leaves {shown(label.results)} and took {shown(label.params)} needs an else"
            )
        self.labels.pop()
        self.kinds += label.results
        return label

    def turn(self) -> None:
        """Go from an if to its else."""
        label = self.require_open("else")
        if label.kind != "if":
            self.fail(f"else stands in a {label.kind}, not in an if")
        self.take("the end of the if", label.results)
        if len(self.kinds) != label.height:
            self.fail(f"before else {shown(self.kinds[label.height :])} is left over on the stack; drop it")
        label.kind, label.reached = "else", True
        self.kinds += label.params

    def stop(self) -> None:
        """Note that what follows in this block is never reached."""
        label = self.require_open("an instruction")
        del self.kinds[label.height :]
        label.reached = False

    def depth(self, label: Label, what: str) -> int:
        """Return how far outside a label is; raises BuildError when it is not around here."""
        if label.place >= len(self.labels) or self.labels[label.place] is not label:
            self.fail(f"{what} goes to a block that is not around it")
        return len(self.labels) - 1 - label.place


def shown(kinds: Sequence[Kind]) -> str:
    """Return types as messages write them."""
    return " ".join(kind or "anything" for kind in kinds) if kinds else "nothing"
