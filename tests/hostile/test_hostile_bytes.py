"""Bytes that are no module, or were one: cut, flipped, of another kind, version or proposal."""

from __future__ import annotations

import contextlib
import random

import pytest
from hostile_puppet import KIT, WASI, forwarder
from hostile_stage import TIGHT, Case, Stage, leb, section, signed, table, wat

from echelon.errors import EchelonError, InvalidModule, LoadError
from echelon.runtime import binary
from echelon.runtime.binary import MAGIC
from echelon.runtime.limits import Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLE = """(module (type $t (func (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1 4) (table 4 8 funcref) (global $g (mut i64) (i64.const 7))
  (elem (i32.const 0) $double $f) (data (i32.const 8) "hello")
  (func $double (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
  (func $f (export "f") (param i32) (result i32) (local v128 f64)
    (block (loop (br_if 1 (i32.gt_u (local.get 0) (i32.const 1000)))
      (local.set 0 (call_indirect (type $t) (local.get 0) (i32.const 0))) (br_if 0 (local.get 0))))
    (if (result i32) (local.get 0) (then (memory.grow (i32.const 1))) (else (i32.load8_u (i32.const 8)))))
  (func (export "g") (result i64 f64) (global.get $g) (f64.const 2.5))
  (start $s) (func $s (global.set $g (i64.const 9))))"""
TYPED = """(module (memory (export "memory") 1) (func (export "__new") (param i32 i32) (result i32) (i32.const 64))
  (func (export "__pin") (param i32) (result i32) (local.get 0))
  (func (export "f") (param i32) (result i32) (local.get 0)))"""
TEXT = {"type": "str", "wire": {"kind": "string", "id": 2}}


def body(code: bytes, *before: bytes) -> bytes:
    """Return a module with one function of these bytes, after other sections."""
    return (
        MAGIC + section(1, b"\x01\x60\0\0") + section(3, b"\x01\0") + b"".join(before)
        + section(7, b"\x01\x01f\0\0") + section(10, b"\x01" + leb(len(code) + 2) + b"\0" + code + b"\x0b")
    )  # fmt: skip


MALFORMED = (
    Case("nothing", lambda: b"", LoadError, "not a WebAssembly module"),
    Case("text", lambda: b"(module)", LoadError, "not a WebAssembly module"),
    Case("text after spaces", lambda: b"  \n (module)", LoadError, "not a WebAssembly module"),
    Case("text after a comment", lambda: b";; \0asm\n(module)", LoadError, "not a WebAssembly module"),
    Case("text after a byte order mark", lambda: b"\xef\xbb\xbf(module)", LoadError, "not a WebAssembly module"),
    Case("a program", lambda: b"\x7fELF\2\1\1\0" + bytes(64), LoadError, "not a WebAssembly module"),
    Case("native code of the engine", lambda: b"\0wasmtime-aot" + bytes(64), LoadError),
    Case("four bytes", lambda: MAGIC[:4], LoadError),
    Case("seven bytes", lambda: MAGIC[:7], LoadError),
    Case("version 0", lambda: b"\0asm\0\0\0\0", InvalidModule, "version 0"),
    Case("version 2", lambda: b"\0asm\2\0\0\0", InvalidModule, "version 2"),
    Case("a component cut short", lambda: b"\0asm\x0d\0\1\0\1", LoadError),
    Case("a component of another draft", lambda: b"\0asm\x0a\0\1\0", LoadError),
    Case("a module called a component", lambda: b"\0asm\x0d\0\1\0" + wat(TYPED)[8:], LoadError),
    Case("a section that is longer than the file", lambda: MAGIC + b"\1\xff\xff\xff\xff\x0f", InvalidModule, "longer"),
    Case("a length of six bytes", lambda: MAGIC + b"\1\x80\x80\x80\x80\x80\0", InvalidModule, "32 bits"),
    Case("a section that ends too early", lambda: MAGIC + section(1, b"\x05\x60\0\0"), InvalidModule, "middle"),
    Case("a section that ends too late", lambda: MAGIC + section(1, b"\x01\x60\0\0\0"), InvalidModule),
    Case("sections in the wrong order", lambda: MAGIC + section(3, b"\0") + section(1, b"\0"), InvalidModule, "order"),
    Case("a section twice", lambda: MAGIC + section(1, b"\0") * 2, InvalidModule, "order"),
    Case("a section that nobody knows", lambda: MAGIC + section(99, b""), InvalidModule, "section 99"),
    Case("exports of one name", lambda: MAGIC + section(7, b"\2\1a\0\0\1a\0\0"), InvalidModule, "two exports"),
    Case("an export of nothing", lambda: MAGIC + section(7, b"\1\1a\0\5"), InvalidModule, "function 5"),
    Case("an exported memory that is not there", lambda: MAGIC + section(7, b"\1\6memory\2\0"), InvalidModule),
    Case("an exported table that is not there", lambda: MAGIC + section(7, b"\1\1a\1\xff\x7f"), InvalidModule),
    Case("an export of a kind that nobody knows", lambda: MAGIC + section(7, b"\1\1a\x09\0"), InvalidModule, "kind 9"),
    Case("a name that is no UTF-8", lambda: MAGIC + section(7, b"\1\2\xc3\x28\0\0"), InvalidModule, "UTF-8"),
    Case("functions without bodies", lambda: MAGIC + section(1, b"\1\x60\0\0") + section(3, b"\1\0"), InvalidModule),
    Case("an instruction that nobody knows", lambda: body(b"\xff"), InvalidModule),
    Case("an operand that is missing", lambda: body(b"\x6a\x1a"), InvalidModule),
    Case("a branch to nowhere", lambda: body(b"\x0c\x07"), InvalidModule),
    Case("a local that is not there", lambda: body(b"\x20\x07\x1a"), InvalidModule),
    Case("a call of nothing", lambda: body(b"\x10\xff\xff\xff\xff\x0f"), InvalidModule),
    Case("data without a memory", lambda: MAGIC + section(11, b"\1\0\x41\0\x0b\1x"), InvalidModule),
    Case("a data count that lies", lambda: body(b"", section(12, b"\5")), InvalidModule),
    Case("elements without a table", lambda: body(b"", section(9, b"\1\0\x41\0\x0b\1\0")), InvalidModule),
)  # fmt: skip

PROPOSALS = (
    Case("shared memory", '(module (memory 1 2 shared) (func (export "f")))', InvalidModule, "shared"),
    Case("atomic instructions", '(module (memory 1) (func (export "f") (drop (i32.atomic.load (i32.const 0)))))',
         InvalidModule),
    Case("waiting on memory", """(module (memory 1) (func (export "f")
         (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))""", InvalidModule),
    Case("64-bit memory", '(module (memory i64 1) (func (export "f")))', InvalidModule, "64-bit"),
    Case("64-bit tables", '(module (table i64 1 funcref) (func (export "f")))', InvalidModule, "64-bit"),
    Case("pages of one byte", '(module (memory 1 (pagesize 1)) (func (export "f")))', InvalidModule, "custom-page"),
    Case("several memories", '(module (memory 1) (memory 1) (func (export "f")))', InvalidModule, "memories"),
    Case("structs", "(module (type (struct (field i32))))", InvalidModule, "garbage collection"),
    Case("arrays", "(module (type (array i32)))", InvalidModule, "garbage collection"),
    Case("recursive types", "(module (rec (type $a (func (param (ref $a))))))", InvalidModule),
    Case("i31 references", '(module (func (export "f") (drop (ref.i31 (i32.const 1)))))', InvalidModule),
    Case("typed references", "(module (type $t (func)) (func (param (ref $t))))", InvalidModule, "not enabled"),
    Case("calls through references", """(module (type $t (func)) (func $f (export "f") (call_ref $t (ref.func $f)))
         (elem declare func $f))""", InvalidModule),
    Case("exceptions", '(module (tag) (func (export "f") (throw 0)))', InvalidModule),
    Case("catching exceptions", '(module (func (export "f") (try_table (catch_all 0))))', InvalidModule),
    Case("continuations", "(module (type $f (func)) (type (cont $f)))", InvalidModule),
    Case("globals of references", '(module (type $t (func)) (global (ref null $t) (ref.null $t)) (func (export "f")))',
         InvalidModule),
    Case("imported memory", '(module (import "env" "memory" (memory 1)) (func (export "f")))', LoadError,
         "nothing provides"),
    Case("imported tables", '(module (import "env" "table" (table 1 funcref)))', LoadError, "nothing provides"),
    Case("imported globals", '(module (import "env" "g" (global v128)))', LoadError, "nothing provides"),
    Case("imports of WASI by another type", """(module (import "wasi_snapshot_preview1" "fd_write"
         (func (param i64 i64 i64 i64) (result i64))))""", LoadError, "but it is"),
    Case("imports of WASI as a memory", '(module (import "wasi_snapshot_preview1" "fd_write" (memory 1)))', LoadError),
    Case("the WASI of 2019", '(module (import "wasi_unstable" "fd_write" (func)))', LoadError, "2019"),
)  # fmt: skip


@table(MALFORMED)
async def test_malformed(stage: Stage, case: Case) -> None:
    """What is no module is refused when it is loaded, with a reason."""
    await stage.play(case)


@table(PROPOSALS)
async def test_proposals(stage: Stage, case: Case) -> None:
    """What belongs to a proposal that is not enabled, or to a host that is not ours, is refused when it is loaded."""
    await stage.play(case)


async def survive(stage: Stage, wasm: bytes) -> bool:
    """Load what may be a module, call all it has, and tell whether it was one; only our own errors may come."""
    limits = Limits(memory="1MiB", time=0.02, output="4KiB", host_calls=50)
    try:
        module = await stage.runtime.load(wasm, limits=limits)
    except LoadError:
        return False
    try:
        for function in module.exports()[:4]:
            arguments = ["x" if param.type == "str" else 3 for param in function.params]
            with contextlib.suppress(EchelonError, TypeError, ValueError):
                await module.call(function.name, *arguments)
    finally:
        module.close()
    return True


@pytest.mark.parametrize(
    "text", [SAMPLE, TYPED, forwarder((*WASI[:6], *KIT))], ids=["sample", "typed", "imports"]
)
async def test_cut_anywhere(stage: Stage, text: str) -> None:
    """A module that was cut off at any byte is refused, or it ends where one of its sections does."""
    wasm = wat(text)
    step = max(1, len(wasm) // 150)
    async with stage.guarded():
        ends = [end for end in range(0, len(wasm), step) if await survive(stage, wasm[:end])]
    assert len(ends) < 12
    assert await stage.runtime.drained()


@pytest.mark.parametrize("seed", range(4))
async def test_flipped_bits(stage: Stage, seed: int) -> None:
    """A module with one or several bits flipped is refused, or is another module that runs within its limits."""
    dice = random.Random(seed)
    sources = [wat(SAMPLE), signed(TYPED, {"name": "f", "params": [TEXT], "results": [TEXT]})]
    async with stage.guarded():
        for turn in range(60):
            wasm = bytearray(sources[turn % 2])
            for _ in range(dice.choice((1, 1, 1, 2, 8))):
                place = dice.randrange(8, len(wasm))
                wasm[place] ^= 1 << dice.randrange(8)
            await survive(stage, bytes(wasm))


async def test_foreign_bytes_in_every_section(stage: Stage) -> None:
    """Random content in every section is refused."""
    dice = random.Random(7)
    async with stage.guarded():
        for number in range(14):
            for size in (0, 1, 2, 9, 200):
                for _ in range(3):
                    content = dice.randbytes(size)
                    with contextlib.suppress(LoadError):
                        module = await stage.runtime.load(MAGIC + section(number, content), limits=TIGHT)
                        module.close()


async def test_a_parser_that_agrees_with_the_engine(stage: Stage) -> None:
    """What the engine accepts has the exports that our own parser has read."""
    async with stage.guarded():
        module = await stage.runtime.load(wat(SAMPLE))
        assert (
            set(binary.parse(wat(SAMPLE)).exported_functions)
            == {f.name for f in module.exports()}
            == {"f", "g"}
        )
        assert await module.call("g") == (9, 2.5)
        module.close()
