"""The messages of KV Connect: exact bytes, round trips, and bytes that somebody made up."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from echelon.kv.connect import wire
from echelon.kv.connect.wire import WireError

STAMP = "0000000000000a0b0000"
RAW_STAMP = bytes.fromhex(STAMP)

TEXTS = st.text(max_size=8)
DATA = st.binary(max_size=200)
STAMPS = st.binary(min_size=10, max_size=10).map(bytes.hex)
TIMES = st.integers(0, 2**63 - 1)
NUMBERS = st.lists(st.integers(0, 2**32 - 1), max_size=4).map(tuple)
RECORDS = st.builds(Record, DATA, DATA, st.integers(0, 300), STAMPS)
MUTATIONS = st.one_of(
    st.builds(lambda key: Mutation(Action.DELETE, key), DATA),
    st.builds(
        Mutation,
        st.sampled_from([Action.SET, Action.SUM, Action.MAX, Action.MIN, Action.SET_STAMPED]),
        DATA,
        DATA,
        st.integers(0, 4),
        st.none() | st.integers(1, 2**63 - 1),
        st.none()
        | st.builds(Bounds, DATA.map(lambda b: b or None), DATA.map(lambda b: b or None), st.just(True)),
    ),
)
KEYS = st.lists(DATA, max_size=3).map(tuple)
ENQUEUES = st.builds(Enqueue, DATA, st.integers(1, 4), TIMES, NUMBERS, KEYS)
SETTLEMENTS = st.builds(Settlement, st.builds(Lease, TEXTS, TEXTS), st.sampled_from(Fate), TIMES)
COMMITS = st.builds(
    Commit,
    st.lists(st.builds(Check, DATA, st.none() | STAMPS), max_size=3),
    st.lists(MUTATIONS, max_size=3),
    st.just(0),
    st.lists(ENQUEUES, max_size=2),
    st.lists(SETTLEMENTS, max_size=2),
)
DECODERS: list[Callable[[bytes], Any]] = [
    wire.decode_read,
    wire.decode_read_output,
    wire.decode_write,
    wire.decode_write_output,
    wire.decode_watch,
    wire.decode_watch_output,
    wire.decode_dequeue,
    wire.decode_messages,
]


def test_exact_bytes() -> None:
    """What is written is what the protocol's schema says, byte by byte."""
    assert wire.encode_read([KeyRange(b"k")]) == b"\x0a\x09\x0a\x01k\x12\x02k\0\x18\x01"
    assert (
        wire.encode_read([KeyRange(b"a", b"b", 300, True)])
        == b"\x0a\x0b\x0a\x01a\x12\x01b\x18\xac\x02\x20\x01"
    )
    entry = b"\x0a\x01k\x12\x01v\x18\x03\x22\x0a" + RAW_STAMP
    assert wire.encode_entry(Record(b"k", b"v", 3, STAMP)) == entry
    found = b"\x0a\x16\x0a\x14" + entry + b"\x0a\0\x20\x01\x40\x01"
    assert wire.encode_read_output([[Record(b"k", b"v", 3, STAMP)], []]) == found
    check = b"\x0a\x0f\x0a\x01k\x12\x0a" + RAW_STAMP
    mutation = b"\x12\x0e\x12\x05\x0a\x01v\x10\x03\x0a\x01k\x18\x01\x20\x07"
    enqueue = b"\x1a\x0e\x0a\x01p\x10\x05\x22\x03\x01\xac\x02\x1a\x02ul"
    sent = Commit(
        [Check(b"k", STAMP)],
        [Mutation(Action.SET, b"k", b"v", 3, 7)],
        0,
        [Enqueue(b"p", 1, 5, [1, 300], [b"ul"])],
    )
    assert wire.encode_write(sent) == check + mutation + enqueue
    assert wire.encode_write_output(CommitResult(STAMP)) == b"\x08\x01\x12\x0a" + RAW_STAMP
    assert wire.encode_write_output(CommitResult(None, (0, 2))) == b"\x08\x02\x22\x02\0\x02"
    assert wire.encode_watch([b"k"]) == b"\x0a\x03\x0a\x01k"
    changes = [(True, Record(b"k", b"v", 3, STAMP)), (True, None), (False, None)]
    assert (
        wire.encode_watch_output(changes)
        == b"\x08\x01\x12\x18\x08\x01\x12\x14" + entry + b"\x12\x02\x08\x01\x12\0"
    )
    assert wire.frame(b"abc") == b"\x03\0\0\0abc"


@given(st.lists(st.builds(KeyRange, DATA, DATA, st.integers(2, 2**31 - 1), st.booleans()), max_size=4))
def test_reads(ranges: list[KeyRange]) -> None:
    """A read comes back as it was, and so does a point."""
    assert wire.decode_read(wire.encode_read(ranges)) == ranges
    assert wire.decode_read(wire.encode_read([KeyRange(b"k"), KeyRange(b"")])) == [
        KeyRange(b"k"),
        KeyRange(b""),
    ]


@given(st.lists(st.lists(RECORDS, max_size=3), max_size=3))
def test_read_outputs(found: list[list[Record]]) -> None:
    """What a read found comes back as it was."""
    assert wire.decode_read_output(wire.encode_read_output(found)) == (found, False, True, wire.SUCCESS)


@given(COMMITS)
def test_commits(commit: Commit) -> None:
    """A commit comes back as it was, but for its size."""
    decoded = wire.decode_write(wire.encode_write(commit))
    assert decoded == commit


@given(STAMPS, st.lists(st.integers(0, 500), max_size=4).map(tuple))
def test_write_outputs(stamp: str, failed: tuple[int, ...]) -> None:
    """The result of a write comes back as it was."""
    for result in (CommitResult(stamp), CommitResult(None, failed)):
        assert wire.decode_write_output(wire.encode_write_output(result)).result == result


@given(st.lists(DATA, max_size=4), st.lists(st.tuples(st.just(True), st.none() | RECORDS), max_size=4))
def test_watches(keys: list[bytes], changes: list[tuple[bool, Record | None]]) -> None:
    """Watched keys and their states come back as they were."""
    assert wire.decode_watch(wire.encode_watch(keys)) == keys
    assert wire.decode_watch_output(wire.encode_watch_output(changes)) == (wire.SUCCESS, changes)


@given(
    st.lists(
        st.builds(
            Message,
            st.builds(Lease, TEXTS, TEXTS),
            DATA,
            st.integers(0, 4),
            TIMES,
            NUMBERS,
            KEYS,
            st.integers(0, 9),
        ),
        max_size=3,
    )
)
def test_messages(messages: list[Message]) -> None:
    """Messages of the queue come back as they were."""
    assert wire.decode_messages(wire.encode_messages(messages)) == messages
    assert wire.decode_dequeue(wire.encode_dequeue(wire.Dequeue(1, 2, 3))) == (1, 2, 3)


def test_what_is_unknown_is_skipped() -> None:
    """Fields of any kind that this version does not know are no error; the last value of a field counts."""
    unknown = b"\x78\x05\x7a\x03abc\x79" + b"\0" * 8 + b"\x7d" + b"\0" * 4
    message = wire.encode_watch([b"k"])
    assert wire.decode_watch(unknown + message + unknown) == [b"k"]
    assert wire.decode_watch(b"\x0a\x06\x0a\x01k\x0a\x01l") == [b"l"]
    assert wire.decode_write_output(b"\x08\x02\x20\x01\x20\x05").result.failed_checks == (1, 5)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x0a\x05abc", "longer than its message"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than its message"),
        (b"\x0a" + b"\xff" * 11, "more than ten bytes"),
        (b"\x0a", "ends within a field"),
        (b"\x79\0\0", "longer than its message"),
        (b"\x02\x00", "number 0"),
        (b"\x0b", "wire type 3"),
        (b"\x0f", "wire type 7"),
        (b"\x08\x01", "field 1"),
        (b"\x09" + b"\0" * 8, "field 1"),
        (b"\x78\x01" * 5000, "too many fields"),
    ],
)
def test_malformed(message: bytes, reason: str) -> None:
    """What is no message is refused, with the reason."""
    with pytest.raises(WireError, match=reason):
        wire.decode_watch(message)


@pytest.mark.parametrize(
    "message",
    [
        b"\x0a\x04\x12\x02ab",  # a check with a stamp of two bytes
        b"\x12\x02\x18\x06",  # a mutation of a type that is not known
        b"\x12\x02\x18\x01",  # a set without a value
        b"\x12\x0f\x12\0\x18\x01\x20\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # it expired before 1970
        b"\xca\x3e\x00",  # a settlement without a fate
        b"\xca\x3e\x03\x0a\x01\xff",  # a lease that is no text
    ],
)
def test_commits_that_make_no_sense(message: bytes) -> None:
    """A commit is refused when one of its parts is none."""
    with pytest.raises(WireError):
        wire.decode_write(message)


@given(st.binary(max_size=300))
def test_anything(data: bytes) -> None:
    """Whatever the bytes are, they are a message or a WireError."""
    for decode in DECODERS:
        with suppress(WireError):
            decode(data)


@given(COMMITS, st.data())
def test_damaged_commits(commit: Commit, data: st.DataObject) -> None:
    """A commit with a bit turned over is a commit or a WireError."""
    message = bytearray(wire.encode_write(commit))
    if message:
        at = data.draw(st.integers(0, len(message) - 1))
        message[at] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(WireError):
        wire.decode_write(bytes(message))


@given(st.lists(st.binary(max_size=20), max_size=5), st.integers(1, 7))
def test_frames(messages: list[bytes], step: int) -> None:
    """Frames come out whole, however they come in."""
    stream = b"".join(map(wire.frame, messages))
    buffer = bytearray()
    found = []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        found += wire.take_frames(buffer, 100)
    assert found == messages
    with pytest.raises(WireError, match="101 bytes"):
        wire.take_frames(bytearray(wire.frame(b"x" * 101)), 100)
