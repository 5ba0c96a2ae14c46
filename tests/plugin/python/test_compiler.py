"""Typed Python compiled: numbers and control flow against CPython, exceptions, frames, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from echelon.errors import CompileError, Trap
from echelon.plugin.compilers.python.compiler import TypedPython, translate
from echelon.plugin.generator import Generator

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = """
from math import pi

LIMIT = 10 * 100

def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def threes(n: int) -> int:
    total = 0
    for i in range(n):
        if i % 3 == 0 or i % 5 == 0:
            total += i
        elif i > LIMIT:
            break
    else:
        total = -total
    return total

def collatz(n: int) -> int:
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps

def arithmetic(a: int, b: int) -> int:
    return (a + b) * (a - b) - a * b + (a // b) * (a % b) + (a & b) - (a | b) + (a ^ b) + ~a

def add(a: int, b: int) -> int:
    return a + b

def sub(a: int, b: int) -> int:
    return a - b

def mul(a: int, b: int) -> int:
    return a * b

def floordiv(a: int, b: int) -> int:
    return a // b

def mod(a: int, b: int) -> int:
    return a % b

def divide(a: int, b: int) -> float:
    return a / b

def shifts(a: int, b: int) -> int:
    return (a >> b) + (1 << b)

def area(r: float) -> float:
    return pi * r * r / 2.0

def between(a: int, b: int, c: int) -> bool:
    return a < b <= c and not b == 7

def steps(a: int, b: int, n: int) -> int:
    found = 0
    for i in range(a, b, n):
        found = found * 31 + i
        found %= 1000003
    for i in range(b, a, -3):
        if i == 5:
            continue
        found += i
    return found

def tail(n: int, *, twice: bool = False) -> int:
    return n * 2 if twice else n

def named(n: int) -> int:
    return tail(twice=n > 3, n=n) + tail(n)
"""

EDGES = (
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    -7,
    10,
    63,
    64,
    100,
    2**31,
    -(2**31),
    2**53 + 1,
    3**39,
    2**62,
    2**63 - 1,
    -(2**63),
)


async def test_numbers(both: Callable[[str], Any]) -> None:
    """Functions of numbers return what CPython returns."""
    program = await both(NUMBERS)
    for n in (0, 1, 2, 10, 20):
        await program.same("fib", n)
        await program.same("threes", n * 100)
        await program.same("named", n)
        await program.same("steps", -n, n * 3, n + 1)
    for n in (1, 7, 27, 97):
        await program.same("collatz", n)
    for a in (-17, -1, 0, 5, 100):
        for b in (-5, -1, 3, 7):
            await program.same("arithmetic", a, b)
            await program.same("between", a, b, 7)
    for x in (0.0, -0.0, 1.5, 1e300, float("inf")):
        await program.same("area", x)
    for a in (-100, -1, 0, 1, 12345, 2**40):
        for b in (-1, 0, 1, 20, 61, 62):
            await program.same("shifts", a, b)


async def test_integers_do_not_wrap(both: Callable[[str], Any]) -> None:
    """What 64 bits do not hold raises OverflowError; what they hold is exact, and so is division."""
    program = await both(NUMBERS)
    for a in EDGES:
        for b in EDGES:
            for name in ("add", "sub", "mul", "floordiv", "mod"):
                expected = program.expected(name, a, b)
                if isinstance(expected, int) and not -(2**63) <= expected < 2**63:
                    expected = "OverflowError: the integer needs more than 64 bits"
                assert await program.found(name, a, b) == expected, (name, a, b)
            await program.same("divide", a, b)


async def test_the_types_of_functions() -> None:
    """A translation says the types of all functions."""
    source = "def _half(n: int) -> float:\n    return n / 2\n\ndef f(x: float) -> float:\n    return x\n"
    made = translate(source, "f.py")
    assert made.functions == {"_half": "_half(n: int) -> float", "f": "f(x: float) -> float"}
    assert made.signature is not None
    assert list(made.signature.exports) == ["f"]


async def test_through_the_generator(runtime: Any, tmp_path: Any) -> None:
    """A file of Python is a source like any other; a trap's frames have its lines."""
    async with Generator([TypedPython()], tmp_path / "store") as generator:
        source = "def half(n: int) -> int:\n    m = n\n    return 10 // m\n\n\n"
        source += "def run(n: int) -> int:\n    return half(n)\n"
        artifact = await generator.compile(source, name="halves.py")
        assert artifact.language == "python"
        module = await runtime.load(artifact.wasm)
        assert [str(function) for function in module.exports()] == [
            "half(n: i64) -> i64",
            "run(n: i64) -> i64",
        ]
        assert await module.call("run", 3) == 3
        with pytest.raises(Trap) as caught:
            await module.call("run", 0)
        assert str(caught.value) == "ZeroDivisionError: integer division or modulo by zero"
        places = [(frame.function, frame.file, frame.line) for frame in caught.value.frames if frame.file]
        assert places[:2] == [("half", "halves.py", 3), ("run", "halves.py", 7)]
        with pytest.raises(CompileError) as refused:
            await generator.compile("def f(n) -> int:\n    return n\n", name="f.py")
        assert (refused.value.diagnostics[0].line, refused.value.diagnostics[0].column) == (1, 7)


@pytest.mark.parametrize(
    ("source", "place", "message", "hint"),
    [
        ("def f(n) -> int:\n    return n", (1, 7), "the parameter n has no type", "write n: int"),
        ("def f(n: int) -> int:\n    return m", (2, 12), "the name m is not known here", ""),
        ("def f(n: int) -> str:\n    return n", (2, 12), "the result is int, and str is needed", ""),
        (
            "def f(n: int) -> int:\n    if n:\n        return 1",
            (1, 1),
            "may end without returning",
            "return one",
        ),
        ("def f(n: int) -> float:\n    return n", (2, 12), "the result is int, and float", "float(…)"),
        ("import os", (1, 1), "the module os is not there", "math"),
        (
            "def f() -> int:\n    x = 1\n    x = 2.0\n    return x",
            (3, 5),
            "x is int and would become float",
            "begin",
        ),
        ("def f(n: int) -> int:\n    return n +", (2, 15), "invalid syntax", ""),
        (
            "async def f() -> None:\n    pass",
            (1, 1),
            "an async function cannot be compiled",
            "leave async out",
        ),
        ("def f() -> int:\n    return 2 ** 64 + 1", (2, 12), "", ""),
        ("x = 9223372036854775808", (1, 5), "needs more than 64 bits", "2**63 - 1"),
    ],
)
async def test_refusals_say_where_and_what_instead(
    source: str, place: tuple[int, int], message: str, hint: str
) -> None:
    """A program that cannot be compiled exactly is refused with its line, a caret, and what to write."""
    made = translate(source, "bad.py")
    if not message:
        assert made.wasm is not None
        return
    assert made.wasm is None
    [problem] = made.diagnostics
    assert (problem.line, problem.column) == place
    assert message in problem.message
    assert hint in problem.message
    assert problem.message.splitlines()[-1].rstrip().endswith("^")
