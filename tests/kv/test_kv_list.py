"""Lists: selectors, order, limits, batches and cursors; on every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echelon.errors import KvClosed, KvKeyError, KvLimitError, KvStorageError, KvUsageError
from echelon.kv import Entry, Kv, limits, open_kv
from echelon.kv.codec import encode_key

Keys = Callable[..., Any]


async def fill(kv: Kv, *names: Any) -> None:
    for name in names:
        await kv.set(name, 0)


async def test_prefix(kv: Kv, keys: Keys) -> None:
    """A prefix lists what lies below it, without the prefix itself and without longer names."""
    await fill(kv, ("a",), ("a", "b"), ("a", "b", 1), ("a", 2), ("a", b"x"), ("ab",), ("b",))
    assert await keys(kv.list(prefix=("a",))) == [("a", b"x"), ("a", "b"), ("a", "b", 1), ("a", 2)]
    assert await keys(kv.list(prefix=("a", "b"))) == [("a", "b", 1)]
    assert await keys(kv.list(prefix=("nothing",))) == []
    assert len(await keys(kv.list(prefix=()))) == 7


async def test_entries_are_whole(kv: Kv) -> None:
    """A list gives keys, values and versionstamps as get does."""
    await kv.set(("a", 1), {"x": [1.5]})
    assert [entry async for entry in kv.list(prefix=("a",))] == [await kv.get(("a", 1))]


async def test_prefix_that_ends_in_bytes(kv: Kv, keys: Keys) -> None:
    """A key whose last part only begins like the prefix's is not below it, nor a bound inside it."""
    await fill(kv, ("a", 1), ("a\0", 1), ("a\0",), (b"", 1), (b"\0", 1))
    assert await keys(kv.list(prefix=("a",))) == [("a", 1)]
    assert await keys(kv.list(prefix=(b"",))) == [(b"", 1)]
    with pytest.raises(KvUsageError, match="must begin with its prefix"):
        kv.list(prefix=("a",), start=("a\0",))


async def test_start_and_end(kv: Kv, keys: Keys) -> None:
    """The start is included, the end is not, with and without a prefix, forwards and backwards."""
    await fill(kv, *[("n", n) for n in range(6)])
    two_to_four = [("n", 2), ("n", 3)]
    assert await keys(kv.list(start=("n", 2), end=("n", 4))) == two_to_four
    assert await keys(kv.list(start=("n", 2), end=("n", 4), reverse=True)) == two_to_four[::-1]
    assert await keys(kv.list(prefix=("n",), start=("n", 4))) == [("n", 4), ("n", 5)]
    assert await keys(kv.list(prefix=("n",), end=("n", 2))) == [("n", 0), ("n", 1)]
    assert await keys(kv.list(prefix=("n",), end=("n", 2), reverse=True)) == [("n", 1), ("n", 0)]
    assert await keys(kv.list(start=("n", 2), end=("n", 2))) == []


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({}, "takes prefix="),
        ({"start": ("a",)}, "takes prefix="),
        ({"end": ("a",)}, "takes prefix="),
        ({"prefix": ("a",), "start": ("a", 1), "end": ("a", 2)}, "not with both"),
        ({"prefix": ("a",), "start": ("b", 1)}, "the start key of a list must begin with its prefix"),
        ({"prefix": ("a",), "end": ("a",)}, "the end key of a list must begin with its prefix"),
        ({"start": ("b",), "end": ("a",)}, "lies after its end key"),
    ],
)
async def test_bad_selectors(kv: Kv, selector: Any, message: str) -> None:
    """A selector that means no range of keys is refused at once, with what to write."""
    with pytest.raises(KvUsageError, match=message):
        kv.list(**selector)


async def test_bad_options(kv: Kv) -> None:
    """limit and batch_size are positive ints, batch_size at most 1000; keys are keys."""
    for bad in (0, -1, 1.5, "1", True):
        with pytest.raises(KvUsageError, match="limit of a list is a positive int"):
            kv.list(prefix=(), limit=bad)  # type: ignore[call-overload]  # the mistake is the point
        with pytest.raises(KvUsageError, match="batch_size of a list is a positive int"):
            kv.list(prefix=(), batch_size=bad)  # type: ignore[call-overload]  # the mistake is the point
    with pytest.raises(KvLimitError, match="batch_size of a list is at most 1000, got 1001"):
        kv.list(prefix=(), batch_size=limits.MAX_BATCH_ENTRIES + 1)
    with pytest.raises(KvKeyError, match="a key is a tuple"):
        kv.list(prefix="users")  # type: ignore[call-overload]  # the mistake is the point


async def test_bound_sizes(kv: Kv, keys: Keys) -> None:
    """A prefix has at most 2048 bytes, a bound at most 2049."""
    assert await keys(kv.list(prefix=("x" * 2046,))) == []
    assert await keys(kv.list(start=("a",), end=("x" * 2047,))) == []
    with pytest.raises(KvKeyError, match="prefix is too large: 2049 bytes, at most 2048"):
        kv.list(prefix=("x" * 2047,))
    with pytest.raises(KvKeyError, match="too large to read"):
        kv.list(start=("a",), end=("x" * 2048,))


@pytest.mark.parametrize("batch_size", [None, 1, 3, 10, 1000])
@pytest.mark.parametrize("reverse", [False, True])
async def test_batches(kv: Kv, keys: Keys, batch_size: int | None, reverse: bool) -> None:
    """Whatever the size of a batch, every entry comes exactly once and in order."""
    await fill(kv, *[("n", n) for n in range(10)])
    expected = [("n", n) for n in range(10)]
    listing = kv.list(prefix=("n",), batch_size=batch_size, reverse=reverse)
    assert await keys(listing) == (expected[::-1] if reverse else expected)
    limited = kv.list(prefix=("n",), batch_size=batch_size, reverse=reverse, limit=7)
    assert await keys(limited) == (expected[::-1] if reverse else expected)[:7]


async def test_long_list(kv: Kv) -> None:
    """A list longer than any batch is whole, and a limit above the default batch is kept."""
    for block in range(2):
        commit = kv.atomic()
        for n in range(600):
            commit.set(("n", block * 600 + n), n)
        await commit.commit()
    assert [e.key[1] async for e in kv.list(prefix=("n",))] == list(range(1200))
    assert [e.key[1] async for e in kv.list(prefix=("n",), limit=1100)] == list(range(1100))


async def test_limit_does_not_count_expired(kv: Kv, keys: Keys) -> None:
    """Expired entries neither show nor use up the limit or end a batch early."""
    from datetime import timedelta

    for n in range(9):
        await kv.set(("n", n), n, expire_in=timedelta(0) if n % 3 else None)
    assert await keys(kv.list(prefix=("n",), batch_size=1)) == [("n", 0), ("n", 3), ("n", 6)]
    assert await keys(kv.list(prefix=("n",), limit=2)) == [("n", 0), ("n", 3)]


async def test_cursor_form(kv: Kv) -> None:
    """A cursor is the key after the prefix in padded base64url, and empty when nothing is left."""
    await fill(kv, ("a", "b"), ("a", "c"))
    listing = kv.list(prefix=("a",))
    with pytest.raises(KvUsageError, match="only after its first entry"):
        _ = listing.cursor
    assert (await anext(listing)).key == ("a", "b")
    assert listing.cursor == "AmIA"
    await anext(listing)
    assert listing.cursor == "AmMA"
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(listing)
        assert listing.cursor == ""


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("selector", [{"prefix": ("n",)}, {"start": ("n", 0), "end": ("n", 10)}], ids=str)
async def test_paging(kv: Kv, selector: Any, reverse: bool) -> None:
    """Pages read one after the other by cursor are the whole list."""
    await fill(kv, *[("n", n) for n in range(10)])
    pages: list[list[Any]] = []
    cursor = ""
    while True:
        listing = kv.list(**selector, limit=4, cursor=cursor, reverse=reverse)
        pages.append([entry.key[1] async for entry in listing])
        cursor = listing.cursor
        if not cursor:
            break
    numbers = list(range(10))[:: -1 if reverse else 1]
    assert pages == [numbers[:4], numbers[4:8], numbers[8:]]


async def test_bad_cursors(kv: Kv) -> None:
    """A cursor that is not base64, of another type, or of another list is refused."""
    await fill(kv, ("a", 1), ("a", 9))
    for bad in ("!", "AmIA=", "é", "A"):
        with pytest.raises(KvUsageError, match="cursor is not valid"):
            kv.list(prefix=("a",), cursor=bad)
    for wrong in (5, b"AmIA", b""):
        with pytest.raises(KvUsageError, match="a cursor is a str"):
            kv.list(prefix=("a",), cursor=wrong)  # type: ignore[call-overload]  # the mistake is the point
    listing = kv.list(prefix=("a",), start=("a", 5))
    await anext(listing)
    with pytest.raises(KvUsageError, match="out of bounds"):
        kv.list(prefix=("a",), end=("a", 5), cursor=listing.cursor)


async def test_changes_while_listing(kv: Kv, keys: Keys) -> None:
    """Each batch is a snapshot: what is removed or added further on is seen by the next batch."""
    await fill(kv, *[("n", n) for n in range(4)])
    listing = kv.list(prefix=("n",), batch_size=2)
    assert (await anext(listing)).key == ("n", 0)
    await kv.atomic().delete(("n", 1)).delete(("n", 2)).set(("n", 3.5), 0).commit()
    assert await keys(listing) == [("n", 1), ("n", 3), ("n", 3.5)]


async def test_close_while_listing() -> None:
    """A list that goes on after the store was closed raises KvClosed."""
    async with open_kv(":memory:") as kv:
        await fill(kv, ("n", 1), ("n", 2))
        listing = kv.list(prefix=("n",), batch_size=1)
        await anext(listing)
    with pytest.raises(KvClosed):
        await anext(listing)


async def test_damaged_entry() -> None:
    """An entry whose key or value is damaged is reported; the list can go on behind it."""
    async with open_kv(":memory:") as kv:
        await fill(kv, ("a", 1), ("a", 2), ("a", 3))
        writer = kv._backend._connections.writer  # type: ignore[attr-defined]  # to damage the file
        writer.execute("update kv set value = x'c1' where key = ?", (encode_key(("a", 1)),))
        writer.execute("update kv set key = x'0261001502ff' where key = ?", (encode_key(("a", 2)),))
        listing = kv.list(prefix=("a",))
        with pytest.raises(KvStorageError, match="a stored value is damaged"):
            await anext(listing)
        with pytest.raises(KvStorageError, match="a stored key is damaged"):
            await anext(listing)
        assert (await anext(listing)).key == ("a", 3)


PARTS = st.sampled_from(["", "a", "a\0", b"", b"\0", 0, 1, -1, 1.5, False, True])
KEYS = st.lists(PARTS, min_size=1, max_size=3).map(tuple)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(KEYS, max_size=25),
    st.lists(PARTS, max_size=2).map(tuple),
    KEYS,
    KEYS,
    st.booleans(),
    st.none() | st.integers(1, 8),
    st.integers(1, 5),
)
async def test_lists_against_a_model(
    names: list[Any], prefix: Any, low: Any, high: Any, reverse: bool, limit: int | None, size: int
) -> None:
    """Any selector gives what sorting and filtering the encoded keys gives, page by page too."""
    async with open_kv(":memory:") as kv:
        await fill(kv, *names)
        ordered = sorted({encode_key(name) for name in names}, reverse=reverse)
        start, end = sorted([low, high], key=encode_key)
        common = encode_key(prefix)
        size_of = len(prefix)
        inside = {
            encode_key(name) for name in names if len(name) > size_of and encode_key(name[:size_of]) == common
        }
        below = [key for key in ordered if key in inside]
        between = [key for key in ordered if encode_key(start) <= key < encode_key(end)]
        for selector, expected in (({"prefix": prefix}, below), ({"start": start, "end": end}, between)):
            found: list[Entry[Any]] = []
            cursor = ""
            while True:
                listing = kv.list(**selector, reverse=reverse, limit=limit, batch_size=size, cursor=cursor)
                found += [entry async for entry in listing]
                cursor = listing.cursor
                if not cursor:
                    break
            assert [encode_key(entry.key) for entry in found] == expected
