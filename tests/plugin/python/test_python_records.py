"""Dicts, tuples and dataclasses across the boundary of typed Python, of modules and of decorated functions."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from echelon import Runtime
from echelon.plugin.compilers.python.compiler import translate

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPES = """
from __future__ import annotations
from dataclasses import dataclass, field

made = "x"

@dataclass(frozen=True)
class Point:
    x: float
    y: float | None
    name: str = ""
    on: bool = True

@dataclass
class Line:
    points: list[Point]
    tags: dict[str, int] = field(default_factory=dict)
    best: Point | None = None
    pair: tuple[bool, bytes] = (False, b"")

    def __post_init__(self) -> None:
        self.tags["made"] = self.tags.get("made", 0) + 1
"""
FUNCTIONS = '''
def same(line: Line) -> Line:
    return line

def longer(line: Line, by: int = 1) -> Line | None:
    if by < 0:
        return None
    line.points.append(Point(float(by), None, f"{len(line.points)}"))
    line.tags["added"] = by
    return line

def counted(words: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found

def inverted(names: dict[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for key, value in names.items():
        if value in found:
            found[value].append(key)
        else:
            found[value] = [key]
    return found

def without(names: dict[int, str], key: int) -> dict[int, str]:
    del names[key]
    names[7] = "new"
    return names

def keyed(points: dict[tuple[int, str], Point]) -> list[tuple[Point, int]]:
    return [(point, key[0]) for key, point in points.items() if key in points]

def several(point: Point) -> tuple[Point, dict[bool, float], int]:
    return point, {True: 1.5, False: point.x}, 3

def moved(point: Point, by: tuple[float, float]) -> Point:
    return Point(point.x + by[0], None if point.y is None else by[1], point.name * 2, not point.on)

def nested(values: dict[str, dict[float, list[int | None]]]) -> dict[str, dict[float, list[int | None]]]:
    for value in values.values():
        for items in value.values():
            items.append(None)
    return values
'''  # fmt: skip

CALLS: list[tuple[str, list[Any]]] = [
    ("counted", [["b", "a", "b", "ü", "🦊"]]),
    ("counted", [[]]),
    ("inverted", [{1: "x", 2: "y", -(2**63): "x"}]),
    ("inverted", [{}]),
    ("without", [{1: "a", 2: "b"}, 1]),
    ("without", [{1: "a"}, 5]),
    ("nested", [{"a": {0.5: [1], -0.0: []}, "": {}}]),
]


async def test_dicts(both: Callable[[str], Any]) -> None:
    """Dicts keep their order, with keys and values of every kind; what raises, raises the same."""
    program = await both(TYPES + FUNCTIONS)
    for name, args in CALLS:
        await program.same(name, *args)
    point = {"x": 1.0, "y": 2.5, "name": "ö🦊", "on": False}
    line = {"points": [point, {**point, "y": None}], "tags": {"a": 1}, "best": point, "pair": (True, b"\xff")}
    module = program.module
    assert await module.same(line) == line
    assert await module.same({**line, "points": [], "best": None, "tags": {}}) == {
        **line, "points": [], "best": None, "tags": {},
    }  # fmt: skip
    assert await module.keyed({(1, "k"): point}) == [(point, 1)]
    assert await module.several(point) == (point, {True: 1.5, False: 1.0}, 3)
    assert await module.moved(point, [0.5, 0.25]) == {"x": 1.5, "y": 0.25, "name": "ö🦊ö🦊", "on": True}
    many = {f"key {number}": number for number in range(3000)}
    assert await module.counted(list(many)) == dict.fromkeys(many, 1)


async def test_what_does_not_fit(both: Callable[[str], Any]) -> None:
    """The error names the function, the parameter, and where in the value it is."""
    module = (await both(TYPES + FUNCTIONS)).module
    point = {"x": 1.0, "y": 2.5, "name": "", "on": False}
    wrong = {
        r"same\(\) argument 1 .*: line: the field tags is missing": ("same", {"points": []}),
        r"line\.points\[1\]\.x: expected float, got str": (
            "same", {"points": [point, {**point, "x": ""}], "tags": {}, "best": None, "pair": (True, b"")},
        ),
        r"names\[the key 'a'\]: expected int, got str": ("inverted", {"a": "b"}),
        r"names\[1\]: expected str, got int": ("inverted", {1: 2}),
        r"names\[9223372036854775808\]|names\[the key 9223372036854775808\]": ("inverted", {2**63: "b"}),
    }  # fmt: skip
    for message, (name, value) in wrong.items():
        with pytest.raises((TypeError, ValueError), match=message):
            await module.call(name, value)


async def test_decorated_functions(tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects go in and come out as objects of the same classes, equal to what the original returns."""
    path = tmp_path / "records.py"
    path.write_text(TYPES + FUNCTIONS.replace("\ndef ", "\n@wasm.function\ndef "))
    spec = importlib.util.spec_from_file_location("records", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.wasm = runtime  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "records", module)
    spec.loader.exec_module(module)

    def line() -> Any:
        points = [module.Point(1.0, None), module.Point(0.5, -1.0, "ß", False)]
        return module.Line(points, {"a": 1}, points[1], (True, b"x"))

    point = module.Point(2.0, 3.0)
    calls: list[tuple[str, Callable[[], tuple[Any, ...]]]] = [
        ("same", lambda: (line(),)),
        ("longer", lambda: (line(), 2)),
        ("longer", lambda: (line(),)),
        ("longer", lambda: (line(), -1)),
        ("keyed", lambda: ({(1, "k"): point},)),
        ("several", lambda: (point,)),
        ("moved", lambda: (point, (0.5, 0.25))),
        ("counted", lambda: (["a", "a"],)),
    ]
    for name, args in calls:
        function = getattr(module, name)
        found, expected = await function(*args()), function.python(*args())
        assert (found, repr(found)) == (expected, repr(expected))
    with pytest.raises(TypeError, match=r"point: expected an object or a dict with x, y, name, on, got int"):
        await module.moved(5, (1.0, 1.0))
    assert "same(line: Line) -> Line" in str(module.same.explain())


CANNOT = {
    "@dataclass\nclass A:\n    a: list['A']\ndef f(x: A) -> int:\n    return 1": "its parameter x is A",
    "class A:\n    def __init__(self) -> None:\n        self.n = 1\ndef f(x: A) -> int:\n    return 1": "x is A",
    "def f(x: dict[str, set[int]]) -> int:\n    return 1": "x is dict[str, set[int]]",
    "@dataclass(frozen=True)\nclass A:\n    a: int\ndef f() -> dict[A, int]:\n    return {}": "result is dict[A, int]",
    "def f(x: list[list[list[list[list[list[list[list[list[int]]]]]]]]]) -> int:\n    return 1": "its parameter x",
    "@dataclass\nclass A:\n    b: 'B'\n@dataclass\nclass B:\n    a: A\ndef f(x: B) -> int:\n    return 1": "x is B",
}


@pytest.mark.parametrize("source", CANNOT, ids=range(len(CANNOT)))
async def test_what_cannot_cross(source: str) -> None:
    """A class that holds itself, a set, a key that callers cannot have: a warning that names it, and no export."""
    made = translate(f"from dataclasses import dataclass\n{source}\n", "program.py")
    assert made.wasm is not None
    assert made.signature is not None
    assert not made.signature.exports
    assert CANNOT[source] in made.diagnostics[0].message


async def test_wide_classes_are_bounded() -> None:
    """Classes that hold many of one another do not make a signature that grows without end."""
    source = "from dataclasses import dataclass\n@dataclass\nclass C0:\n    a: int\n"
    for number in range(1, 8):
        fields = "".join(f"    f{index}: C{number - 1}\n" for index in range(100))
        source += f"@dataclass\nclass C{number}:\n{fields}"
    made = translate(source + "def f(x: C7) -> int:\n    return 1\n", "program.py")
    assert made.signature is not None
    assert not made.signature.exports
