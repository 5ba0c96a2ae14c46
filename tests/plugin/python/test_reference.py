"""The pages on typed Python are true: programs give what is shown, errors read as shown, tables are the compiler's."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import reference_pages as pages
from reference_pages import Block
from twice import Both, plain

from echelon import guest
from echelon.plugin.compilers.python import crossing, exceptions, format_spec, types
from echelon.plugin.compilers.python.checking import (
    builtin_calls,
    classes,
    constants,
    kit,
    loops,
    mathematics,
    methods,
    program,
    source,
)
from echelon.plugin.compilers.python.compiler import translate
from echelon.plugin.compilers.python.library import mathematics as library_mathematics
from echelon.plugin.compilers.python.library_code import library
from echelon.runtime.signature import MAX_DEPTH

Make = Callable[[str], Any]
LIBRARY = "python-library"

on_the_loop = pytest.mark.asyncio(loop_scope="module")


def value(program: Both, text: str) -> Any:
    """Return the value of an expression with the names of a program."""
    return eval(text, {**program.python.__dict__, "nan": float("nan"), "inf": float("inf")})


@on_the_loop
@pytest.mark.parametrize("block", pages.programs(), ids=str)
async def test_a_program_gives_what_is_shown(both: Make, block: Block) -> None:
    """Each call gives what stands behind it, by CPython and compiled; where these differ, the page shows both."""
    program = await both(block.text)
    calls = pages.calls(block)
    assert calls, "no call is shown"
    assert len(calls) == sum(line.startswith("# ") for line in block.text.splitlines()), (
        "a comment is no call"
    )
    for call in calls:
        args = [value(program, arg) for arg in call.args]
        shown = call.shown if call.raises else plain(value(program, call.shown))
        python = shown
        if call.cpython is not None:
            python = call.cpython if ": " in call.cpython else plain(value(program, call.cpython))
            assert repr(python) != repr(shown), call
        assert repr(await program.found(call.function, *args)) == repr(shown), call
        assert repr(program.expected(call.function, *args)) == repr(python), call


@pytest.mark.parametrize(
    ("block", "program", "error"),
    [pytest.param(*row, id=f"{row[0]}-{n}") for n, row in enumerate(pages.refused())],
)
def test_an_error_reads_as_shown(block: Block, program: str, error: str) -> None:
    """A program that is refused gets the error that stands below it, at the line that it has in its block."""
    made = translate(program, error.split(":", 1)[0])
    assert made.wasm is None, block
    [problem] = made.diagnostics
    assert str(problem).split("\n")[0] == error


@pytest.mark.parametrize("page", pages.PAGES)
def test_every_block_is_run(page: str) -> None:
    """There is no block of which no test knows what to do with it."""
    for block in pages.blocks(page):
        assert block.info in ("python", "python refused", "console"), block


def annotation(value: Any) -> str:
    """Return the type of a value as a program writes it."""
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(annotation, value))}]"
    if isinstance(value, list):
        return f"list[{annotation(value[0])}]"
    if isinstance(value, dict):
        [(key, held), *_] = value.items()
        return f"dict[{annotation(key)}, {annotation(held)}]"
    return type(value).__name__


EXPRESSIONS = [
    (heading, rows)
    for heading in ("## Built-in functions", "## Text", "## Bytes", "## Formats", "## Numbers: `math`")
    if (rows := [tuple(map(pages.code, row[-2:])) for row in pages.table(LIBRARY, heading)])
]


@on_the_loop
@pytest.mark.parametrize(("heading", "rows"), EXPRESSIONS, ids=[heading for heading, _ in EXPRESSIONS])
async def test_an_expression_has_the_value_shown(both: Make, heading: str, rows: list[Any]) -> None:
    """Each line of a table has an expression and its value, by CPython and compiled."""
    shown = [(example[0], eval(value[0])) for example, value in rows if example]
    assert len(shown) >= len(rows) - 1, heading
    functions = [
        f"def f{number}() -> {annotation(value)}:\n    return {example}\n"
        for number, (example, value) in enumerate(shown)
    ]
    program = await both("import math\n\n" + "\n".join(functions))
    for number, (example, value) in enumerate(shown):
        assert repr(program.expected(f"f{number}")) == repr(plain(value)), example
        assert repr(await program.found(f"f{number}")) == repr(plain(value)), example


def listed(heading: str) -> set[str]:
    """Return the names that begin the lines of a table."""
    return {name for row in pages.table(LIBRARY, heading) for name in pages.names(row[0])}


def methods_of(kind: str) -> set[str]:
    plain = {"str": methods._STR, "bytes": methods._BYTES}
    return {*plain.get(kind, ()), *(name for owner, name in methods._METHODS if owner == kind)}


def math_names() -> set[str]:
    """Return what the compiler knows of `math`."""
    tables = (
        mathematics.CONSTANTS,
        mathematics._INSTRUCTIONS,
        mathematics._TO_INT,
        mathematics._PLAIN,
        mathematics._INTEGERS,
    )
    of_library = {re.sub(r"_\d$", "", name) for name in vars(library_mathematics)}
    known = {name for name in of_library for count in (1, 2, 3) if _has(name, count)}
    return {name for table in tables for name in table} | known


def _has(name: str, count: int) -> bool:
    found = library()
    keys = (f"mathematics.{name}", f"mathematics.{name}_{count}")
    own = name in mathematics.NAMES or name in ("cbrt", "exp2")
    return own and any(found.has(key) and len(found.params(key)) == count for key in keys)


def test_built_in_functions() -> None:
    """The page lists the built-in functions that the compiler knows."""
    assert listed("## Built-in functions") == {*builtin_calls._HANDLERS, *loops._MAKERS} - {"isinstance"}


def test_methods() -> None:
    """The page lists the methods that the compiler knows, and a program or a line calls each."""
    assert listed("## Text") == methods_of("str")
    assert listed("## Bytes") == methods_of("bytes")
    rows = pages.table(LIBRARY, "## Lists, dicts and sets")
    assert {row[0] for row in rows} == {"`list`", "`dict`", "`set`"}
    [program] = [block.text for block in pages.programs() if ".symmetric_difference(" in block.text]
    for kind, names in rows:
        found = set(pages.code(names)[0].split())
        assert found == methods_of(kind.strip("`"))
        assert [name for name in found if f".{name}(" not in program] == []


def test_mathematics() -> None:
    """The page lists the names of `math` that the compiler knows, and those that it does not."""
    text = pages.section(LIBRARY, "## Numbers: `math`")
    refused = set(next(part for part in pages.code(text) if part.startswith("acos asin")).split())
    assert listed("## Numbers: `math`") == math_names()
    assert not refused & math_names()
    assert set(mathematics.NAMES) <= refused | math_names()


def test_exceptions() -> None:
    """The page lists the exceptions that the compiler knows."""
    [names] = pages.code(pages.section(LIBRARY, "## Exceptions"))
    assert sorted(names.split()) == sorted(kind.__name__ for kind in exceptions.BUILTIN)


def test_special_methods() -> None:
    """The page lists the methods that Python calls and a class may define."""
    text = pages.section("python", "## Classes")
    [listed] = [part for part in re.findall(r"`([^`]+)`", text) if part.startswith("__init__ ")]
    assert sorted(listed.split()) == sorted(classes._SPECIAL - {"__eq__"})


def test_formats() -> None:
    """The page lists the letters of formats that the compiler knows."""
    parts = [part.replace(" ", "") for part in pages.code(pages.section(LIBRARY, "## Formats"))]
    assert format_spec._INT_KINDS in parts
    assert format_spec._FLOAT_KINDS in parts


def test_bounds() -> None:
    """The page lists the bounds that the compiler has, in the order of their modules."""
    shown = [int(row[1]) for row in pages.table("python-errors", "## Bounds")]
    assert shown == [
        source.MAX_SOURCE, source.MAX_BRACES, source.MAX_NESTING, program._MAX_PARAMETERS, classes._MAX_FIELDS,
        types.MOST_TYPES, constants.MOST_ITEMS, constants._LONGEST, format_spec.MOST_WIDTH,
        crossing.MAX_LENGTH, MAX_DEPTH,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n" * 90_000, "the source has 540000 characters"),
        (f"def f() -> int:\n    return {'-(' * 130}1{')' * 130}\n", "nested too deeply"),
        (
            f"def f({', '.join(f'a{n}: int' for n in range(101))}) -> int:\n    return 1\n",
            "more than 100 parameters",
        ),
        ("def f(n: int) -> str:\n    return f'{n:100001}'\n", "above 100000 is not supported"),
        ("N = (1,) * 65537\ndef f() -> int:\n    return N[0]\n", "too large to be computed"),
    ],
)
def test_what_is_larger_is_refused(text: str, message: str) -> None:
    """A program past a bound gets an error that says so."""
    made = translate(text, "large.py")
    assert made.wasm is None
    assert message in made.diagnostics[0].message


KIT = {
    "Request": guest.Request, "Headers": guest.Headers, "Response": guest.Response, "Entry": guest.Entry,
    "Commit": guest.Commit, "Stored": guest.Stored, "Answer": guest.Answer, "Atomic": guest.Atomic,
}  # fmt: skip
OBJECTS = {"kv": guest.kv, "log": guest.log}


def public(kind: type) -> set[str]:
    """Return what a class of the kit has for guests: methods, properties and fields."""
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    return {name for name in {*vars(kind), *fields} if not name.startswith("_")}


def test_the_kit() -> None:
    """The page lists every name of the kit, and all that its classes and objects have."""
    rows = pages.table("python-guests", "### The kit")
    said: dict[str, str] = {}
    for row in rows:
        name = pages.code(row[0])[0].split("(")[0].split(".")[0]
        said[name] = said.get(name, "") + " ".join(pages.code(row[0]) + pages.code(row[1])) + " "
    assert set(said) == set(kit.NAMES)
    classes = KIT | {name: type(value) for name, value in OBJECTS.items()}
    assert set(classes) | {"env", "fetch"} == set(kit.NAMES)
    for name, kind in classes.items():
        assert public(kind) <= set(re.findall(r"\w+", said[name])), name


def test_keywords_of_the_kit() -> None:
    """The page names every parameter of the kit's functions, by place before those by name."""
    shown = {pages.code(row[0])[0] for row in pages.table("python-guests", "### The kit")}
    functions = {
        "kv.get": guest.kv.get, "kv.set": guest.kv.set, "kv.delete": guest.kv.delete, "kv.list": guest.kv.list,
        "kv.atomic": guest.kv.atomic, "fetch": guest.fetch, "env": guest.env, "Response": guest.Response,
        "Response.json": guest.Response.json, "Response.html": guest.Response.html,
    }  # fmt: skip
    for name, function in functions.items():
        parts = []
        for param in inspect.signature(function).parameters.values():
            by_name = param.kind is inspect.Parameter.KEYWORD_ONLY
            parts.append(f"{param.name}=" if by_name else param.name)
        [found] = [text for text in shown if text.split("(")[0] == name]
        assert re.sub(r"=\w+", "=", found) == f"{name}({', '.join(parts)})"


def test_a_request_of_the_page_is_answered_alike() -> None:
    """`handle()` of the example that a test calls as a function compiles as it is."""
    [block] = [block for block in pages.blocks("python-guests") if "= handle(Request(" in block.text]
    program = block.text.split("\nanswer = ")[0]
    assert translate(program, "guest.py").wasm is not None


TYPES = """
from dataclasses import dataclass
from typing import List, Optional

@dataclass
class Item:
    name: str
    price: int

@dataclass
class Node:
    next: "Node | None"

class Box:
    def __init__(self) -> None:
        self.items: list[int] = []

def takes(value: {kind}) -> None:
    pass

def gives(value: {kind}) -> list[{kind}]:
    return [value]
"""


@pytest.mark.parametrize("row", pages.table("python", "## Types"), ids=lambda row: row[0])
def test_types(row: list[str]) -> None:
    """The page shows what callers see of each type."""
    [kind], seen = pages.code(row[0]), pages.code(row[1])
    made = translate(TYPES.replace("{kind}", kind), "types.py")
    assert made.signature is not None, made.diagnostics
    assert len(made.diagnostics) == (0 if seen else 2)
    functions = made.signature.exports
    if seen:
        assert functions["takes"].params[0].type == seen[0]
        assert functions["gives"].results[0].type == f"list<{seen[0]}>"
    else:
        assert not functions
