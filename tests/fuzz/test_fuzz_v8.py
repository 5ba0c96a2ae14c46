"""Random input for the reader of V8's values, which come from files and over the network."""

from __future__ import annotations

from datetime import UTC, datetime

from fuzz_targets import stored, v8_value
from hypothesis import example, given
from hypothesis import strategies as st
from test_fuzz import fuzzed

from echelon.kv import v8
from echelon.kv.v8 import JsError, JsRegExp

SEEDS = [
    v8.encode(value)
    for value in (
        {"name": "Ada€", "n": [1, 2.5, None, True], "bytes": [b"\1\2", b""]},
        {1: {"a", 2.0}, "x": (b"k",)},
        [datetime(2026, 1, 1, tzinfo=UTC), JsError("TypeError", "m", "s", [1]), JsRegExp("a", "gi"), 2**70],
    )
]
NUMBER = st.integers(0, 5) | st.integers(0, 300)


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


ALONE = [b"0", b"_", b"T", b"F", b"-", b"o", b";", b"'", b"r", b"m", b"c", b".", b"\0", b"x", b"y", b"s"]
COUNTED = [b"I", b"U", b"^", b"{", b":", b",", b"A", b"a"]
SHORT = st.binary(max_size=9)
TOKENS = st.one_of(
    st.sampled_from(ALONE),
    st.builds(lambda tag, n: tag + varint(n), st.sampled_from(COUNTED), NUMBER),
    st.builds(lambda tag, n, m: tag + varint(n) + varint(m), st.sampled_from([b"$", b"@"]), NUMBER, NUMBER),
    st.builds(lambda tag, raw: tag + varint(len(raw)) + raw, st.sampled_from([b'"', b"c", b"S", b"B"]), SHORT),
    st.builds(lambda raw: b"~" + varint(len(raw)) + varint(len(raw) + 9) + raw, SHORT),
    st.builds(lambda tag, raw: tag + raw, st.sampled_from([b"N", b"n", b"D"]), st.binary(min_size=8, max_size=8)),
    st.builds(lambda tag, raw: tag + varint(len(raw) << 1) + raw, st.sampled_from([b"Z", b"z"]), SHORT),
    st.builds(
        lambda kind, *rest: b"V" + bytes((kind,)) + b"".join(map(varint, rest)),
        st.sampled_from(b"bBCwWdDhfFqQ?"), NUMBER, NUMBER, st.integers(0, 3),
    ),
    st.builds(lambda n, raw: b"\\" + varint(n) + varint(len(raw)) + raw, st.integers(0, 14), SHORT),
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Values with bytes changed, added, removed or repeated."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0 if place < len(data):
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 1:
                data[place:place] = draw(TOKENS)
            case 2:
                del data[place : place + draw(st.integers(1, 6))]
            case _:
                data += data[place : place + draw(st.integers(1, 20))]
    return bytes(data)


@fuzzed
@given(mutated())
def test_mutated_values(data: bytes) -> None:
    """A value that was changed anywhere is read, or refused as ours."""
    stored(data)


@fuzzed
@given(st.lists(TOKENS, max_size=30).map(b"".join) | st.binary(max_size=80))
@example(b"a\x80\x80\x40@\x00\x80\x80\x40")
@example(b"'" * 200)
@example(b"\0" * 3000 + b"0")
def test_any_tokens(data: bytes) -> None:
    """The same for any row of tags and for bytes that never were a value."""
    v8_value(data)


def test_seeds_are_values() -> None:
    """What is mutated above is valid before."""
    assert all(stored(data) is not None for data in SEEDS)
