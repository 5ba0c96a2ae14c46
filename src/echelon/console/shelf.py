"""The modules that are loaded in this process: the last used ones, within bounds of number and size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from echelon.runtime.module import Module

MAX_MODULES: Final = 256
MAX_BYTES: Final = 64 << 20
"""Bytes of WebAssembly; the native code is several times that."""


@dataclass(slots=True)
class _Slot:
    module: Module
    size: int
    borrowers: int = 0
    kept: bool = True


class Shelf:
    """Loaded modules by key, the least recently used closed first, but none while somebody has it."""

    def __init__(self, modules: int = MAX_MODULES, size: int = MAX_BYTES) -> None:
        self._modules = modules
        self._size = size
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._slots)

    @asynccontextmanager
    async def borrow(self, key: Hashable, load: Callable[[], Awaitable[Module]]) -> AsyncIterator[Module]:
        """Give the module under `key`, loaded if it is not here; it stays open until it is given back."""
        slot = self._slots.get(key)
        if slot is None:
            slot = self._place(key, await load())
        else:
            self._slots.move_to_end(key)
        slot.borrowers += 1
        try:
            yield slot.module
        finally:
            slot.borrowers -= 1
            if not slot.kept and not slot.borrowers:
                slot.module.close()

    def close(self) -> None:
        """Close every module; one that is borrowed when it is given back. Closing twice is a no-op."""
        while self._slots:
            self._drop()

    def _place(self, key: Hashable, module: Module) -> _Slot:
        other = self._slots.get(key)
        if other is not None:  # loaded by somebody else meanwhile
            module.close()
            return other
        slot = self._slots[key] = _Slot(module, module.size)
        self._bytes += slot.size
        while len(self._slots) > 1 and (len(self._slots) > self._modules or self._bytes > self._size):
            self._drop()
        return slot

    def _drop(self) -> None:
        _, slot = self._slots.popitem(last=False)
        self._bytes -= slot.size
        slot.kept = False
        if not slot.borrowers:
            slot.module.close()
