"""The key-value store for guests: the functions `kv_*` of the namespace `echelon` (see docs/abi.md).

    kv_get(key, length) -> i32                                             an entry, -1 when there is none
    kv_set(key, length, kind, value, size, expire_in: i64) -> i32          its versionstamp
    kv_delete(key, length)
    kv_list(request, length) -> i32                                        entries, and where to go on
    kv_atomic(request, length) -> i32                                      the versionstamp, -1 when a check failed

    key    = count part*         part  = 1 content | 2 text | 3 i64 | 4 f64 | 5 bool | 6 text (a larger whole number)
    value  = kind content        kind  = 0 bytes | 1 text | 2 JSON | 3 u64, 8 bytes
    entry  = versionstamp value  (texts)

Every key must be granted. A list leaves out what is denied below a granted prefix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.errors import GuestError, HostError, KvError
from echelon.runtime.binary import Import
from echelon.runtime.frames import Reader, Writer
from echelon.runtime.guest_kit import MODULE, keep
from echelon.runtime.host import Call, HostFunction

if TYPE_CHECKING:
    from echelon.kv import Atomic, Entry, Key, Kv

MAX_LIST_BYTES: Final = 1 << 20
"""A list ends after the entry with which it reaches this size."""

MAX_LIST_ENTRIES: Final = 1000
_MAX_BUFFER: Final = 1 << 20
"""Bytes of a key or request: more than the largest commit has."""

_MAX_PARTS: Final = 2048
_MAX_EXPIRY: Final = 1 << 50
"""Milliseconds: 35 000 years."""

BYTES, TEXT, JSON, NUMBER = range(4)
_PART_BYTES, _PART_TEXT, _PART_INT, _PART_FLOAT, _PART_BOOL, _PART_LARGE = range(1, 7)
_SET, _DELETE, _SUM, _MIN, _MAX = range(1, 6)
_REVERSE: Final = 1
_encoder = msgspec.json.Encoder(
    enc_hook=int
)  # a U64 inside a value; whatever else comes here is no int either

Action = Callable[..., Awaitable[int | None]]


def read_key(reader: Reader) -> Key:
    """Read a key; raises GuestError."""
    parts: list[Any] = []
    for _ in range(reader.number(_MAX_PARTS)):
        tag = reader.number()
        if tag == _PART_TEXT:
            parts.append(reader.text())
        elif tag == _PART_INT:
            parts.append(reader.packed("<q"))
        elif tag == _PART_BYTES:
            parts.append(reader.content())
        elif tag == _PART_FLOAT:
            parts.append(reader.packed("<d"))
        elif tag == _PART_BOOL:
            parts.append(bool(reader.number(1)))
        elif tag == _PART_LARGE:
            parts.append(_large_int(reader.text()))
        else:
            raise GuestError(f"the guest's key has a part of kind {tag}; kinds are 1 to 6")
    return tuple(parts)


def _large_int(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 620:
        raise GuestError("the guest's key has a part that is no whole number")
    return int(text)


def write_key(writer: Writer, key: Key) -> None:
    """Write a key as `read_key` reads it."""
    writer.number(len(key))
    for part in key:
        if isinstance(part, str):
            writer.number(_PART_TEXT)
            writer.text(part)
        elif isinstance(part, bool):
            writer.number(_PART_BOOL)
            writer.number(part)
        elif isinstance(part, int):
            small = -(1 << 63) <= part < 1 << 63
            writer.number(_PART_INT if small else _PART_LARGE)
            writer.packed("<q", part) if small else writer.text(str(part))
        elif isinstance(part, float):
            writer.number(_PART_FLOAT)
            writer.packed("<d", part)
        else:
            writer.number(_PART_BYTES)
            writer.content(bytes(part))


def read_value(kind: int, content: bytes) -> Any:
    """Return the value to store; raises GuestError."""
    if kind == BYTES:
        return content
    if kind == NUMBER:
        from echelon.kv import U64  # the store is loaded only where there is one

        if len(content) != 8:
            raise GuestError(f"the guest stores a u64 of {len(content)} bytes instead of 8")
        return U64(int.from_bytes(content, "little"))
    if kind not in (TEXT, JSON):
        raise GuestError(f"the guest stores a value of kind {kind}; kinds are 0 to 3")
    try:
        return content.decode() if kind == TEXT else msgspec.json.decode(content)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as exc:
        raise GuestError(
            f"the guest stores a {'text' if kind == TEXT else 'JSON value'} that is none: {exc}"
        ) from None


def write_value(writer: Writer, value: Any) -> None:
    """Write a stored value; what JSON lacks becomes text, as dates do. Raises HostError when it has no such form."""
    from echelon.kv import U64

    if isinstance(value, bytes):
        kind, content = BYTES, value
    elif isinstance(value, str):
        kind, content = TEXT, value.encode()
    elif isinstance(value, U64):
        kind, content = NUMBER, value.to_bytes(8, "little")
    else:
        try:
            kind, content = JSON, _encoder.encode(value)
        except (TypeError, ValueError, RecursionError) as exc:
            raise HostError(
                f"a stored value has no form that guests can read: {exc}", function="echelon.kv"
            ) from exc
    writer.number(kind)
    writer.content(content)


def _write_entry(writer: Writer, entry: Entry[Any]) -> None:
    writer.text(entry.versionstamp or "")
    write_value(writer, entry.value)


def _expiry(milliseconds: int) -> timedelta | None:
    if not 0 <= milliseconds <= _MAX_EXPIRY:
        raise GuestError(
            f"the guest stores a value for {milliseconds} ms; write 0 for ever, or at most {_MAX_EXPIRY}"
        )
    return timedelta(milliseconds=milliseconds) if milliseconds else None


def _buffer(call: Call, pointer: int, length: int) -> bytes:
    if length > _MAX_BUFFER:
        raise GuestError(f"the guest passed {length} bytes to the store, at most {_MAX_BUFFER} are accepted")
    return call.guest_memory().read(pointer, length)


def _granted_key(call: Call, pointer: int, length: int) -> Key:
    reader = Reader(_buffer(call, pointer, length), "key")
    key = read_key(reader)
    reader.end()
    call.permissions.require_kv(key)
    return key


def _guarded(name: str, action: Action) -> Action:
    """Make what the store refuses an error of the call."""

    @wraps(action)
    async def guarded(call: Call, *arguments: int) -> int | None:
        try:
            return await action(call, *arguments)
        except KvError as exc:
            function = f"{MODULE}.{name}"
            raise HostError(f"the host function {function} failed: {exc}", function=function) from exc

    return guarded


def _check_inside(prefix: Key, *bounds: Key) -> None:
    """Raise GuestError unless every bound begins with the prefix, the one thing whose grant is asked for."""
    wanted = [(type(part), part) for part in prefix]
    for bound in bounds:
        if [(type(part), part) for part in bound[: len(prefix)]] != wanted:
            raise GuestError(
                "the guest lists from or to a key that does not begin with the prefix of the list"
            )


class GuestKv:
    """The store for guests; `store` gives the one to use, or None when there is none."""

    def __init__(self, store: Callable[[], Kv | None]) -> None:
        self._store = store
        self._functions = {
            name: HostFunction(MODULE, name, params, results, _guarded(name, action), suspends=True)
            for name, params, results, action in (
                ("kv_get", ("u32", "u32"), ("i32",), self._get),
                ("kv_set", ("u32", "u32", "u32", "u32", "u32", "i64"), ("i32",), self._set),
                ("kv_delete", ("u32", "u32"), (), self._delete),
                ("kv_list", ("u32", "u32"), ("i32",), self._list),
                ("kv_atomic", ("u32", "u32"), ("i32",), self._atomic),
            )
        }

    def find(self, wanted: Import) -> HostFunction | None:
        return self._functions.get(wanted.name) if wanted.module == MODULE and wanted.kind == "func" else None

    def modules(self) -> Sequence[str]:
        return (MODULE,)

    def names(self, module: str) -> Sequence[str]:
        return tuple(self._functions) if module == MODULE else ()

    @property
    def _kv(self) -> Kv:
        kv = self._store()
        if kv is None:
            message = "this runtime has no key-value store for its guests: give it one with `runtime.kv = kv`"
            raise HostError(message, function=f"{MODULE}.kv")
        return kv

    async def _get(self, call: Call, pointer: int, length: int) -> int:
        key = _granted_key(call, pointer, length)
        entry = await self._kv.get(key)
        if entry.versionstamp is None:
            return -1
        writer = Writer()
        _write_entry(writer, entry)
        return keep(call, bytes(writer.buffer))

    async def _set(
        self, call: Call, pointer: int, length: int, kind: int, value: int, size: int, expire_in: int
    ) -> int:
        key = _granted_key(call, pointer, length)
        content = read_value(kind, _buffer(call, value, size))
        result = await self._kv.set(key, content, expire_in=_expiry(expire_in))
        return keep(call, (result.versionstamp or "").encode())

    async def _delete(self, call: Call, pointer: int, length: int) -> None:
        key = _granted_key(call, pointer, length)
        await self._kv.delete(key)

    async def _list(self, call: Call, pointer: int, length: int) -> int:
        """Answer: count (key entry)* cursor."""
        reader = Reader(_buffer(call, pointer, length), "list request")
        prefix = read_key(reader)
        start, end = (read_key(reader) if reader.number(1) else None for _ in range(2))
        limit, flags, cursor = reader.number(MAX_LIST_ENTRIES), reader.number(_REVERSE), reader.text()
        reader.end()
        call.permissions.require_kv(prefix)
        limit = limit or 100
        if start is not None and end is not None:
            _check_inside(prefix, start, end)
        listing = self._kv.list(
            prefix=prefix if start is None or end is None else None,
            start=start,
            end=end,
            reverse=bool(flags),
            cursor=cursor or None,
            batch_size=min(limit, 100),
        )
        entries, count, resume = Writer(), 0, ""
        # The store's own limit would count what is hidden from the guest, and its cursor could then tell a hidden key.
        async for entry in listing:
            if not call.permissions.check_kv(entry.key):
                continue
            write_key(entries, entry.key)
            _write_entry(entries, entry)
            count += 1
            if count >= limit or len(entries.buffer) >= MAX_LIST_BYTES:
                resume = listing.cursor
                break
        answer = Writer()
        answer.number(count)
        answer.buffer += entries.buffer
        answer.text(resume)
        return keep(call, bytes(answer.buffer))

    async def _atomic(self, call: Call, pointer: int, length: int) -> int:
        """Read: count (key versionstamp)* count (action key …)*; an empty versionstamp means that the key is absent."""
        reader = Reader(_buffer(call, pointer, length), "commit")
        from echelon.kv import limits

        steps: list[Callable[[Atomic], object]] = []
        for _ in range(reader.number(limits.MAX_CHECKS)):
            steps.append(_check(_read_granted(call, reader), reader.text()))
        for _ in range(reader.number(limits.MAX_MUTATIONS)):
            steps.append(_change(call, reader))
        reader.end()
        atomic = self._kv.atomic()
        for step in steps:
            step(atomic)
        result = await atomic.commit()
        return keep(call, (result.versionstamp or "").encode()) if result.ok else -1


def _read_granted(call: Call, reader: Reader) -> Key:
    key = read_key(reader)
    call.permissions.require_kv(key)
    return key


def _check(key: Key, stamp: str) -> Callable[[Atomic], object]:
    return lambda atomic: atomic.check(key=key, versionstamp=stamp or None)


def _change(call: Call, reader: Reader) -> Callable[[Atomic], object]:
    """Read one change of a commit."""
    action, key = reader.number(), _read_granted(call, reader)
    if action == _SET:
        expire_in = _expiry(int(reader.packed("<q")))
        value = read_value(reader.number(), reader.content())
        return lambda atomic: atomic.set(key, value, expire_in=expire_in)
    if action == _DELETE:
        return lambda atomic: atomic.delete(key)
    operand = int(reader.packed("<Q"))
    if action == _SUM:
        return lambda atomic: atomic.sum(key, operand)
    if action == _MIN:
        return lambda atomic: atomic.min(key, operand)
    if action == _MAX:
        return lambda atomic: atomic.max(key, operand)
    raise GuestError(f"the guest's commit has an action {action}; actions are 1 to 5")
