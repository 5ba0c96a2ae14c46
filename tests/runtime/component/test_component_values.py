"""Every WIT type from Python to a component, to a host function, and all the way back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from component_kit import echo, named

from echelon.runtime.component import Err, Ok, Some, Variant
from echelon.runtime.core import Runtime

POINT = named("point", '(record (field "x" s32) (field "y-axis" f64))')
SHAPE = named("shape", '(variant (case "circle" f32) (case "label" string) (case "nothing"))')
COLOR = named("color", '(enum "red" "light-blue")')
MODES = named("modes", '(flags "read" "write" "run-it")')
WIDE = named("wide", "(record " + " ".join(f'(field "f{n}" u32)' for n in range(20)) + ")")
MANY = named("many", "(flags " + " ".join(f'"b{n}"' for n in range(32)) + ")")
TREE = named("leaf", '(record (field "name" string) (field "tags" (list string)))') + named(
    "tree", '(record (field "leaf" $leaf) (field "more" (option (list $leaf))))'
)

ECHOES: dict[str, tuple[str, str, str, list[Any]]] = {
    "bool": ("bool", "i32", "", [True, False]),
    "s8": ("s8", "i32", "", [-128, 127, 0]),
    "u8": ("u8", "i32", "", [0, 255]),
    "s16": ("s16", "i32", "", [-(2**15), 2**15 - 1]),
    "u16": ("u16", "i32", "", [0, 2**16 - 1]),
    "s32": ("s32", "i32", "", [-(2**31), 2**31 - 1]),
    "u32": ("u32", "i32", "", [0, 2**32 - 1]),
    "s64": ("s64", "i64", "", [-(2**63), 2**63 - 1]),
    "u64": ("u64", "i64", "", [0, 2**64 - 1]),
    "f32": ("f32", "f32", "", [0.0, -1.5, math.inf, 2.0**100]),
    "f64": ("f64", "f64", "", [0.1, -math.inf, 1e308]),
    "char": ("char", "i32", "", ["a", "é", "\U0001f600", "\0", "\ud7ff", "\ue000"]),
    "string": ("string", "i32 i32", "", ["", "plain", "héllo 😀", "\0", "x" * 10_000]),
    "bytes": ("(list u8)", "i32 i32", "", [b"", bytes(range(256)), b"z" * 5000]),
    "list-s16": ("(list s16)", "i32 i32", "", [[], [-(2**15), 7, 2**15 - 1]]),
    "list-u32": ("(list u32)", "i32 i32", "", [[2**32 - 1, 0, 0x01020304]]),
    "list-s64": ("(list s64)", "i32 i32", "", [[-(2**63), 2**63 - 1, 1]]),
    "list-f32": ("(list f32)", "i32 i32", "", [[0.5, -math.inf]]),
    "list-f64": ("(list f64)", "i32 i32", "", [[0.1, 1e300]]),
    "list-bool": ("(list bool)", "i32 i32", "", [[True, False, True]]),
    "list-char": ("(list char)", "i32 i32", "", [["a", "😀"]]),
    "list-string": ("(list string)", "i32 i32", "", [["", "one", "zwei"], ["y" * 600, "z"]]),
    "list-list": ("(list (list u8))", "i32 i32", "", [[b"", b"ab"]]),
    "tuple": ("(tuple s32 string bool)", "i32 i32 i32 i32", "", [(-1, "two", True)]),
    "record": ("$point", "i32 f64", POINT, [{"x": 3, "y-axis": 0.25}]),
    "wide-record": ("$wide", " ".join(["i32"] * 20), WIDE, [{f"f{n}": n * 1000 for n in range(20)}]),
    "variant": ("$shape", "i32 i32 i32", SHAPE,
                [Variant("circle", 1.5), Variant("label", "hi"), Variant("nothing")]),
    "enum": ("$color", "i32", COLOR, ["red", "light-blue"]),
    "flags": ("$modes", "i32", MODES, [set(), {"read"}, {"read", "write", "run-it"}]),
    "many-flags": ("$many", "i32", MANY, [{f"b{n}" for n in range(0, 32, 3)}]),
    "option": ("(option u32)", "i32 i32", "", [None, 0, 7]),
    "option-string": ("(option string)", "i32 i32 i32", "", [None, "", "x"]),
    "option-option": ("(option (option u8))", "i32 i32 i32", "", [None, Some(None), Some(7)]),
    "list-option": ("(list (option u8))", "i32 i32", "", [[None, 3]]),
    "list-result": ("(list (result u8 (error string)))", "i32 i32", "", [[Ok(1), Err("no")]]),
    "list-unit-result": ("(list (result))", "i32 i32", "", [[Ok(), Err()]]),
    "list-record": ("(list $point)", "i32 i32", POINT, [[{"x": n, "y-axis": n / 2} for n in range(50)]]),
    "tree": ("$tree", "i32 i32 i32 i32 i32 i32 i32", TREE, [
        {"leaf": {"name": "a", "tags": ["b"]}, "more": [{"name": "", "tags": []}]},
        {"leaf": {"name": "a", "tags": []}, "more": None},
    ]),
    "map": ("(map string u32)", "i32 i32", "", [{}, {"a": 1, "b": 2**32 - 1}]),
}  # fmt: skip

Load = Callable[..., Any]


@pytest.fixture
def load(runtime: Runtime, wat: Callable[[str], bytes]) -> Load:
    """Load an echo whose host function keeps what it was given in `.seen` and returns that."""

    async def load(type_: str, flat: str, types: str = "") -> Any:
        seen: list[Any] = []

        def back(value: Any) -> Any:
            seen.append(value)
            return value

        runtime.component_imports.add("back", back)
        module = await runtime.load(wat(echo(type_, flat, types=types)))
        return module, seen

    return load


@pytest.mark.parametrize("name", ECHOES)
async def test_round_trip(name: str, load: Load) -> None:
    """A value of each type arrives in the host function and comes back exactly as it was given."""
    type_, flat, types, values = ECHOES[name]
    module, seen = await load(type_, flat, types)
    for value in values:
        assert await module.call("echo", value) == value
        assert seen[-1] == value
        assert type(seen[-1]) is type(value)
