"""What the JavaScript engine imports: calls of its host script that are answered at once.

The host script calls `host(operation, size, extra)` with whole numbers. Texts and bytes lie in a mailbox, whose address
the engine was built with. What takes time, `fetch` and `kv`, does not come here: see script_questions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from echelon.errors import GuestError
from echelon.runtime.binary import Import
from echelon.runtime.host import Call, HostFunction

MODULE: Final = "env"
MAILBOX: Final = 65536
"""Bytes of the mailbox."""

PLACE: Final = "echelon.mailbox"
"""Where the state of a call holds the mailbox's address."""

_LOG, _ENV, _RANDOM = range(3)
_LEVELS: Final = ("debug", "info", "warning", "error")
_CELL: Final = 8


def _host_call(call: Call, _name: int, _length: int, _this: int, count: int, cells: int) -> int:
    """Answer the host script. Its result takes the place of its first argument, whose memory the engine then frees."""
    memory = call.guest_memory()
    if count != 3:
        raise GuestError("the script's engine called its host in a way that it does not know")
    places = [memory.read_u32(cells + 4 * number) for number in range(3)]
    operation, size, extra = (memory.read_u32(place) for place in places)
    answer = _answer(call, operation, min(size, MAILBOX), extra)
    memory.write(places[0], (answer & 0xFFFF_FFFF).to_bytes(4, "little") + bytes(_CELL - 4))
    memory.write_u32(cells, 0)
    return places[0]


def _answer(call: Call, operation: int, size: int, extra: int) -> int:
    memory, mailbox = call.guest_memory(), int(call.state.get(PLACE, 0))
    if operation == _RANDOM:
        memory.write(mailbox, call.environment.random(size))
        return size
    text = memory.read(mailbox, min(2 * size, MAILBOX)).decode("utf-16-le", "replace")
    if operation == _LOG:
        call.log(_LEVELS[extra % len(_LEVELS)], text)
        return 0
    if operation != _ENV:
        raise GuestError(f"the script's engine asked for {operation}, which its host does not know")
    value = call.environment.lookup(call.permissions, text)
    if value is None:
        return -1
    content = value.encode("utf-16-le", "replace")[:MAILBOX]
    memory.write(mailbox, content)
    return len(content) // 2


def _nothing(_call: Call, *_arguments: int) -> int:
    return 0


def _ignore(_call: Call, *_arguments: int) -> None:
    return


_FUNCTIONS: Final = {
    function.name: function
    for function in (
        HostFunction(MODULE, "host_call", ("u32",) * 5, ("i32",), _host_call),
        HostFunction(MODULE, "host_interrupt", (), ("i32",), _nothing, anywhere=True),
        HostFunction(MODULE, "host_module_normalize", ("u32",) * 2, ("i32",), _nothing, anywhere=True),
        HostFunction(MODULE, "host_module_load", ("u32",) * 2, ("i32",), _nothing, anywhere=True),
        HostFunction(MODULE, "host_get_timezone_offset", ("u32",) * 2, ("i32",), _nothing, anywhere=True),
        HostFunction(MODULE, "host_promise_rejection", ("u32",) * 3, (), _ignore, anywhere=True),
    )
}


class ScriptHost:
    """What engines of scripts import from `env`."""

    def find(self, wanted: Import) -> HostFunction | None:
        return _FUNCTIONS.get(wanted.name) if wanted.module == MODULE and wanted.kind == "func" else None

    def modules(self) -> Sequence[str]:
        return (MODULE,)
