"""The key-value store as guests see it: values, keys, lists, commits, grants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echelon.errors import GuestError, HostError, PermissionDenied
from echelon.kv import U64, Kv, open_kv
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.generator import Generator
from echelon.runtime import guest_kv
from echelon.runtime.core import Runtime
from echelon.runtime.frames import Reader, Writer
from echelon.runtime.guest_kv import read_key, write_key
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module
from echelon.runtime.permissions import Permissions

SOURCE = """
import { kv } from "echelon";
function user(n: i64): kv.Key { return kv.key("users").int(n) }
export function put(n: i64, name: string): string { return kv.setText(user(n), name) }
export function name(n: i64): string | null {
  const found = kv.get(user(n));
  return found === null ? null : found.kind.toString() + " " + found.text();
}
export function stamp(n: i64): string { const e = kv.get(user(n)); return e === null ? "" : e.versionstamp }
export function bytes(n: i64, b: ArrayBuffer): void { kv.set(user(n), b) }
export function json(n: i64, text: string): void { kv.setJson(user(n), text) }
export function brief(n: i64, name: string, ms: i64): void { kv.setText(user(n), name, ms) }
export function remove(n: i64): void { kv.remove(user(n)) }
export function page(limit: i32, cursor: string, reverse: bool): string[] {
  const page = kv.list(kv.key("users"), limit, cursor, reverse);
  const out: string[] = [];
  for (let i = 0; i < page.entries.length; i++) {
    out.push(page.entries[i].key.intAt(1).toString() + "=" + page.entries[i].text());
  }
  out.push(page.cursor);
  return out;
}
export function between(start: i64, end: i64): i32 {
  return kv.list(kv.key("users"), 100, "", false, user(start), user(end)).entries.length;
}
export function outside(): void { kv.list(kv.key("users"), 9, "", false, kv.key("a"), kv.key("z")) }
export function rename(n: i64, stamp: string, name: string): string | null {
  return kv.atomic().check(user(n), stamp).setText(user(n), name).sum(kv.key("users").text("edits"), 1).commit();
}
export function number(): u64 { const e = kv.get(kv.key("users").text("edits")); return e === null ? 0 : e.number() }
export function extremes(): bool {
  const k = kv.key("users").text("x");
  kv.setNumber(k, 10);
  kv.atomic().min(k, 5).max(k, 7).remove(user(1)).commit();
  const e = kv.get(k);
  return e !== null && e.number() == 7;
}
export function exotic(): string {
  const k = kv.key("users").float(0.5).bool(true).bytes(String.UTF8.encode("raw")).int(-1).text("é");
  kv.set(k, new ArrayBuffer(3));
  const e = kv.list(kv.key("users").float(0.5)).entries[0];
  return e.key.floatAt(1).toString() + e.key.boolAt(2).toString() + String.UTF8.decode(e.key.bytesAt(3))
    + e.key.intAt(4).toString() + e.key.textAt(5) + e.content.byteLength.toString() + e.key.length.toString();
}
export function other(): void { kv.setText(kv.key("secrets"), "x") }
export function everything(): i32 { return kv.list(new kv.Key()).entries.length }
export function commitOther(): void { kv.atomic().check(kv.key("secrets"), "").setText(user(1), "x").commit() }
"""
ALLOWED = Permissions(kv=["users"])


@pytest.fixture(scope="module")
def wasm(home: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The guest, compiled once."""

    async def compile_it() -> bytes:
        async with Generator([AssemblyScript(home=home)], tmp_path_factory.mktemp("artifacts")) as generator:
            return (await generator.compile(SOURCE, "typescript")).wasm

    return asyncio.run(compile_it())


@pytest.fixture
async def kv(runtime: Runtime) -> AsyncIterator[Kv]:
    """A store in memory, which the runtime's guests see."""
    async with open_kv(":memory:") as kv:
        runtime.kv = kv
        yield kv


@pytest.fixture
async def guest(runtime: Runtime, kv: Kv, wasm: bytes) -> Module:
    return await runtime.load(wasm, permissions=ALLOWED)


async def test_values_of_every_kind(guest: Module, kv: Kv) -> None:
    """What a guest stores Python reads as the same value, and the other way round."""
    stamp = await guest.call("put", 1, "Ada")
    entry = await kv.get(("users", 1))
    assert (entry.value, entry.versionstamp) == ("Ada", stamp)
    assert await guest.call("stamp", 1) == stamp
    await guest.call("bytes", 2, b"\0\xff")
    assert (await kv.get(("users", 2))).value == b"\0\xff"
    await guest.call("json", 3, '{"name": "Bob", "age": [1, null, 2.5]}')
    assert (await kv.get(("users", 3))).value == {"name": "Bob", "age": [1, None, 2.5]}
    values: list[tuple[Any, str]] = [
        ("text", "1 text"),
        (b"raw", "0 raw"),
        ({"a": [1, True]}, '2 {"a":[1,true]}'),
        (None, "2 null"),
        (7, "2 7"),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, '2 {"at":"2026-01-02T00:00:00Z"}'),
        ({"n": U64(5)}, '2 {"n":5}'),
    ]
    for value, shown in values:
        await kv.set(("users", 4), value)
        assert await guest.call("name", 4) == shown
    assert await guest.call("name", 99) is None


async def test_values_that_guests_cannot_read(guest: Module, kv: Kv) -> None:
    """A value without any JSON form stops the call with a clear error, and so does JSON that is none."""
    await kv.set(("users", 1), {None: 1})
    with pytest.raises(HostError, match="no form that guests can read"):
        await guest.call("name", 1)
    with pytest.raises(GuestError, match="a JSON value that is none"):
        await guest.call("json", 1, "{")


async def test_expiry_and_removal(guest: Module, kv: Kv) -> None:
    """What is stored for a time is gone afterwards; a negative time is refused."""
    await guest.call("brief", 1, "soon gone", 60_000)
    assert (await kv.get(("users", 1))).value == "soon gone"
    await guest.call("remove", 1)
    assert (await kv.get(("users", 1))).versionstamp is None
    for time in (-1, 1 << 60):
        with pytest.raises(GuestError, match="write 0 for ever"):
            await guest.call("brief", 1, "x", time)


async def test_lists(guest: Module, kv: Kv) -> None:
    """A list goes on with its cursor, in either order, and between bounds."""
    for n in range(7):
        await kv.set(("users", n), f"u{n}")
    *entries, cursor = await guest.call("page", 3, "", False)
    assert entries == ["0=u0", "1=u1", "2=u2"]
    *entries, cursor = await guest.call("page", 3, cursor, False)
    assert entries == ["3=u3", "4=u4", "5=u5"]
    assert await guest.call("page", 3, cursor, False) == ["6=u6", ""]
    *entries, cursor = await guest.call("page", 2, "", True)
    assert entries == ["6=u6", "5=u5"]
    assert (await guest.call("page", 1, cursor, True))[0] == "4=u4"
    assert await guest.call("between", 2, 5) == 3
    with pytest.raises(GuestError, match="does not begin with the prefix"):
        await guest.call("outside")
    with pytest.raises(HostError, match=r"echelon.kv_list failed: the cursor is not valid"):
        await guest.call("page", 3, "!", False)
    with pytest.raises(GuestError, match="at most 1000"):
        await guest.call("page", 1001, "", False)


async def test_a_list_ends_at_its_size(guest: Module, kv: Kv, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large entries make a page short; its cursor leads to the rest."""
    monkeypatch.setattr(guest_kv, "MAX_LIST_BYTES", 100)
    for n in range(4):
        await kv.set(("users", n), "x" * 60)
    *entries, cursor = await guest.call("page", 100, "", False)
    assert [entry[0] for entry in entries] == ["0"]
    *entries, cursor = await guest.call("page", 100, cursor, False)
    assert [entry[0] for entry in entries] == ["1"]


async def test_commits(guest: Module, kv: Kv) -> None:
    """A commit applies everything, or nothing when a check fails."""
    first = await guest.call("rename", 1, "", "Ada")
    assert first is not None
    assert await guest.call("rename", 1, "", "Bob") is None
    assert await guest.call("rename", 1, first, "Ada L.") is not None
    assert (await kv.get(("users", 1))).value == "Ada L."
    assert await guest.call("number") == 2
    assert (await kv.get(("users", "edits"))).value == U64(2)
    assert await guest.call("extremes")
    assert (await kv.get(("users", 1))).versionstamp is None
    with pytest.raises(HostError, match="a versionstamp has 20 hexadecimal digits"):
        await guest.call("rename", 1, "zz", "Ada")


async def test_parts_of_every_kind(guest: Module, kv: Kv) -> None:
    """Each kind of part keeps its type and value."""
    assert await guest.call("exotic") == "0.5trueraw-1é36"
    assert (await kv.get(("users", 0.5, True, b"raw", -1, "é"))).value == b"\0\0\0"


@given(
    st.lists(st.text() | st.binary() | st.integers() | st.floats(allow_nan=False) | st.booleans(), max_size=6)
)
def test_keys_roundtrip(parts: list[Any]) -> None:
    """Every key of the store crosses without loss of value or type."""
    writer = Writer()
    write_key(writer, tuple(parts))
    reader = Reader(bytes(writer.buffer), "key")
    found = read_key(reader)
    reader.end()
    assert [(type(part), part) for part in found] == [(type(part), part) for part in parts]


@given(st.binary(max_size=60))
def test_broken_buffers_are_refused(data: bytes) -> None:
    """Bytes that are no key are a clear error of the guest, never another."""
    reader = Reader(data, "key")
    with contextlib.suppress(GuestError):
        key = read_key(reader)
        reader.end()
        writer = Writer()
        write_key(writer, key)
        assert len(writer.buffer) <= len(data)


@pytest.mark.parametrize("function", ["other", "commitOther", "everything"])
async def test_undefined_and_foreign_keys_are_denied(
    runtime: Runtime, kv: Kv, wasm: bytes, function: str
) -> None:
    """Without a grant nothing is reached, with one only what it names: in commits and lists too."""
    for permissions in (Permissions(), ALLOWED, Permissions(kv=["user"])):
        module = await runtime.load(wasm, permissions=permissions)
        with pytest.raises(PermissionDenied) as caught:
            await module.call(function)
        assert caught.value.permission == "kv"
        assert caught.value.grant.startswith("--allow-kv")
    assert [entry async for entry in kv.list(prefix=())] == []
    everything = await runtime.load(wasm, permissions=Permissions(kv=True))
    await everything.call(function)


async def test_a_call_narrows_the_grant(guest: Module) -> None:
    """The permissions of a call can take keys away from those of its module."""
    await guest.call("put", 1, "Ada")
    narrow = Permissions(kv=[["users", 2]])
    with pytest.raises(PermissionDenied, match=r'kv to "users/1" \(grant it with --allow-kv=users\)'):
        await guest.call("put", 1, "Bob", permissions=narrow)
    await guest.call("put", 2, "Bob", permissions=narrow)


async def test_denied_keys_are_hidden_from_lists(runtime: Runtime, kv: Kv, wasm: bytes) -> None:
    """A list shows nothing of what is denied below its prefix, not even through its cursor."""
    denied = Permissions(kv=["users"], deny=Permissions(kv=[["users", n] for n in (1, 2, 3, 5, 6)]))
    module = await runtime.load(wasm, permissions=denied)
    for n in range(7):
        await kv.set(("users", n), f"u{n}")
    *entries, cursor = await module.call("page", 1, "", False)
    assert entries == ["0=u0"]
    *entries, cursor = await module.call("page", 1, cursor, False)
    assert entries == ["4=u4"]
    assert await module.call("page", 2, cursor, False) == [""]
    with pytest.raises(PermissionDenied, match="without --deny-kv=users/1"):
        await module.call("put", 1, "x")


async def test_without_a_store(runtime: Runtime, wasm: bytes) -> None:
    """A runtime without a store says how to give it one, but not to a guest that was granted nothing."""
    with pytest.raises(PermissionDenied):
        await (await runtime.load(wasm)).call("rename", 1, "", "Ada")
    module = await runtime.load(wasm, permissions=ALLOWED)
    with pytest.raises(
        HostError, match=r"no key-value store for its guests: give it one with `runtime.kv = kv`"
    ):
        await module.call("put", 1, "Ada")


async def test_limits_of_the_store(guest: Module) -> None:
    """What is too large for the store is an error of this call, with the store's own reason."""
    with pytest.raises(HostError, match=r"echelon.kv_set failed: the value is too large: 65537 bytes"):
        await guest.call("bytes", 1, b"x" * 65_537)
    with pytest.raises(GuestError, match="at most 1048576 are accepted"):
        await guest.call("bytes", 1, b"x" * (1 << 20) + b"x", limits=Limits(time=1))


RAW = """(module
  (import "echelon" "kv_get" (func $get (param i32 i32) (result i32)))
  (import "echelon" "kv_atomic" (func $atomic (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "get") (param i32 i32) (result i32) (call $get (local.get 0) (local.get 1)))
  (func (export "atomic") (param i32 i32) (result i32) (call $atomic (local.get 0) (local.get 1))))"""


async def test_hostile_pointers(runtime: Runtime, kv: Kv, wat: Any) -> None:
    """Pointers outside the memory and buffers that lie about themselves end the call, nothing else."""
    module = await runtime.load(wat(RAW), permissions=Permissions(kv=True))
    for pointer, length in ((65_536, 1), (-1, 1), (0, 65_537), (65_535, 2)):
        for function in ("get", "atomic"):
            with pytest.raises(GuestError, match="outside the guest's memory"):
                await module.call(function, pointer, length)
    with pytest.raises(GuestError, match="at most 1048576"):
        await module.call("get", 0, -1)
    for length, message in ((3, "in the middle of a value"), (5, "1 bytes too many")):
        with pytest.raises(GuestError, match=message):
            await module.call("get", 0, length)
    async with module.instance() as live:
        live.memory.write(0, (1 << 31).to_bytes(4, "little"))
        with pytest.raises(GuestError, match="where at most 2048 makes sense"):
            await live.call("get", 0, 4)
    async with module.instance() as live:
        live.memory.write(0, b"\0\0\0\0\1\0\0\0\x09" + b"\0" * 20)
        with pytest.raises(GuestError, match="an action 9"):
            await live.call("atomic", 0, 24)
