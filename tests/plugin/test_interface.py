"""The interface of a module as WIT, read by another program's parser, and as a stub, checked by mypy."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from echelon.cli import worlds
from echelon.plugin.artifacts import Artifact, digest_of
from echelon.plugin.compilers.wat import assemble
from echelon.plugin.interface import notation, pyi, wit
from echelon.plugin.interface.notation import Shape
from echelon.plugin.interface.world import World, of_module
from echelon.runtime import declarations
from echelon.runtime.signature import Function, Value

FUNCTIONS = [
    "add(a: i32, b: u8) -> i64",
    "maxFlips(howMany: i32) -> f64",
    "read_all(paths: list<str>) -> list<option<bytes>>",
    "record(list: json) -> json",
    "pair(bool, char: f32) -> i8, str",
    "nothing()",
    "place(p: record{x: f64, yAxis: option<f64>}, q: record{x: f64, yAxis: option<f64>}) -> tuple<i32, str>",
    "counts(words: map<str, u32>) -> map<str, list<u32>>",
    "größe(n: i32) -> i32",
    "call(n: i32)",
    "class(def: i32) -> u64",
    "2nd(x1y2: u16)",
    "read-all(n: i32)",
]
COMPONENT = """(component
  (import "acme:shop/prices@1.0.0" (instance
    (export "cart" (type $cart (sub resource)))
    (export "[constructor]cart" (func (param "size" u32) (result (own $cart))))
    (export "[method]cart.total" (func (param "self" (borrow $cart)) (result f64)))
    (export "[static]cart.most" (func (result u32)))
    (type $colors (enum "red" "blue-ish"))
    (export "color" (type $color (eq $colors)))
    (export "look-up" (func (param "what" string) (param "how" $color) (result (result u32 (error string)))))))
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 8)
    (func (export "first") (param i32 i32) (result i32) i32.const 0)
    (func (export "area") (param i32 f64) (result f64) local.get 1))
  (core instance $i (instantiate $m))
  (type $point' (record (field "x" s32) (field "y-axis" f64)))
  (func $area (param "p" $point') (result f64) (canon lift (core func $i "area")))
  (component $ops
    (import "point" (type $p (eq $point')))
    (import "area" (func $f (param "p" $p) (result f64)))
    (export $q "point" (type $p))
    (export "area" (func $f) (func (param "p" $q) (result f64))))
  (instance $ops' (instantiate $ops (with "point" (type $point')) (with "area" (func $area))))
  (export "acme:shapes/ops@2.1.0" (instance $ops'))
  (func (export "first-of") (param "list" (list u8)) (result (option string))
    (canon lift (core func $i "first") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"""

USES = """
import asyncio
from typing import TYPE_CHECKING, Any, assert_type, cast

from echelon import Runtime

if TYPE_CHECKING:
    from shop import Shop

async def main(wasm: Runtime) -> None:
    shop = cast("Shop", await wasm.load("shop.wasm"))
    assert_type(await shop.add(1, 2), int)
    assert_type(await shop.maxFlips(1), float)
    assert_type(await shop.read_all(("a", "b")), list[bytes | None])
    assert_type(await shop.pair(True, 1.5), tuple[int, str])
    assert_type(await shop.nothing(), None)
    assert_type(await shop.place({"x": 1.0}, {"x": 2.0}), tuple[int, str])
    assert_type(await shop.counts({"a": 1}), dict[str, list[int]])
    assert_type(await shop.größe(3), int)
    assert_type(await shop.record([{"a": None}]), Any)
"""


def world(*signatures: str) -> World:
    return of_module("shop", [declarations.parse(line) for line in signatures], ())


def test_wit_is_wit(read_wit: Callable[[str, str], str]) -> None:
    """Another parser takes it, and finds the functions with their types; names are turned into those of WIT."""
    text = wit.text(world(*FUNCTIONS[:9]), "a shop")
    found = read_wit(text, "shop")
    for line in (
        "def add(self, a: int, b: int) -> int:",
        "def max_flips(self, how_many: int) -> float:",
        "def read_all(self, paths: List[str]) -> List[Optional[bytes]]:",
        "def record(self, list: str) -> str:",
        "def pair(self, a0: bool, char: float) -> Tuple[int, str]:",
        "def nothing(self) -> None:",
    ):
        assert line in found, found
    assert text.startswith("// a shop\npackage local:shop;\n\nworld shop {\n")
    assert "  /// maxFlips\n  export max-flips: func(how-many: s32) -> f64;" in text
    assert "  export %record: func(%list: json) -> json;" in text
    assert "q: place-p)" in text  # the same record has one name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_name_is_one_of_wit(function: str, read_wit: Callable[[str, str], str]) -> None:
    """Also where a language allows what WIT does not."""
    assert "class " in read_wit(wit.text(world(function), "alone"), "shop")


def test_names_that_become_the_same(read_wit: Callable[[str, str], str]) -> None:
    """Both stay, the second with a number; resources, types and functions share their names."""
    text = wit.text(world("readAll()", "read_all()", "json(a: json)", "wie-groß()"), "twice")
    read_wit(text, "shop")
    for line in ("export read-all:", "export read-all-n2:", "export json:", "type json-n2 = string;"):
        assert line in text


def test_what_wit_has_no_type_for_is_a_comment(read_wit: Callable[[str, str], str]) -> None:
    """It is named, and the rest stays."""
    functions = [
        Function("dot", (Value("v128"),), (Value("f32"),)),
        Function("f"),
        Function("odd", (Value("list<"),)),
    ]
    text = wit.text(of_module("vector", functions, ()), "line\nbreak")
    read_wit(text, "vector")
    assert "  // dot(v128) -> f32: there is no WIT for v128\n  export f: func();\n" in text
    assert "// odd(list<): there is no WIT for 'list<' is no type" in text
    assert text.startswith("// line\ufffdbreak\n")


@pytest.fixture(scope="module")
def component(tmp_path_factory: pytest.TempPathFactory) -> World:
    path = tmp_path_factory.mktemp("component") / "shapes.wat"
    wasm = assemble(COMPONENT)
    return asyncio.run(worlds.read(path, Artifact(wasm, digest_of(wasm), "wat")))


def test_a_component_is_what_it_was_made_of(component: World, read_wit: Callable[[str, str], str]) -> None:
    """Interfaces stand in their packages, resources with what belongs to them; types get names of their use."""
    text = wit.text(component, "shapes")
    read_wit(text, "shapes")
    for part in (
        "  import acme:shop/prices@1.0.0;\n",
        "  export acme:shapes/ops@2.1.0;\n",
        "  export first-of: func(%list: list<u8>) -> option<string>;\n",
        "package acme:shapes@2.1.0 {\n  interface ops {\n    record area-p {\n      x: s32,\n      y-axis: f64,\n"
        "    }\n",
        "    resource cart {\n      constructor(size: u32);\n      total: func() -> f64;\n"
        "      most: static func() -> u32;\n    }\n",
        "    look-up: func(what: string, how: look-up-how) -> result<u32, string>;\n",
    ):
        assert part in text, text


def test_a_stub_is_what_mypy_reads(tmp_path: Path) -> None:
    """Calls have their types, mistakes are found, and what only call() reaches is a comment."""
    (tmp_path / "shop.pyi").write_text(pyi.text(world(*FUNCTIONS), 'a "shop"\\') + "\n")
    mistaken = ('add("1", 2)', "add(1)", "nowhere()", "add(a=1, b=2)")
    wrong = "".join(f"    await shop.{call}\n" for call in mistaken)
    for name, text in (("uses", USES), ("wrong", USES + wrong)):
        (tmp_path / f"{name}.py").write_text(text)
    found = _mypy(tmp_path, "uses.py")
    assert found == "Success: no issues found in 1 source file\n"
    mistakes = _mypy(tmp_path, "wrong.py")
    for code in ("[arg-type]", "[call-arg]", "[attr-defined]"):
        assert code in mistakes
    text = (tmp_path / "shop.pyi").read_text()
    for name in ("call(n: i32)", "class(def: i32) -> u64", "2nd(x1y2: u16)", "read-all(n: i32)"):
        assert f"    # by its name only, with call(): {name}\n" in text
    assert "class Shop(Protocol):" in text


def test_a_stub_of_a_component(component: World, tmp_path: Path) -> None:
    """Interfaces are left out of names where those are clear, values are those that cross."""
    text = pyi.text(component, "shapes")
    (tmp_path / "shapes.pyi").write_text(text)
    assert "    async def area(self, p: Mapping[str, Any], /) -> float: ..." in text
    assert "    async def first_of(self, list: bytes | bytearray | memoryview, /) -> str | None: ..." in text
    assert _mypy(tmp_path, "shapes.pyi") == "Success: no issues found in 1 source file\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("shop", "Shop"), ("my-shop_2", "MyShop2"), ("2nd", "Module2nd"), ("none", "None_"), ("§", "Module")],
)
def test_the_name_of_a_class(name: str, expected: str) -> None:
    """It is one of Python, whatever the file is called."""
    assert pyi.class_name(name) == expected


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("i32", Shape("i32")),
        ("list<option<str>>", Shape("list", (Shape("option", (Shape("str"),)),))),
        (
            "record{a: u8, b-c: list<u8>}",
            Shape("record", (Shape("u8"), Shape("list", (Shape("u8"),))), ("a", "b-c")),
        ),
        ("variant{none, some(string)}", Shape("variant", (None, Shape("string")), ("none", "some"))),
        ("result<_, enum{a, b}>", Shape("result", (None, Shape("enum", (), ("a", "b"))))),
        ("borrow<acme:shop/cart>", Shape("borrow", (), ("acme:shop/cart",))),
    ],
)
def test_types_are_read(text: str, shape: Shape) -> None:
    """Of modules and of components."""
    assert notation.parse(text) == shape


@pytest.mark.parametrize(
    "text", ["", "list<", "list<a", "a b", "record{a}", "record{a: }", "<a>", "variant{a(}", "_", ">"]
)
def test_what_is_no_type_is_refused(text: str) -> None:
    """A forged signature gets no further."""
    with pytest.raises(ValueError, match="is no type"):
        notation.parse(text)
    with pytest.raises(ValueError, match="levels"):
        notation.parse("list<" * 100 + "a" + ">" * 100)


def _mypy(folder: Path, name: str) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", name]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout
