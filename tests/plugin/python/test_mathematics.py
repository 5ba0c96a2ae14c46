"""The functions of `math` in compiled programs: CPython's bits, and its exceptions."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from typing import Any

import pytest

from echelon.plugin.compilers.python.compiler import translate
from echelon.plugin.compilers.python.library import fused
from echelon.plugin.compilers.python.library import intrinsics as raw

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE = [
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh",
    "acosh", "atanh", "erf", "erfc", "gamma", "lgamma", "cbrt", "sqrt", "hypot", "ulp", "fabs",
]  # fmt: skip
TWO = ["pow", "fmod", "remainder", "hypot", "nextafter", "log", "copysign"]
PROGRAM = (
    "import math\n"
    + "".join(f"def {name}_1(x: float) -> float:\n    return math.{name}(x)\n" for name in ONE)
    + "".join(f"def {name}_2(x: float, y: float) -> float:\n    return math.{name}(x, y)\n" for name in TWO)
    + "def hypot_3(x: float, y: float, z: float) -> float:\n    return math.hypot(x, y, z)\n"
    + "def scaled(x: float, n: int) -> float:\n    return math.ldexp(x, n)\n"
    + "def of_int(n: int) -> float:\n    return math.log(n) + math.sin(n) + math.pow(n, 2)\n"
)
NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, -3.0, 3.7, 1e-5, 1e-300, 5e-324, 1e300, -1e300, 709.9, -745.5, 1023.5,
    1e22, 171.5, 172.0, -171.5, math.inf, -math.inf, math.nan, math.pi, 1e16, 2.5e-8,
)  # fmt: skip


@pytest.mark.parametrize("name", ONE)
async def test_functions_of_one(both: Callable[[str], Any], name: str) -> None:
    """Values to the last bit, and the exceptions where there is none."""
    program = await _program(both)
    source = random.Random(name)
    for x in [
        *NUMBERS,
        *(source.uniform(-9, 9) for _ in range(60)),
        *(source.uniform(0, 2) for _ in range(30)),
    ]:
        await program.same(f"{name}_1", x)


@pytest.mark.parametrize("name", TWO)
async def test_functions_of_two(both: Callable[[str], Any], name: str) -> None:
    """Every pair of the edges."""
    program = await _program(both)
    for x in NUMBERS:
        for y in NUMBERS:
            await program.same(f"{name}_2", x, y)


async def test_other_functions(both: Callable[[str], Any]) -> None:
    """Integers are taken as floats, and powers of two."""
    program = await _program(both)
    for x in NUMBERS:
        await program.same("hypot_3", x, 3.0, -1e-3)
        for n in (0, 1, -1, 1024, -1074, -2000, 10**10):
            await program.same("scaled", x, n)
    for n in (1, 7, 2**60, 0, -1):
        await program.same("of_int", n)


_MADE: dict[int, Any] = {}


async def _program(both: Callable[[str], Any]) -> Any:
    if id(both) not in _MADE:
        _MADE[id(both)] = await both(PROGRAM)
    return _MADE[id(both)]


async def test_what_is_not_exact_is_refused() -> None:
    """Functions of which CPython takes bits from elsewhere are named, with what to read."""
    made = translate("import math\ndef f(x: float) -> float:\n    return math.atan(x)\n", "p.py")
    (found,) = made.diagnostics
    assert (found.line, found.column) == (3, 12)
    assert found.message.startswith("math.atan() with 1 arguments cannot be compiled exactly")


def _fused(numbers: random.Random, number: int) -> tuple[float, float, float]:
    def anything() -> float:
        return float(struct.unpack("<d", struct.pack("<Q", numbers.getrandbits(64)))[0])

    def middling() -> float:
        return numbers.uniform(-1, 1) * 2.0 ** numbers.randrange(-60, 60)

    x, y = middling(), middling()
    small = numbers.choice((1, -1)) * numbers.randrange(1, 16) * 2.0 ** numbers.randrange(-540, -500)
    bits = numbers.randrange(1, 1 << 26) * 2.0**-26
    return (
        (anything(), anything(), anything()),
        (x, y, middling()),
        (x, y, -x * y),
        (small, x * 2.0**-520, numbers.randrange(-99, 99) * 5e-324),
        (x * 2.0**-500, y * 2.0**-530, numbers.getrandbits(50) * 5e-324),
        (bits, bits, numbers.choice((-1, 1)) * 2.0 ** numbers.randrange(-130, 130)),
        (x * 2.0**450, y * 2.0**480, anything()),
        (small, bits, 0.0),
    )[number % 8]


async def test_products_and_sums_are_rounded_once() -> None:
    """The emulation gives the bits of exact arithmetic for numbers of every size, below the normal ones as well."""
    edges = (*NUMBERS, 1 + 2**-52, 1 - 2**-53, 2.0**-1022, 1.7e308)
    numbers = random.Random(11)
    triples = [(x, y, z) for x in edges for y in edges for z in edges]
    triples += [_fused(numbers, number) for number in range(20_000)]
    for x, y, z in triples:
        found, expected = fused.multiply_add(x, y, z), raw.fma(x, y, z)
        same = struct.pack("<d", found) == struct.pack("<d", expected)
        assert same or (found != found and expected != expected), (x, y, z)
