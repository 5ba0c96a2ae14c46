"""Random input for everything that reads what a stranger wrote: modules, signatures, guests' memory, answers."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import fuzz_targets
import pytest
from fuzz_targets import (
    TARGETS,
    component,
    declared,
    lift,
    linear,
    load,
    module,
    name,
    response,
    source,
    tables,
    there_and_back,
    typed,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from echelon.errors import InvalidModule
from echelon.runtime import binary, declarations, native, signature
from echelon.runtime.signature import Function, Signature, Value

ROUNDS = int(os.environ.get("ECHELON_FUZZ_ROUNDS", "250"))
"""Examples of each test; docs/fuzzing.md says how to make it more."""

fuzzed = settings(
    max_examples=ROUNDS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SOURCES = (
    "(module)",
    '(module (memory (export "memory") 1) (func (export "f") (param i32 f64) (result i64) (i64.const 7)))',
    """(module (type $t (func (param i32) (result i32)))
      (import "env" "trace" (func (param i32 i32 f64 f64 f64 f64 f64)))
      (import "echelon" "log" (func $log (param i32 i32 i32))) (memory (export "memory") 1 9) (table 2 funcref)
      (global (mut v128) (v128.const i32x4 1 2 3 4)) (elem (i32.const 0) $g) (data (i32.const 0) "data") (start $s)
      (func $s) (func $g (export "g") (param i32) (result i32)
        (block (br_table 0 0 (local.get 0))) (memory.grow (local.get 0)))
      (func (export "__new") (param i32 i32) (result i32) (local.get 0)))""",
)


def _modules() -> list[bytes]:
    assembled = [native.load().wat2wasm(text) for text in SOURCES]
    sign = signature.encode(
        Signature("assemblyscript", "typescript", {"g": Function("g", (Value("i32"),), (Value("i32"),))})
    )
    return [*assembled, binary.add_custom_section(assembled[2], signature.SECTION, sign)]


MODULES = _modules()


COMPONENT = """(component
  (import "acme:x/types@1.0.0" (instance $types
    (type $blob' (record (field "data" (list u8)) (field "kind" (option (list u16)))))
    (export "blob" (type $blob (eq $blob'))) (type $many' (list $blob)) (export "many" (type (eq $many')))
    (export "thing" (type $thing (sub resource)))
    (type $bytes (list u8)) (type $thing' (borrow $thing))
    (export "[method]thing.add" (func (param "self" $thing') (param "x" $bytes) (result (option $bytes))))
    (export "[method]thing.put" (func (param "self" $thing') (param "x" $blob)))))
  (alias export $types "many" (type $many))
  (alias export $types "thing" (type $thing))
  (alias export $types "[method]thing.put" (func $put))
  (alias export $types "[method]thing.add" (func $add))
  (core module $m (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
    (func (export "post") (param i32))
    (func (export "f") (param i32 i32 i32) (result i32) (i32.const 16)))
  (core instance $i (instantiate $m))
  (core func $put' (canon lower (func $put) (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (core func $add' (canon lower (func $add) (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (core func (canon resource.drop $thing))
  (core instance $named (export "put" (func $put')) (export "memory" (memory $i "memory")))
  (func $f (param "x" (borrow $thing)) (param "y" $many) (result $many)
    (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
      (post-return (core func $i "post"))))
  (component $names
    (import "import-type-thing" (type $r (sub resource)))
    (import "import-func-f" (func $f (param "x" (borrow $r)) (result (list u8))))
    (export "f" (func $f)))
  (export "f" (func $f)))"""

COMPONENTS = [native.load().wat2wasm(COMPONENT)[8:]]


@st.composite
def mutated(draw: st.DrawFn, valid: list[bytes] = MODULES) -> bytes:
    """Valid modules with bytes changed, added, removed, repeated or moved."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 5)):
            case 0 if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case 1 if data:
                data[place] = draw(st.sampled_from((0, 1, 0x7F, 0x80, 0xFF, 0x60, 0x70, 0x40)))
            case 2:
                data[place:place] = draw(st.binary(max_size=12))
            case 3:
                del data[place : place + draw(st.integers(1, 20))]
            case 4:
                data += data[place : place + draw(st.integers(1, 40))]
            case _:
                data[place:place] = binary.leb(draw(st.integers(0, 0xFFFF_FFFF)))
    return bytes(data)


# Modules ------------------------------------------------------------------------------------------------


@fuzzed
@given(mutated())
def test_mutated_modules(data: bytes) -> None:
    """A module that was changed anywhere is read, or refused as ours."""
    load(data)


@fuzzed
@given(st.binary(max_size=400))
@example(b"\x01\x04\x01\x60\x00\x00")
def test_any_module(data: bytes) -> None:
    """The same for bytes that never were a module."""
    module(data)
    load(data)


@fuzzed
@given(st.lists(st.tuples(st.integers(0, 14), st.binary(max_size=60)), max_size=12))
def test_any_sections(sections: list[tuple[int, bytes]]) -> None:
    """The same for sections of any number and content, each as long as it says."""
    module(b"".join(bytes([number]) + binary.leb(len(content)) + content for number, content in sections))


@fuzzed
@given(mutated(COMPONENTS))
def test_mutated_components(data: bytes) -> None:
    """A component that was changed anywhere is read, or refused as ours, with an appendix or without."""
    component(data)


@fuzzed
@given(st.lists(st.tuples(st.integers(0, 13), st.binary(max_size=60)), max_size=12))
def test_any_component(sections: list[tuple[int, bytes]]) -> None:
    """The same for sections of any number and content, each as long as it says."""
    component(b"".join(bytes([number]) + binary.leb(len(content)) + content for number, content in sections))


def test_modules_are_read_whole() -> None:
    """What is mutated above is valid before."""
    assert all(load(data) is not None for data in MODULES)
    found = component(COMPONENTS[0])
    assert found is not None
    assert list(found.appendix.functions) == ["f"]
    assert list(found.appendix.imports) == [("acme:x/types@1.0.0", "[method]thing.add")]
    assert component(binary.edited(found.wasm, found.forms[0])[8:]) is not None


# Signatures ---------------------------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TYPE_NAMES = st.sampled_from(
    [
        "i32",
        "u8",
        "bool",
        "i64",
        "f32",
        "f64",
        "v128",
        "str",
        "bytes",
        "list<i32>",
        "option<str>",
        "funcref",
        "",
        "list<",
    ]
) | st.text(max_size=6)
KINDS = st.sampled_from(["string", "buffer", "view", "array", "static", "nullable", "", "x"])
ITEMS = st.sampled_from(["i8", "u8", "bool", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"])
IDS = st.integers(0, 9) | st.integers() | ANY_JSON
WIRES = st.recursive(
    ITEMS | st.none() | ANY_JSON,
    lambda inner: st.fixed_dictionaries({"kind": KINDS}, optional={"id": IDS, "item": inner}),
    max_leaves=10,
)
VALUES = st.fixed_dictionaries({"type": TYPE_NAMES}, optional={"name": st.text(max_size=4), "wire": WIRES})
EXPORTS = st.fixed_dictionaries(
    {"name": st.sampled_from(["g", "f", "__new", ""])},
    optional={"params": st.lists(VALUES, max_size=3), "results": st.lists(VALUES, max_size=3)},
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "version": st.just(1) | st.integers(),
        "language": st.text(max_size=8),
        "abi": st.sampled_from(["core", "assemblyscript", "linear"]) | st.text(max_size=6),
        "exports": st.lists(EXPORTS, max_size=4),
    }
)


@fuzzed
@given(st.binary(max_size=200) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_signature(data: bytes) -> None:
    """Whatever stands in the section is a signature or a ValueError."""
    typed(data)


@fuzzed
@given(DOCUMENTS)
def test_forged_signatures(document: dict[str, Any]) -> None:
    """A document of the right shape and any content is used only when it fits its module."""
    data = json.dumps(document).encode()
    typed(data)
    load(binary.add_custom_section(MODULES[2], signature.SECTION, data))


LINES = st.text(st.sampled_from("fg(),:<>- i32strlop\t"), max_size=60) | st.text(max_size=30)


@fuzzed
@given(LINES)
@example("f(a: list<str>, i32) -> u8, option<bool>")
def test_any_declaration(line: str) -> None:
    """A line is a signature that can be written again, or a ValueError; so is an export named like it."""
    declared(line.encode("utf-8", "surrogatepass"))
    load(binary.rename_exports(MODULES[2], {"g": line.encode("utf-8", "replace").decode()}))
    load(binary.add_custom_section(MODULES[2], declarations.SECTION, line.encode("utf-8", "surrogatepass")))


# The memory codec ---------------------------------------------------------------------------------------

_NUMBERS = {
    "i8": st.integers(-128, 127), "u8": st.integers(0, 255), "bool": st.booleans(),
    "i16": st.integers(-(1 << 15), (1 << 15) - 1), "u16": st.integers(0, (1 << 16) - 1),
    "i32": st.integers(-(1 << 31), (1 << 31) - 1), "u32": st.integers(0, (1 << 32) - 1),
    "i64": st.integers(-(1 << 63), (1 << 63) - 1), "u64": st.integers(0, (1 << 64) - 1),
    "f32": st.floats(width=32, allow_nan=False), "f64": st.floats(allow_nan=False),
}  # fmt: skip


@st.composite
def honest(draw: st.DrawFn, depth: int = 3, nullable: bool = True) -> tuple[Any, Any]:
    """A wire that a compiler may write, and a value that it can carry."""
    kinds = ["string", "buffer", "bytes", "view", "array", "static", *(["nullable"] if nullable else [])]
    kind = draw(st.sampled_from(kinds))
    number = draw(st.integers(1, 50))
    if kind == "string":
        return {"kind": "string", "id": 2}, draw(st.text(max_size=20))
    if kind == "buffer":
        return {"kind": "buffer", "id": 1}, draw(st.binary(max_size=20))
    if kind == "bytes":
        return {"kind": "view", "id": number, "item": "u8"}, draw(st.binary(max_size=20))
    if kind == "nullable":
        wire, value = draw(honest(0, nullable=False))
        return {"kind": "nullable", "item": wire}, draw(st.none() | st.just(value))
    if kind == "view" or depth == 0 or draw(st.booleans()):
        item = draw(st.sampled_from([name for name in _NUMBERS if kind != "view" or name != "u8"]))
        return {"kind": kind, "id": number, "item": item}, draw(st.lists(_NUMBERS[item], max_size=6))
    wire, value = draw(honest(depth - 1))
    return {"kind": kind, "id": number, "item": wire}, [value] * draw(st.integers(0, 3))


@fuzzed
@given(honest())
def test_there_and_back(pair: tuple[Any, Any]) -> None:
    """Every value that a layout can carry comes back as it went in."""
    wire, value = pair
    assert there_and_back(wire, value) == value


@fuzzed
@given(honest(), ANY_JSON | st.binary(max_size=8))
def test_values_of_another_type(pair: tuple[Any, Any], value: Any) -> None:
    """A value that the layout cannot carry is a TypeError or ValueError, or it comes back the same."""
    try:
        back = there_and_back(pair[0], value)
    except (TypeError, ValueError, OverflowError, struct.error):
        return
    assert back == value or isinstance(value, list)  # numbers may have been rounded


@fuzzed
@given(
    honest().map(lambda pair: pair[0]) | WIRES,
    st.integers(0, 600) | st.integers(0, (1 << 32) - 1),
    st.binary(max_size=600),
)
def test_any_memory(wire: Any, pointer: int, content: bytes) -> None:
    """Whatever a guest's memory holds is lifted within its limit, or is an error of the guest."""
    lift(wire, pointer, content)


@fuzzed
@given(
    honest().map(lambda pair: pair[0]),
    st.integers(0, 64),
    st.lists(st.integers(0, 96), min_size=16, max_size=64),
)
def test_memory_of_pointers(wire: Any, pointer: int, words: list[int]) -> None:
    """The same for memory full of pointers to itself, where layouts alias and repeat."""
    lift(wire, 4 * pointer, struct.pack(f"<{len(words)}I", *words))


LINEAR_TYPES = st.recursive(
    st.sampled_from(["u8", "bool", "i16", "f64", "str", "bytes", "json"]),
    lambda inner: inner.map("list<{}>".format) | inner.map("option<{}>".format),
    max_leaves=5,
)


@fuzzed
@given(
    st.lists(LINEAR_TYPES, max_size=4),
    st.integers(0, 600)
    | st.tuples(st.integers(0, 600), st.integers(0, 600)).map(lambda p: p[0] << 32 | p[1]),
    st.binary(max_size=600)
    | st.lists(st.integers(0, 96), max_size=64).map(lambda ws: struct.pack(f"<{len(ws)}I", *ws)),
)
def test_any_plain_memory(kinds: list[str], raw: int, content: bytes) -> None:
    """Whatever lies in a guest's plain memory is read within its limit, or is an error of the guest."""
    linear(kinds, raw, content)


# Answers of guests --------------------------------------------------------------------------------------


@fuzzed
@given(
    st.binary(max_size=300)
    | st.lists(st.integers(0, 300), max_size=40).map(lambda ns: struct.pack(f"<{len(ns)}I", *ns))
)
def test_any_response(data: bytes) -> None:
    """A response buffer or key of any content is read, or is an error of the guest."""
    response(data)
    response(b"\x01\0\0\0" + data)


# What modules say of their source --------------------------------------------------------------------------

PIECES = st.one_of(
    st.integers(0, 40).map(lambda address: b"\0\5\2" + struct.pack("<I", address)),
    st.sampled_from(
        [
            b"\0\1\1",
            b"\1",
            b"\x20",
            b"\2\5",
            b"\3\4",
            b"\4\1",
            b"\4\0",
            b"\x08",
            b"\x09\3\0",
            b"\5\0",
            b"\0\2\4\1",
        ]
    ),
    st.binary(max_size=6),
)
FILES = (
    b"lib\0\0a.c\0\0\0\0b.h\0\1\0\0\0",
    b"\1\1\x08\2/me\0lib\0\2\1\x08\2\x0b\2a.c\0\0b.h\0\1",
    b"\1\1\x1f\1\0\0\0\0\3\1\x0e\2\x0f\5\x1e\2\4\0\0\0\0" + bytes(16) + b"\4\0\0\0\0" + bytes(16),
)
"""Tables of files: that of the versions before DWARF 5, and two of that."""


@st.composite
def units(draw: st.DrawFn) -> bytes:
    """A unit of a line table, as long as it says, with any head, files and instructions."""
    version = draw(st.integers(2, 5))
    operands = draw(st.sampled_from([b"\0\1\1\1\1\0\0\0\1\0\0\1"] * 3 + [b"", b"\0\1\1\xff"]))
    line_range = draw(st.sampled_from([14, 14, 14, 1, 0]))
    head = bytes([1] * (1 if version < 4 else 2) + [1, 0xFB, line_range, len(operands) + 1])
    head += operands + draw(
        st.sampled_from(FILES[1:] if version == 5 else FILES[:1]) | st.binary(max_size=30)
    )
    size = len(head) + draw(st.sampled_from([0, 0, 0, 0, 1, -1, 99]))
    program = draw(st.sampled_from([b"\0\5\2\5\0\0\0\1", b""]))
    program += b"".join(draw(st.lists(PIECES, max_size=20))) + draw(st.sampled_from([b"\2\7\0\1\1", b""]))
    address = b"\4\0" if version == 5 else b""
    body = struct.pack("<H", version) + address + struct.pack("<I", max(0, size)) + head + program
    return struct.pack("<I", len(body)) + body


@fuzzed
@given(st.lists(units(), min_size=1, max_size=3).map(b"".join) | st.binary(max_size=200))
def test_any_line_table(data: bytes) -> None:
    """A line table of any content says a place, or nothing."""
    tables(data)
    source(data)


@fuzzed
@given(
    st.lists(st.integers(-9, 9) | st.integers(-(1 << 70), 1 << 70), max_size=12),
    st.lists(st.text(max_size=5), max_size=3),
)
def test_any_section_of_lines(places: list[int], files: list[str]) -> None:
    """The same for the section of our own."""
    source(json.dumps({"files": files, "places": places}).encode())


@fuzzed
@given(
    st.binary(max_size=200) | st.text("NZSTIEJLXDKPROFACUvi_0123456789abBdpsu$.", max_size=80).map(str.encode)
)
def test_any_name_of_a_function(data: bytes) -> None:
    """A name of any content is read, or stays as it is."""
    name(data)


# The harness --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TARGETS)
def test_targets_take_any_bytes(name: str) -> None:
    """Every target of the coverage-guided harness can be run on any bytes, as the harness does."""
    dice = random.Random(name)
    for _ in range(200):
        TARGETS[name](dice.randbytes(dice.randrange(80)))


def test_the_harness_says_what_it_lacks(tmp_path: Path) -> None:
    """Without atheris the harness says so and succeeds; with it, it says how it is called."""
    script = Path(fuzz_targets.__file__).with_name("atheris_runtime.py")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert (done.returncode, "not installed" in done.stderr, "usage:" in done.stderr) in (
        (0, True, False),
        (2, False, True),
    )


def test_a_target_fails_when_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target does not swallow what the product must not raise."""

    def broken(*_arguments: object) -> None:
        raise KeyError("broken")

    monkeypatch.setattr(fuzz_targets, "read_module", broken)
    with pytest.raises(KeyError):
        load(b"")
    monkeypatch.setattr(signature, "decode", broken)
    with pytest.raises(KeyError):
        typed(b"")
    with pytest.raises(InvalidModule):
        there_and_back({"kind": "none"}, 1)
