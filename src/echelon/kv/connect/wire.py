"""The messages of KV Connect: Protocol Buffers, read strictly and within bounds.

Only the messages of this protocol are known here, and they are read into, and written from, the types of the
native KV API. Fields that are unknown are skipped, as the format demands; anything malformed is a WireError.

Fields from 1001 on and the messages about the queue are Echelon's own. Other clients and servers never send them,
and skip them if they see them. (Over 250 lines: reading and writing of one message read best side by side.)
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final, NamedTuple

from echelon.kv.backend import (
    Action,
    Bounds,
    Check,
    Commit,
    CommitResult,
    Enqueue,
    Fate,
    KeyRange,
    Lease,
    Message,
    Mutation,
    Record,
    Settlement,
)

MAX_FIELDS: Final = 4096
"""How many fields one message may have: more than the largest legal one."""

PING_SECONDS: Final = 5.0
"""After so long without news a watch gives a sign of life."""

EXTENSIONS: Final = "x-echelon-kv"
"""Header. Of metadata: what a server offers beyond the protocol. Of a request: what the client makes use of."""

REQUEST_ID: Final = "x-echelon-request"
"""Header of a write: the same commit has the same id each time it is sent."""

ERROR: Final = "x-echelon-error"
"""Header of a refusal: the name of the error that it is."""

SUCCESS: Final = 1
READ_DISABLED: Final = 2
CHECK_FAILURE: Final = 2
WRITE_DISABLED: Final = 5

_STAMP_BYTES: Final = 10
_V8: Final = 1
_OWN: Final = 1001
_MASK: Final = (1 << 64) - 1
_SMALL: Final = tuple(bytes((number,)) for number in range(128))
_FATES: Final = (None, Fate.DONE, Fate.RETRY, Fate.EXTEND, Fate.RELEASE)


class WireError(ValueError):
    """The bytes are not the message that was expected."""


class ReadOutput(NamedTuple):
    """What a read was answered with."""

    ranges: list[list[Record]]
    disabled: bool
    strong: bool
    status: int


class WriteOutput(NamedTuple):
    """What a write was answered with."""

    status: int
    result: CommitResult


class WatchOutput(NamedTuple):
    """One state of watched keys: for each whether it changed, and what it is then."""

    status: int
    changes: list[tuple[bool, Record | None]]


# Fields -----------------------------------------------------------------------------------------------------


class _Kind(IntEnum):
    """What a field holds; of one that is not repeated the last value counts."""

    INT = 0
    SIGNED = 1
    BYTES = 2
    TEXT = 3
    MANY = 4
    NUMBERS = 5


_INT, _SIGNED, _BYTES, _TEXT, _MANY, _NUMBERS = _Kind
_EMPTY: Final[dict[_Kind, Any]] = {_INT: 0, _SIGNED: 0, _BYTES: b"", _TEXT: "", _MANY: (), _NUMBERS: ()}


def _read(data: bytes, kinds: dict[int, _Kind]) -> list[Any]:
    """Return the fields that `kinds` names, in its order; those that are missing are 0 or empty."""
    found: dict[int, Any] = {}
    at, end, count = 0, len(data), 0
    try:
        while at < end:
            tag, at = _read_varint(data, at)
            start = at
            value, at = _read_value(data, at, tag & 7)
            number = tag >> 3
            count += 1
            if number == 0 or count > MAX_FIELDS:
                raise WireError("a field has the number 0" if number == 0 else "there are too many fields")
            kind = kinds.get(number)
            if kind is None:
                continue
            is_bytes = isinstance(value, bytes)
            if value is None or (kind is not _NUMBERS and is_bytes != (kind >= _BYTES)):
                raise WireError(f"field {number} at byte {start} is not what belongs there")
            if kind is _MANY or kind is _NUMBERS:
                found.setdefault(number, []).extend([value] if kind is _MANY else _numbers(value))
            else:
                found[number] = value
    except IndexError:
        raise WireError("the message ends within a field") from None
    return [_finish(found[n], kind) if n in found else _EMPTY[kind] for n, kind in kinds.items()]


def _read_value(data: bytes, at: int, wire_type: int) -> tuple[int | bytes | None, int]:
    """Return a value and where it ends; None for a number of a fixed size, which no message has."""
    if wire_type == 2:
        size, at = _read_varint(data, at)
        if size > len(data) - at:
            raise WireError("a field is longer than its message")
        return data[at : at + size], at + size
    if wire_type == 0:
        return _read_varint(data, at)
    if wire_type in (1, 5):
        size = 8 if wire_type == 1 else 4
        if size > len(data) - at:
            raise WireError("a field is longer than its message")
        return None, at + size
    raise WireError(f"a field has the wire type {wire_type}, which is not known")


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _MASK, at + 1
        shift += 7
        if shift >= 70:
            raise WireError("a number has more than ten bytes")


def _numbers(value: int | bytes) -> list[int]:
    """Return the numbers of a repeated field, which come one by one or packed."""
    if isinstance(value, int):
        return [value]
    numbers: list[int] = []
    at = 0
    while at < len(value) and len(numbers) < MAX_FIELDS:
        number, at = _read_varint(value, at)
        numbers.append(number)
    return numbers


def _finish(value: Any, kind: _Kind) -> Any:
    if kind is _SIGNED:
        return value - (1 << 64) if value >> 63 else value
    if kind is _TEXT:
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise WireError("a text is not UTF-8") from None
    return value


def _varint(number: int) -> bytes:
    if 0 <= number < 128:
        return _SMALL[number]
    number &= _MASK
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, value: bytes) -> bytes:
    """Return a field of bytes, also where these are empty."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _message(*values: bytes | str | int) -> bytes:
    """Return a message whose fields have the numbers 1, 2, …; those that are 0 or empty are left out."""
    out = b""
    for number, value in enumerate(values, 1):
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value) if value else b""
        elif value:
            out += _field(number, value.encode() if isinstance(value, str) else value)
    return out


def _packed(numbers: Iterable[int]) -> bytes:
    return b"".join([_varint(number) for number in numbers])


def _stamp(value: bytes) -> str:
    if len(value) != _STAMP_BYTES:
        raise WireError(f"a versionstamp has {len(value)} bytes instead of {_STAMP_BYTES}")
    return value.hex()


# Reads ------------------------------------------------------------------------------------------------------

_LIST: Final = {1: _MANY}
_RANGE: Final = {1: _BYTES, 2: _BYTES, 3: _SIGNED, 4: _INT}
_ENTRY: Final = {1: _BYTES, 2: _BYTES, 3: _INT, 4: _BYTES}
_READ_OUTPUT: Final = {1: _MANY, 2: _INT, 4: _INT, 8: _INT}


def encode_read(ranges: Iterable[KeyRange]) -> bytes:
    """Write SnapshotRead."""
    return b"".join(
        [
            _field(
                1,
                _message(
                    wanted.start,
                    wanted.start + b"\0" if wanted.end is None else wanted.end,
                    wanted.limit,
                    int(wanted.reverse),
                ),
            )
            for wanted in ranges
        ]
    )


def decode_read(data: bytes) -> list[KeyRange]:
    """Read SnapshotRead."""
    ranges = []
    for item in _read(data, _LIST)[0]:
        start, end, limit, reverse = _read(item, _RANGE)
        point = limit == 1 and end == start + b"\0"
        ranges.append(KeyRange(start) if point else KeyRange(start, end, limit, bool(reverse)))
    return ranges


def encode_entry(record: Record) -> bytes:
    """Write KvEntry."""
    key, value = record.key, record.value
    head = b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(len(value)) + value
    return head + b"\x18" + _varint(record.encoding) + b"\x22\x0a" + bytes.fromhex(record.versionstamp)


def _decode_entry(data: bytes) -> Record:
    key, value, encoding, stamp = _read(data, _ENTRY)
    return Record(key, value, encoding, _stamp(stamp))


def encode_read_output(found: Iterable[Iterable[Record]]) -> bytes:
    """Write SnapshotReadOutput of a read that succeeded."""
    ranges = [_field(1, b"".join([_field(1, encode_entry(record)) for record in one])) for one in found]
    return b"".join(ranges) + b"\x20\x01\x40\x01"  # it is strongly consistent, it succeeded


def decode_read_output(data: bytes) -> ReadOutput:
    """Read SnapshotReadOutput."""
    ranges, disabled, strong, status = _read(data, _READ_OUTPUT)
    found = [[_decode_entry(entry) for entry in _read(one, _LIST)[0]] for one in ranges]
    return ReadOutput(found, bool(disabled), bool(strong), status)


# Writes -----------------------------------------------------------------------------------------------------

_COMMIT: Final = {1: _MANY, 2: _MANY, 3: _MANY, _OWN: _MANY}
_CHECK: Final = {1: _BYTES, 2: _BYTES}
_MUTATION: Final = {1: _BYTES, 2: _MANY, 3: _INT, 4: _SIGNED, 5: _BYTES, 6: _BYTES, 7: _INT}
_VALUE: Final = {1: _BYTES, 2: _INT}
_ENQUEUE: Final = {1: _BYTES, 2: _SIGNED, 3: _MANY, 4: _NUMBERS, _OWN: _INT}
_SETTLEMENT: Final = {1: _TEXT, 2: _TEXT, 3: _INT, 4: _SIGNED}
_WRITE_OUTPUT: Final = {1: _INT, 2: _BYTES, 4: _NUMBERS}


def encode_write(commit: Commit) -> bytes:
    """Write AtomicWrite."""
    parts = [_field(1, _message(key, bytes.fromhex(stamp or ""))) for key, stamp in commit.checks]
    parts += [_field(2, _encode_mutation(mutation)) for mutation in commit.mutations]
    parts += [_field(3, _encode_enqueue(enqueue)) for enqueue in commit.enqueues]
    for lease, fate, at in commit.settlements:
        parts.append(_field(_OWN, _message(lease.id, lease.token, _FATES.index(fate), at)))
    return b"".join(parts)


def decode_write(data: bytes) -> Commit:
    """Read AtomicWrite; the size of the commit is not known yet."""
    checks, mutations, enqueues, settlements = _read(data, _COMMIT)
    return Commit(
        [_decode_check(item) for item in checks],
        [_decode_mutation(item) for item in mutations],
        0,
        [_decode_enqueue(item) for item in enqueues],
        [_decode_settlement(item) for item in settlements],
    )


def _decode_check(data: bytes) -> Check:
    key, stamp = _read(data, _CHECK)
    return Check(key, _stamp(stamp) if stamp else None)


def _encode_mutation(mutation: Mutation) -> bytes:
    action, key, value, encoding, expires_at, bounds = mutation
    low, high, clamp = bounds or (b"", b"", False)
    content = b"" if action == Action.DELETE else _field(2, _message(value, int(encoding)))
    expires = 0 if expires_at is None else max(1, expires_at)
    # Field 2 may be empty and still has to be there, so it is not left to _message().
    return content + _message(key, b"", int(action), expires, low or b"", high or b"", int(clamp))


def _decode_mutation(data: bytes) -> Mutation:
    key, values, number, expires, low, high, clamp = _read(data, _MUTATION)
    try:
        action = Action(number)
    except ValueError:
        raise WireError(f"a mutation has the type {number}, which is not known") from None
    if action is Action.DELETE:
        return Mutation(action, key)
    if not values:
        raise WireError(f"a mutation of type {number} has no value")
    if expires < -1:
        raise WireError("a time of expiry lies before 1970")
    value, encoding = _read(values[-1], _VALUE)
    bounds = Bounds(low or None, high or None, bool(clamp)) if low or high or clamp else None
    return Mutation(action, key, value, encoding, expires if expires > 0 else None, bounds)


def _encode_enqueue(enqueue: Enqueue) -> bytes:
    payload, encoding, due, backoff, undelivered = enqueue
    out = _message(payload, due, b"", _packed(backoff)) + b"".join([_field(3, key) for key in undelivered])
    return out if encoding == _V8 else out + _varint(_OWN << 3) + _varint(encoding)


def _decode_enqueue(data: bytes) -> Enqueue:
    payload, due, undelivered, backoff, encoding = _read(data, _ENQUEUE)
    return Enqueue(payload, encoding or _V8, due, tuple(backoff), tuple(undelivered))


def _decode_settlement(data: bytes) -> Settlement:
    identity, token, number, at = _read(data, _SETTLEMENT)
    fate = _FATES[number] if number < len(_FATES) else None
    if fate is None:
        raise WireError(f"a message is settled as {number}, which is not known")
    return Settlement(Lease(identity, token), fate, at)


def encode_write_output(result: CommitResult) -> bytes:
    """Write AtomicWriteOutput."""
    if result.versionstamp is None:
        return _message(CHECK_FAILURE, b"", b"", _packed(result.failed_checks))
    return _message(SUCCESS, bytes.fromhex(result.versionstamp))


def decode_write_output(data: bytes) -> WriteOutput:
    """Read AtomicWriteOutput."""
    status, stamp, failed = _read(data, _WRITE_OUTPUT)
    return WriteOutput(status, CommitResult(_stamp(stamp) if status == SUCCESS else None, tuple(failed)))


# Watches ----------------------------------------------------------------------------------------------------

_WATCH_OUTPUT: Final = {1: _INT, 2: _MANY}
_WATCH_KEY: Final = {1: _BYTES}
_WATCH_CHANGE: Final = {1: _INT, 2: _MANY}


def encode_watch(keys: Iterable[bytes]) -> bytes:
    """Write Watch."""
    return b"".join([_field(1, _message(key)) for key in keys])


def decode_watch(data: bytes) -> list[bytes]:
    """Read Watch."""
    return [_read(item, _WATCH_KEY)[0] for item in _read(data, _LIST)[0]]


def encode_watch_output(changes: Iterable[tuple[bool, Record | None]]) -> bytes:
    """Write WatchOutput of keys that could be read."""
    parts = [_message(SUCCESS)]
    for changed, record in changes:
        entry = b"" if record is None or not changed else _field(2, encode_entry(record))
        parts.append(_field(2, _message(int(changed)) + entry))
    return b"".join(parts)


def decode_watch_output(data: bytes) -> WatchOutput:
    """Read WatchOutput."""
    status, keys = _read(data, _WATCH_OUTPUT)
    changes: list[tuple[bool, Record | None]] = []
    for item in keys:
        changed, entries = _read(item, _WATCH_CHANGE)
        changes.append((bool(changed), _decode_entry(entries[-1]) if entries else None))
    return WatchOutput(status, changes)


def frame(message: bytes) -> bytes:
    """Return a frame of a watch; of nothing it is a sign of life."""
    return len(message).to_bytes(4, "little") + message


def take_frames(buffer: bytearray, most: int) -> list[bytes]:
    """Take the whole frames out of what was received of a watch; raises WireError for one above `most` bytes."""
    found = []
    at = 0
    while len(buffer) - at >= 4:
        size = int.from_bytes(buffer[at : at + 4], "little")
        if size > most:
            raise WireError(f"a frame of a watch has {size} bytes")
        if len(buffer) - at - 4 < size:
            break
        found.append(bytes(buffer[at + 4 : at + 4 + size]))
        at += 4 + size
    del buffer[:at]
    return found


# The queue: Echelon's own -----------------------------------------------------------------------------------

_DEQUEUE: Final = {1: _INT, 2: _INT, 3: _INT}
_MESSAGE: Final = {1: _TEXT, 2: _TEXT, 3: _BYTES, 4: _INT, 5: _SIGNED, 6: _NUMBERS, 7: _MANY, 8: _INT}


class Dequeue(NamedTuple):
    """A wish for messages; times are in milliseconds, and `wait` is how long an answer may take."""

    limit: int
    lease: int
    wait: int


def encode_dequeue(wish: Dequeue) -> bytes:
    """Write Dequeue."""
    return _message(*wish)


def decode_dequeue(data: bytes) -> Dequeue:
    """Read Dequeue."""
    return Dequeue(*_read(data, _DEQUEUE))


def encode_messages(messages: Iterable[Message]) -> bytes:
    """Write DequeueOutput."""
    parts = []
    for lease, payload, encoding, due, backoff, undelivered, attempts in messages:
        head = _message(lease.id, lease.token, payload, int(encoding), due, _packed(backoff), b"", attempts)
        parts.append(_field(1, head + b"".join([_field(7, key) for key in undelivered])))
    return b"".join(parts)


def decode_messages(data: bytes) -> list[Message]:
    """Read DequeueOutput."""
    messages = []
    for item in _read(data, _LIST)[0]:
        identity, token, payload, encoding, due, backoff, undelivered, attempts = _read(item, _MESSAGE)
        lease = Lease(identity, token)
        keys = tuple(undelivered)
        messages.append(Message(lease, payload, encoding, due, tuple(backoff), keys, attempts))
    return messages
