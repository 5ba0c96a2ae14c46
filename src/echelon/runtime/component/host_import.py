"""What stands behind one import of a component, and who can be asked for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class HostImport:
    """One function behind an import: `function(call, *values)`; `suspends` marks a coroutine function.

    One that may run `anywhere` is called on whatever thread the guest is on, every other one on the event loop's.
    """

    function: Callable[..., Any]
    suspends: bool = False
    anywhere: bool = False


class ImportProvider(Protocol):
    """A source of imports."""

    def find(self, interface: str, name: str) -> HostImport | None:
        """Return what stands behind a function of an interface; the interface is "" at the top level."""

    def has_resource(self, interface: str, name: str) -> bool:
        """Tell whether handles of this resource are the provider's Python objects."""

    def interfaces(self) -> Sequence[str]:
        """Return the names of what is offered, for messages."""
