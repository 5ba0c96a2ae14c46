"""What WASI keeps for one call of a component: its descriptors, and the files behind them."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from echelon.runtime.host import Call
from echelon.runtime.wasi_paths import Files
from echelon.runtime.wasi_table import FileBudget, Table

STATE: Final = "wasi:0.2"

MAX_CHUNK: Final = 64 << 10
"""Bytes of one read or write of a stream; a guest asks again for more."""

MAX_RANDOM: Final = 1 << 20


class WasiCall:
    """The WASI side of a call; closed with it."""

    def __init__(self, call: Call, budget: FileBudget, file_size: int) -> None:
        self.call, self.environment, self.file_size = call, call.environment, file_size
        self._budget = budget

    @cached_property
    def table(self) -> Table:
        return Table(self.call.permissions, self._budget)

    @cached_property
    def files(self) -> Files:
        return Files(self.table, self.call.permissions)

    def close(self) -> None:
        """Close every descriptor; closing twice does nothing."""
        table = self.__dict__.get("table")
        if table is not None:
            table.close()
