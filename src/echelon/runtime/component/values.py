"""The Python values of WIT types that Python has no own type for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from echelon.errors import GuestError

if TYPE_CHECKING:
    from types import TracebackType

    from echelon.runtime.component.instance import ComponentInstance
    from echelon.runtime.component.types import ResourceType


@dataclass(frozen=True, slots=True)
class Variant:
    """One case of a variant, with its payload if the case has one."""

    case: str
    value: Any = None


@dataclass(frozen=True, slots=True)
class Ok:
    """The good outcome of a `result` that is not what a function returns, but a part of it."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Err:
    """The bad outcome of a `result` that is not what a function returns, but a part of it."""

    error: Any = None


@dataclass(frozen=True, slots=True)
class Some:
    """A present `option` inside another `option`, which a plain value could not tell from an absent one."""

    value: Any = None


class Resource:
    """A handle of a resource that lives in a guest; usable in its own instance only, while that is open.

    A borrowed handle ends with the call it was lent to. The engine offers no way to run the guest's destructor from
    outside: `close()` ends the use of the handle, what it stands for is freed with its instance.
    """

    __slots__ = ("_instance", "_moved", "owned", "pointer", "type")

    def __init__(self, type_: ResourceType, instance: ComponentInstance, pointer: Any, owned: bool) -> None:
        self.type, self._instance, self.pointer, self.owned = type_, instance, pointer, owned
        self._moved = ""

    def __repr__(self) -> str:
        return f"<Resource {self.type.name} {self._moved or 'open'}>"

    @property
    def closed(self) -> bool:
        """Whether the handle can no longer be used."""
        return bool(self._moved) or self._instance.context is None

    def require(self, instance: ComponentInstance) -> None:
        """Raise ValueError unless the handle can be given to this instance."""
        if self._instance is not instance:
            raise ValueError(f"this {self.type.name} belongs to another instance")
        if self.closed:
            raise ValueError(f"this {self.type.name} is {self._moved or 'closed with its instance'}")

    def give_away(self) -> None:
        """Note that a guest has taken the handle over."""
        self._moved = "given away"

    def close(self) -> None:
        """End the use of the handle. Closing twice is a no-op."""
        self._moved = self._moved or "closed"
        self.pointer = None

    def __enter__(self) -> Self:
        if self.closed:
            raise GuestError(f"this {self.type.name} is {self._moved or 'closed with its instance'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
