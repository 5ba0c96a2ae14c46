"""Element segments: every form is read, those that do not fit or take long to compile are refused."""

from __future__ import annotations

import time

import pytest

from echelon.errors import InvalidModule
from echelon.plugin.compilers.wat import assemble
from echelon.runtime import binary, elements
from echelon.runtime.core import Runtime

REFERENCES = {
    "functions": ("func", "$f"),
    "expressions": ("funcref", "(ref.func $f)"),
    "nothing": ("funcref", "(ref.null func)"),
    "outside": ("externref", "(ref.null extern)"),
}


def segments(text: str, size: int = 5) -> bytes:
    return assemble(f"(module (table {size} funcref) (table {size} externref) (func $f) {text})")


@pytest.mark.parametrize(
    "text",
    [
        "(elem (i32.const 0) $f $f)",
        "(elem (table 0) (i32.const 3) func $f $f)",
        "(elem func $f)",
        "(elem declare func $f)",
        "(elem (i32.const 0) funcref (ref.func $f) (ref.null func))",
        "(elem (table 1) (i32.const 4) externref (ref.null extern))",
        "(elem funcref (ref.func $f))",
        "(elem declare funcref (ref.func $f))",
        "(elem (i32.add (i32.const 1) (i32.const 99)) $f)",
        "(elem (i32.const 5))",
    ],
)
def test_every_form_is_read(text: str) -> None:
    """One after another, so that a wrong end of one would make the next one nonsense."""
    binary.parse(segments(text * 3))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000])
def test_long_lists_are_read_to_their_end(count: int) -> None:
    """In pieces, with indices of one byte and of two."""
    functions = "(func)" * 200
    listed = " ".join(["0", "150"] * count)
    wasm = assemble(f"(module (table 2000 funcref) {functions} (elem (i32.const 0) {listed}) (elem func 7))")
    binary.parse(wasm)


def test_an_imported_table_may_be_larger_than_it_says() -> None:
    """Whether a segment fits there is known when the module is instantiated; what it costs is bounded all the same."""
    table = '(import "m" "t" (table 0 funcref)) (func $f)'
    binary.parse(assemble(f"(module {table} (elem (i32.const 7) $f))"))
    many = "$f " * (elements.MAX_COMPUTED + 1)
    with pytest.raises(InvalidModule, match="have to be computed"):
        binary.parse(assemble(f"(module {table} (elem (i32.const 0) {many}))"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(elem (i32.const 5) $f)", "element segment 0 ends at element 6 of a table of 5"),
        ("(elem (i32.const 0) $f) (elem (i32.const -1) $f)", "element segment 1 ends at element 4294967296"),
        ("(elem (i32.const 4) funcref (ref.null func) (ref.null func))", "ends at element 6 of a table of 5"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, message: str) -> None:
    """It would trap whenever it is instantiated."""
    with pytest.raises(InvalidModule, match=message):
        binary.parse(segments(text))


def place(kind: str, listed: str) -> str:
    return "(elem (table 1) (i32.const 0) " if kind == "externref" else "(elem (i32.const 0) "


@pytest.mark.parametrize("name", ["expressions", "nothing", "outside"])
def test_computed_elements_are_bounded(name: str) -> None:
    """As many as the limit says and no more; a reference to something outside counts several times."""
    kind, item = REFERENCES[name]
    most = elements.MAX_COMPUTED // (elements.REFERENCE_WEIGHT if name == "outside" else 1)
    for count in (most, most + 1):
        wasm = segments(f"{place(kind, item)} {kind} {' '.join([item] * count)})", size=count)
        if count == most:
            binary.parse(wasm)
        else:
            with pytest.raises(InvalidModule, match="more than 10000 elements that have to be computed"):
                binary.parse(wasm)


def test_what_comes_after_code_is_code() -> None:
    """A plain list is not plain any more behind a segment at a computed place."""
    listed = " ".join(["$f"] * 10_001)
    plain = f"(elem (i32.const 0) func {listed})"
    binary.parse(segments(plain, 10_001))
    with pytest.raises(InvalidModule, match="have to be computed"):
        binary.parse(segments("(elem (i32.add (i32.const 0) (i32.const 0)) $f)" + plain, 10_001))


@pytest.mark.parametrize("name", REFERENCES)
async def test_the_most_that_is_accepted_compiles_soon(name: str) -> None:
    """Natively, too: the limits are about that."""
    kind, item = REFERENCES[name]
    most = 200_000 if name == "functions" else elements.MAX_COMPUTED
    most //= elements.REFERENCE_WEIGHT if name == "outside" else 1
    wasm = segments(f"{place(kind, item)} {kind} {' '.join([item] * most)})", size=most)
    began = time.perf_counter()
    async with Runtime() as runtime:
        (await runtime.load(wasm)).close()
    assert time.perf_counter() - began < 10


def test_garbage_is_refused_or_read() -> None:
    """Cut or changed anywhere, a module with segments of every form never does worse than InvalidModule."""
    wasm = segments(
        "(elem (i32.const 0) $f) (elem (table 1) (i32.const 4) externref (ref.null extern)) (elem func $f)"
    )
    refused = 0
    for at in range(8, len(wasm)):
        for value in (0, 0x7F, 0x80, 0xFF):
            changed = wasm[:at] + bytes([value]) + wasm[at + 1 :]
            try:
                binary.parse(changed)
            except InvalidModule:
                refused += 1
    assert refused > len(wasm)
