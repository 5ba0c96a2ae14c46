"""What a component sees of a trace: a span, which usually does nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

Attribute = str | int | float | bool


class Span(Protocol):
    """A piece of work with a beginning and an end; use it as a context manager, within one task.

    An exception that leaves the `with` is recorded by itself.
    """

    def set(self, **attributes: Attribute) -> None:
        """Add attributes; never a value, a key or a body of the user's."""

    def fail(self, error: BaseException) -> None:
        """Mark the span as failed because of an error that does not leave it."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class NoSpan:
    """The span of everything while tracing is off."""

    __slots__ = ()

    def set(self, **attributes: Attribute) -> None:
        return None

    def fail(self, error: BaseException) -> None:
        return None

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


NO_SPAN = NoSpan()
