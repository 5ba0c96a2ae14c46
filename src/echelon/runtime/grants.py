"""Permissions that change while a module runs: granted, taken back, or asked for.

grants = module.grants
grants.query("net", "api.example.com")        # granted, prompt or denied
grants.request("net", "api.example.com")      # asks, where there is somebody to ask
grants.revoke("net", "api.example.com")       # takes it back, from the calls that run now, too
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter
from typing import Any

from echelon.errors import ConfigError
from echelon.runtime.permission_rules import WHOLE_DISK, Host, KeyPrefix, Name, PathPrefix, Pattern, typed
from echelon.runtime.permissions import KINDS, PARSERS, GrantState, Overlay, Permissions, Rule, Use


class Answer(StrEnum):
    """What somebody said: to this one thing, to everything of its kind for as long as this lasts, or no."""

    YES = "yes"
    ALWAYS = "always"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: may `module` use a permission on `target`? Both texts may come from the guest."""

    module: str
    permission: str
    target: str


Ask = Callable[[Question], Answer]
"""Asks somebody and waits for the answer, on whatever thread the guest is: for a terminal, not for a server."""


@dataclass(frozen=True, slots=True)
class _Decision:
    """What was decided since the start; `pattern` None stands for everything of its kind."""

    kind: str
    pattern: Pattern | None
    state: GrantState

    def covers(self, kind: str, target: Any, *, named: bool) -> bool:
        if kind != self.kind:
            return False
        if self.state is not GrantState.GRANTED:
            return self.pattern is None or self.pattern.covers(target)
        if self.pattern is None:
            return not named and (kind not in ("read", "write") or WHOLE_DISK.grants(target))
        return self.pattern.grants(target)


class Grants:
    """The permissions of one module as they stand. The newest decision wins; a denial (`deny`) stands above all.

    `permissions` are what calls are made under. Environment variables and clocks of a call are those of its start.
    """

    def __init__(
        self,
        base: Permissions,
        *,
        module: str = "",
        ask: Ask | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.ask_somebody = ask
        """Asks whether what is not granted may be used; None refuses it."""
        self.permissions = base.overlaid(self)
        self._base, self._module, self._on_change = base, module, on_change
        self._decisions: tuple[_Decision, ...] = ()
        self._turn = threading.Lock()

    # Asking for and changing them --------------------------------------------------------------------------

    def query(self, permission: str, item: object = None) -> GrantState:
        """Return how an item stands, written as in Permissions; None stands for everything of its kind.

        Something is granted when all of it is. Raises ConfigError for what is no permission or no item of it.
        """
        pattern = _parse(permission, item)
        deny = None if self._base.deny is None else self._base.deny.rule(permission)
        if _holds_all(deny, pattern):
            return GrantState.DENIED
        for decision in reversed(self._decisions):
            if decision.kind != permission:
                continue
            if decision.state is GrantState.GRANTED:
                rule: Rule = True if decision.pattern is None else (decision.pattern,)
                if _holds_all(rule, pattern):
                    return GrantState.GRANTED
            elif decision.pattern is None or pattern is None or decision.pattern.meet(pattern) is not None:
                return self._not_granted(decision.state)
        if _holds_all(self._base.rule(permission), pattern):
            return GrantState.GRANTED
        return self._not_granted(GrantState.PROMPT)

    def request(self, permission: str, item: object = None) -> GrantState:
        """Return how an item stands, after asking somebody if that is how it stands."""
        state = self.query(permission, item)
        if state is not GrantState.PROMPT or self.ask_somebody is None:
            return state
        pattern = _parse(permission, item)
        with self._turn:
            answer = self.ask_somebody(
                Question(self._module, permission, "everything" if item is None else _shown(item))
            )
        self._note(permission, pattern, answer)
        return self.query(permission, item)

    def grant(self, permission: str, item: object = None) -> None:
        """Grant an item, or everything of a kind, from now on; a denial stays one."""
        self._decide(permission, _parse(permission, item), GrantState.GRANTED)

    def revoke(self, permission: str, item: object = None) -> GrantState:
        """Take an item back, or everything of a kind; return how it stands then: prompt, or denied."""
        self._decide(permission, _parse(permission, item), GrantState.PROMPT)
        return self.query(permission, item)

    def _not_granted(self, state: GrantState) -> GrantState:
        return GrantState.DENIED if self.ask_somebody is None else state

    def _note(self, kind: str, pattern: Pattern | None, answer: Answer) -> None:
        if answer is Answer.ALWAYS:
            self._decide(kind, None, GrantState.GRANTED)
        # "Everything" does not cover inner addresses and the like: what was asked for is granted by its name, too.
        granted = answer in (Answer.YES, Answer.ALWAYS)
        self._decide(kind, pattern, GrantState.GRANTED if granted else GrantState.DENIED)

    def _decide(self, kind: str, pattern: Pattern | None, state: GrantState) -> None:
        # Taking back everything of a kind ends what was decided before; granting it does not cover all of that.
        ends_all = pattern is None and state is not GrantState.GRANTED
        older = [
            decision
            for decision in self._decisions
            if decision.kind != kind or not (ends_all or decision.pattern == pattern)
        ]
        # A new tuple each time: guests on other threads may be reading the old one.
        self._decisions = (*older, _Decision(kind, pattern, state))
        self._on_change()

    # As an Overlay of the permissions ----------------------------------------------------------------------

    def decide(self, kind: str, target: Any, *, named: bool) -> GrantState | None:
        """Return what the newest decision about `target` is, None when there is none."""
        for decision in reversed(self._decisions):
            if decision.covers(kind, target, named=named):
                return decision.state
        return None

    def ask(self, kind: str, target: Any, use: Use, *, named: bool) -> bool:
        """Ask somebody about a use that is not granted; one question at a time."""
        if self.ask_somebody is None:
            return False
        pattern = _pattern_of(kind, target)
        if pattern is None:
            return False
        with self._turn:
            state = self.decide(
                kind, target, named=named
            )  # which may have been answered while this question waited
            if state is GrantState.GRANTED or state is GrantState.DENIED:
                return state is GrantState.GRANTED
            answer = self.ask_somebody(Question(self._module, kind, use.target))
        self._note(kind, pattern, answer)
        return answer is not Answer.NO

    def paths(self, kind: str) -> Sequence[PathPrefix]:
        """Return the paths that were granted since the start."""
        found: list[PathPrefix] = []
        for decision in self._decisions:
            if decision.kind == kind and decision.state is GrantState.GRANTED:
                found.append(decision.pattern if isinstance(decision.pattern, PathPrefix) else WHOLE_DISK)
        return found

    def during(self, forgive: Callable[[float], None]) -> Overlay:
        """Return the same for one call."""
        return _During(self, forgive)


@dataclass(frozen=True, slots=True)
class _During:
    """The grants as one call sees them: the time of an answer is not the call's."""

    grants: Grants
    forgive: Callable[[float], None]

    def decide(self, kind: str, target: Any, *, named: bool) -> GrantState | None:
        return self.grants.decide(kind, target, named=named)

    def ask(self, kind: str, target: Any, use: Use, *, named: bool) -> bool:
        began = perf_counter()
        try:
            return self.grants.ask(kind, target, use, named=named)
        finally:
            self.forgive(perf_counter() - began)

    def paths(self, kind: str) -> Sequence[PathPrefix]:
        return self.grants.paths(kind)

    def during(self, forgive: Callable[[float], None]) -> Overlay:
        return _During(self.grants, forgive)


def _parse(permission: str, item: object) -> Pattern | None:
    if permission not in KINDS:
        raise ConfigError(
            f'there is no permission "{permission}"; there are {", ".join(KINDS)}', key=permission
        )
    return None if item is None else PARSERS[permission](item)


def _holds_all(rule: Rule, pattern: Pattern | None) -> bool:
    """Tell whether all of a pattern falls under a rule."""
    if rule is None or pattern is None:
        return rule is True
    if rule is True:
        return not isinstance(pattern, PathPrefix) or WHOLE_DISK.meet(pattern) == pattern
    return any(one.meet(pattern) == pattern for one in rule)


def _pattern_of(kind: str, target: Any) -> Pattern | None:
    """Return the pattern for exactly what a guest asks for, None when there is none."""
    if kind in ("net", "import"):
        return Host(target[0], target[1])
    if kind in ("read", "write"):
        return PathPrefix.parse(kind, target)
    if kind == "kv":
        return KeyPrefix(typed(target))
    return None if "*" in target or not target else Name(target)  # a star would grant more than was shown


def _shown(item: object) -> str:
    return "/".join(map(str, item)) if isinstance(item, list | tuple) else str(item)
