"""What a job is made of: a function, and where each of its parameters comes from."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from echelon.errors import RouteError
from echelon.http.markers import BLOCKING
from echelon.http.parameters import Parameter, inspect_handler
from echelon.types import Handler

Fill = Callable[[Any], Any]
"""Makes a parameter out of what is known of one run."""

_ABSENT: Final = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message to a queue handler that asks for it by this type.

    `attempt` is 1 for the first delivery; `due` is when the message was to be handled, in UTC.
    """

    queue: str
    attempt: int
    due: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """A function with a plan for its parameters; `message` names the one that gets the message."""

    handler: Handler
    fills: tuple[tuple[str, Fill], ...]
    message: Parameter | None
    timeout: float | None
    in_thread: bool = field(default=False)

    async def run(self, context: Any, message: Any = None) -> None:
        """Call the function; raises whatever it raises, and TimeoutError when it takes too long."""
        values = {name: fill(context) for name, fill in self.fills}
        if self.message is not None:
            values[self.message.name] = message
        async with asyncio.timeout(self.timeout):
            if self.in_thread:
                await asyncio.to_thread(self.handler, **values)
            else:
                result = self.handler(**values)
                if inspect.isawaitable(result):
                    await result


def plan(
    handler: Handler,
    what: str,
    known: Mapping[type, Fill],
    *,
    takes_message: bool,
    timeout: timedelta | None,
) -> Call:
    """Decide where each parameter of a job comes from; raises RouteError, which begins with `what` it is."""
    if timeout is not None and not (isinstance(timeout, timedelta) and timeout > timedelta(0)):
        raise RouteError(f"{what}: timeout is a positive timedelta, got {timeout!r:.60}")
    subject = inspect_handler(handler, what, (), {})
    fills: list[tuple[str, Fill]] = []
    others: list[Parameter] = []
    for parameter in subject.parameters:
        fill = known.get(parameter.type) if inspect.isclass(parameter.type) else None
        if fill is not None:
            fills.append((parameter.name, fill))
        elif parameter.default is _ABSENT or (takes_message and not others):
            others.append(parameter)
    if len(others) > takes_message:
        names = ", ".join(sorted(kind.__name__ for kind in known))
        gets = f"the message and components ({names})" if takes_message else f"components ({names})"
        raise subject.refuse(others[-1].name, f"cannot be filled: a job gets {gets}")
    if takes_message and not others:
        raise RouteError(f"{what}: {subject.name}() has no parameter for the message")
    message = others[0] if others else None
    seconds = None if timeout is None else timeout.total_seconds()
    return Call(handler, tuple(fills), message, seconds, bool(getattr(handler, BLOCKING, False)))
