"""Typed signatures that lie, and exports whose shape the host does not expect: they only ever hurt their own guest."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hostile_stage import TIGHT, Case, Stage, section, signed, table, wat

from echelon.errors import GuestError, InvalidModule, LoadError, OutputExceeded
from echelon.runtime import binary
from echelon.runtime.limits import Limits
from echelon.runtime.memory import OutOfBounds

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRING = {"kind": "string", "id": 2}
BYTES = {"kind": "view", "id": 4, "item": "u8"}
TEXT = {"type": "str", "wire": STRING}
NUMBER = {"type": "i32"}

RUNTIME = """
  (func (export "__new") (param i32 i32) (result i32) (i32.const 64))
  (func (export "__pin") (param i32) (result i32) (local.get 0))"""
IDENTITY = f"""(module (memory (export "memory") 1) {RUNTIME}
  (func (export "f") (param i32) (result i32) (local.get 0)))"""
LISTS = f"""(module (memory (export "memory") 16) {RUNTIME}
  (func (export "f") (result i32) (local i32)
    ;; a list of 65000 pointers that are all its own address
    (i32.store (i32.const 4) (i32.const 64)) (i32.store (i32.const 8) (i32.const 260000))
    (i32.store (i32.const 12) (i32.const 65000))
    (loop (i32.store (i32.add (i32.const 64) (local.get 0)) (i32.const 0))
      (local.set 0 (i32.add (local.get 0) (i32.const 4)))
      (br_if 0 (i32.lt_u (local.get 0) (i32.const 260000))))
    (i32.const 0)))"""


def claims(content: bytes) -> bytes:
    """Return a module with this as its signature."""
    return binary.add_custom_section(wat(IDENTITY), "echelon:signature", content)


def nested(depth: int, leaf: Any) -> Any:
    """Return a wire of lists in lists."""
    for _ in range(depth):
        leaf = {"kind": "array", "id": 5, "item": leaf}
    return leaf


def returns(wire: Any, type_name: str = "list<i32>") -> dict[str, Any]:
    return {"name": "f", "results": [{"type": type_name, "wire": wire}]}


def gives(content: bytes, result: int) -> str:
    """Return a module whose `f` returns an address in a memory that begins with `content`."""
    data = "".join(f"\\{byte:02x}" for byte in content)
    return (
        f'(module (memory (export "memory") 1) (data (i32.const 0) "{data}")'
        f' (func (export "f") (result i32) (i32.const {result})))'
    )


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def many(kind: str, count: int) -> str:
    return f"(result {f'{kind} ' * count}) " + f"({kind}.const 1) " * count


def with_runtime(**functions: str) -> bytes:
    """Return a typed module whose runtime functions are those given, or harmless."""
    usual = {
        "__new": "(param i32 i32) (result i32) (i32.const 64)",
        "__pin": "(param i32) (result i32) (local.get 0)",
    }
    text = "".join(f'(func (export "{name}") {body})' for name, body in (usual | functions).items())
    return signed(
        f'(module (memory (export "memory") 1) {text} (func (export "f") (param i32) (result i32) (local.get 0)))',
        {"name": "f", "params": [TEXT], "results": [NUMBER]},
    )


SHAPES = (
    Case("200 results", f'(module (func (export "f") {many("i64", 200)}))', TypeError, "more than 64"),
    Case("65 results", f'(module (func (export "f") {many("f64", 65)}))', TypeError, "more than 64"),
    Case("64 results", f'(module (func (export "f") {many("i64", 64)}))', None),
    Case("200 results of a kept instance", f'(module (func (export "f") {many("i64", 200)}))', TypeError, kept=True),
    Case("70 parameters", f'(module (func (export "f") (param {"i32 " * 70})))', TypeError, "more than 64",
         args=(1,) * 70),
    Case("200 results of _initialize",
         f'(module (func (export "_initialize") {many("i64", 200)}) (func (export "f")))', InvalidModule,
         "200 results"),
    Case("_initialize with parameters",
         '(module (func (export "_initialize") (param i32)) (func (export "f")))', InvalidModule, "1 parameters"),
    Case("200 results of __new", lambda: with_runtime(__new=f"(param i32 i32) {many('i32', 200)}"), InvalidModule,
         "another type", args=("x",)),
    Case("200 parameters of __new", lambda: with_runtime(__new=f"(param {'i32 ' * 200}) (result i32) (i32.const 8)"),
         InvalidModule, "another type", args=("x",)),
    Case("one more parameter of __new", lambda: with_runtime(__new="(param i32 i32 i32) (result i32) (local.get 2)"),
         InvalidModule, "another type", args=("x",)),
    Case("__new of floats", lambda: with_runtime(__new="(param f64 f64) (result f64) (f64.const nan)"),
         InvalidModule, "another type", args=("x",)),
    Case("__new of references", lambda: with_runtime(__new="(param externref externref) (result externref)"
                                                     " (local.get 0)"), InvalidModule, "another type", args=("x",)),
    Case("__pin of 64-bit numbers", lambda: with_runtime(__pin="(param i64) (result i64) (local.get 0)"), InvalidModule,
         "another type", args=("x",)),
    Case("a reference in", '(module (func (export "f") (param funcref)))', TypeError, args=(7,)),
    Case("a forged reference in", '(module (func (export "f") (param externref)))', TypeError, args=(b"\xff" * 8,)),
)  # fmt: skip

FORGED = (
    Case("not JSON", lambda: claims(b"{"), InvalidModule, "malformed"),
    Case("not UTF-8", lambda: claims(b'{"version":1,"abi":"\xff"}'), InvalidModule, "malformed"),
    Case("a megabyte and one byte", lambda: claims(b" " * (1 << 20 | 1)), InvalidModule, "at most"),
    Case("brackets without end", lambda: claims(
        b'{"version":1,"language":"x","abi":"core","exports":' + b"[" * 500_000),
        InvalidModule, "malformed"),
    Case("a wire nested 100 000 times", lambda: claims(
        b'{"version":1,"language":"x","abi":"assemblyscript","exports":[{"name":"f","params":[{"type":"str","wire":'
        + b'{"item":' * 100_000 + b"1" + b"}" * 100_000 + b"}]}]}"), InvalidModule, "malformed"),
    Case("version 2", lambda: signed(IDENTITY, version=2), InvalidModule, "version 2"),
    Case("a huge version", lambda: signed(IDENTITY, version=10**30), InvalidModule),
    Case("an unknown ABI", lambda: signed(IDENTITY, {"name": "f"}, abi="../../etc"), InvalidModule, "unknown ABI"),
    Case("an export that is not there", lambda: signed(IDENTITY, {"name": "g"}), InvalidModule, "does not export"),
    Case("too many parameters", lambda: signed(IDENTITY, {"name": "f", "params": [NUMBER] * 2, "results": [NUMBER]}),
         InvalidModule, "does not fit"),
    Case("a wider type", lambda: signed(IDENTITY, {"name": "f", "params": [{"type": "i64"}], "results": [NUMBER]}),
         InvalidModule, "does not fit"),
    Case("100 000 exports of one name", lambda: signed(IDENTITY, *[{"name": "f"}] * 60_000), InvalidModule,
         "does not fit"),
    Case("no wire", lambda: signed(IDENTITY, {"name": "f", "params": [{"type": "str"}], "results": [NUMBER]}),
         InvalidModule, "missing", args=("x",)),
    Case("the core ABI with text", lambda: signed(
        IDENTITY, {"name": "f", "params": [TEXT], "results": [NUMBER]}, abi="core"), TypeError, "lay out", args=("x",)),
    Case("an unknown layout", lambda: signed(
        IDENTITY, {"name": "f", "params": [{"type": "str", "wire": {"kind": "pickle"}}], "results": [NUMBER]}),
        InvalidModule, "unknown layout", args=("x",)),
    Case("an unknown item", lambda: signed(
        IDENTITY, {"name": "f", "params": [{"type": "list<x>", "wire": {"kind": "array", "id": 3, "item": "P"}}],
                   "results": [NUMBER]}), InvalidModule, "unknown item", args=([1],)),
    *(Case(f"a class of id {number!r}", lambda number=number: signed(
        IDENTITY, {"name": "f", "params": [{"type": "str", "wire": {"kind": "string", "id": number}}],
                   "results": [NUMBER]}), InvalidModule, "malformed", args=("x",))
      for number in (-1, 1 << 32, 10**40, 1.5, "2", None, [])),
    Case("lists nested too deeply", lambda: signed(IDENTITY, {"name": "f", "params": [
        {"type": "list<i32>", "wire": nested(9, "i32")}], "results": [NUMBER]}), InvalidModule, "nested too deeply",
        args=([[[[[[[[[1]]]]]]]]],)),
    Case("no memory", lambda: signed(
        f'(module {RUNTIME} (func (export "f") (param i32)))', {"name": "f", "params": [TEXT]}), InvalidModule,
        "no memory", args=("x",)),
    Case("no __new", lambda: signed(
        '(module (memory (export "memory") 1) (func (export "f") (param i32)))', {"name": "f", "params": [TEXT]}),
        InvalidModule, "__new", args=("x",)),
    Case("__new outside the memory", lambda: with_runtime(__new="(param i32 i32) (result i32) (i32.const -8)"),
         OutOfBounds, args=("x",)),
    Case("__new at the very end", lambda: with_runtime(__new="(param i32 i32) (result i32) (i32.const 65535)"),
         OutOfBounds, args=("x",)),
)  # fmt: skip

RESULTS = (
    Case("a null string", lambda: signed(gives(b"", 0), returns(STRING, "str")), OutOfBounds),
    Case("a string before the memory", lambda: signed(gives(b"", 3), returns(STRING, "str")), OutOfBounds),
    Case("a string after the memory", lambda: signed(gives(b"", -1), returns(STRING, "str")), OutOfBounds),
    Case("a string of 4 GiB", lambda: signed(gives(words(0xFFFF_FFFF), 4), returns(STRING, "str")), OutputExceeded),
    Case("a string beyond the end", lambda: signed(gives(words(65_533), 4), returns(STRING, "str")),
         (OutOfBounds, OutputExceeded)),
    Case("a string of half a character", lambda: signed(gives(words(3) + b"abc", 4), returns(STRING, "str")), None),
    Case("bytes of 4 GiB", lambda: signed(gives(words(0xFFFF_FFFC), 4), returns({"kind": "buffer", "id": 1}, "bytes")),
         OutputExceeded),
    Case("a view of 4 GiB", lambda: signed(
        gives(words(0, 0, 0xFFFF_FFFF), 0), returns(BYTES, "bytes")), OutputExceeded),
    Case("a view that wraps around", lambda: signed(
        gives(words(0, 0xFFFF_FFF0, 0x100), 0), returns(BYTES, "bytes")), OutOfBounds),
    Case("an array of 4 Gi items", lambda: signed(
        gives(words(0, 0, 0, 0xFFFF_FFFF), 0), returns({"kind": "array", "id": 4, "item": "f64"})), OutputExceeded),
    Case("an array that wraps around", lambda: signed(
        gives(words(0, 0xFFFF_FFF8, 0, 4), 0), returns({"kind": "array", "id": 4, "item": "f64"})), OutOfBounds),
    Case("a list in itself", lambda: signed(
        gives(words(0, 0, 0, 4), 0), returns(nested(8, "i32"))), OutputExceeded,
         limits=Limits(memory="16MiB", time=2, output="16KiB")),
    Case("one list, 65 000 times, eight deep", lambda: signed(LISTS, returns(nested(7, "i32"))), OutputExceeded,
         limits=Limits(memory="16MiB", time=2, output="1MiB")),
    Case("empty lists by the ten thousand", lambda: signed(
        gives(words(0, 16, 0, 16_000), 0), returns(nested(2, "i32"))),
        (OutputExceeded, OutOfBounds), limits=Limits(memory="16MiB", time=2, output="64KiB")),
    Case("a wire that ends in nothing", lambda: signed(
        gives(words(0, 16, 0, 1), 0), returns({"kind": "array", "id": 4})), InvalidModule),
    Case("options in options", lambda: signed(gives(b"", 1), returns(
        {"kind": "nullable", "item": {"kind": "nullable", "item": {"kind": "nullable", "item": STRING}}}, "str")),
        OutOfBounds),
)  # fmt: skip


@table(SHAPES)
async def test_shapes(stage: Stage, case: Case) -> None:
    """An export with more values than a call has room for, or of another type than its name promises, is not called."""
    await stage.play(case)


@table(FORGED)
async def test_forged_signatures(stage: Stage, case: Case) -> None:
    """A signature that contradicts the module or itself is refused, at the latest when it would be used."""
    await stage.play(case)


@table(RESULTS)
async def test_lying_results(stage: Stage, case: Case) -> None:
    """A pointer, length or layout that lies is an error of this guest; no aliasing passes the output limit."""
    await stage.play(case)


async def test_a_call_does_not_see_the_values_of_another(stage: Stage) -> None:
    """What one guest was called with never reaches another, whatever types its functions have."""
    async with stage.guarded():
        secret = await stage.runtime.load(wat('(module (func (export "f") (param i32 i32 i32 i32)))'))
        spy = await stage.runtime.load(
            with_runtime(__new="(param i32 i32 i32 i32) (result i32) (local.get 2)")
        )
        for _ in range(20):
            await secret.call("f", 31337, 31337, 31337, 31337)
            with pytest.raises(InvalidModule, match="another type"):
                await spy.call("f", "x")
        secret.close()
        spy.close()


async def test_exports_without_end(stage: Stage) -> None:
    """A small file with millions of parameters to plan for is refused at once, not planned."""
    types = b"\x60" + binary.leb(256) + b"\x7f" * 256 + binary.leb(256) + b"\x7f" * 256
    names = b"".join(b"\x06%06d\0\0" % number for number in range(10_000))
    exports = binary.MAGIC + section(1, b"\x01" + types) + section(3, b"\x01\0")
    exports += section(7, binary.leb(10_000) + names) + section(10, b"\x01\x03\0\0\x0b")
    many_types = binary.MAGIC + section(1, binary.leb(20_000) + types * 20_000)
    async with stage.guarded():
        with pytest.raises(InvalidModule, match="5120000 parameters and results together"):
            await stage.runtime.load(exports)
        with pytest.raises(InvalidModule, match="more than 200000 parameters"):
            await stage.runtime.load(many_types)


async def test_closing_an_instance_that_runs(stage: Stage) -> None:
    """Closing a kept instance in the middle of a call lets the call end first."""
    module = await stage.runtime.load(wat('(module (func (export "f") (loop br 0)))'), limits=TIGHT)
    async with stage.guarded():
        for _ in range(3):
            async with module.instance() as live:
                running, waiting = asyncio.create_task(live.call("f")), asyncio.create_task(live.call("f"))
                await asyncio.sleep(0.03)
                live.close()
                with pytest.raises(GuestError, match="ran longer"):
                    await running
                with pytest.raises(GuestError, match="dropped"):
                    await waiting
    module.close()


async def test_callers_of_one_instance_take_turns(stage: Stage) -> None:
    """Short and long calls of one kept instance, by several tasks at once, each get their own result."""
    count = """(module (func (export "f") (param i32) (result i32) (local i32)
      (loop (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 1) (local.get 0))))
      local.get 1))"""
    module = await stage.runtime.load(wat(count), limits=Limits(time=20))
    async with stage.guarded(), module.instance() as live:

        async def user(which: int) -> None:
            for turn in range(12):
                number = (8_000_000 if (turn + which) % 3 == 0 else 10) + 100 * which + turn
                assert await live.call("f", number) == number

        await asyncio.gather(user(1), user(2), user(3))
    module.close()


async def test_http_guests_of_another_type(stage: Stage) -> None:
    """A guest that claims to answer HTTP but allocates with another type is no HTTP guest."""
    from echelon.runtime.http_guest import check_handles

    text = """(module (memory (export "memory") 1)
      (func (export "echelon_alloc") (param i32 i32) (result i32) (i32.const 0))
      (func (export "handle") (param i32 i32) (result i64) (i64.const 0)))"""
    module = await stage.runtime.load(wat(text))
    with pytest.raises(LoadError, match="does not answer HTTP"):
        check_handles(module._ready, "forged")
    module.close()
