"""A program that runs twice: by this Python, and compiled, in a module."""

from __future__ import annotations

import copy
import dataclasses
import sys
import types
from typing import Any

from echelon.errors import Trap
from echelon.runtime.module import Module


def outcome(raised: Exception) -> str:
    """Return an exception as a traceback ends with it, and as a trap says it."""
    text = str(raised)
    return f"{type(raised).__name__}: {text}" if text else type(raised).__name__


def plain(value: Any) -> Any:
    """Return a value as it crosses the boundary."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


class Both:
    """A program, by Python and compiled."""

    def __init__(self, source: str, module: Module) -> None:
        self.module = module
        self.python = types.ModuleType("program")
        sys.modules["program"] = self.python
        exec(compile(source, "program.py", "exec"), self.python.__dict__)

    def expected(self, function: str, *args: Any) -> Any:
        try:
            return plain(getattr(self.python, function)(*copy.deepcopy(args)))
        except Exception as exc:
            return outcome(exc)

    async def found(self, function: str, *args: Any) -> Any:
        try:
            return plain(await self.module.call(function, *args))
        except Trap as trap:
            return str(trap) if trap.code == "exception" else trap

    async def same(self, function: str, *args: Any) -> None:
        """Assert that both return the same, or raise the same."""
        expected = self.expected(function, *args)
        found = await self.found(function, *args)
        assert (type(found), repr(found)) == (type(expected), repr(expected)), (function, args)
