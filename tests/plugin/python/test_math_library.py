"""The functions of `math`, run by CPython, compared with those of the platform: the same bits."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Iterator

import pytest

from echelon.plugin.compilers.python import math_tables
from echelon.plugin.compilers.python.library import (
    angles,
    exponentials,
    float_parts,
    hyperbolic,
    logarithms,
    special_functions,
)
from echelon.plugin.compilers.python.library import intrinsics as raw

FUNCTIONS: dict[str, Callable[[float], float]] = {
    name: getattr(module, name)
    for module, names in (
        (exponentials, "exp exp2 expm1"),
        (logarithms, "log log2 log10 log1p"),
        (angles, "sin cos tan"),
        (hyperbolic, "sinh cosh tanh asinh acosh atanh"),
        (special_functions, "erf erfc gamma lgamma"),
        (float_parts, "cbrt"),
    )
    for name in names.split()
}

PROBES = {
    "exp": ((-0.520978, 0.5939393911063081), (-3.343705, 0.03530590671514124)),
    "expm1": ((1.088283, 1.969171625684658), (-0.424103, -0.34564352027970574)),
    "log": ((0.611547, -0.49176346662861686), (3.239841, 1.1755242545259923)),
    "log2": ((8.81461, 3.1398967393114314), (7.308873, 2.8696489653213892)),
    "log1p": ((1.526032, 0.9266496920982557), (0.283312, 0.24944423611678995)),
    "sin": ((2.949126, 0.19128058224757205), (-3.407524, 0.2628079898649503)),
    "cos": ((-8.240955, -0.3773873168540473), (-2.442271, -0.7652790140339704)),
    "tan": ((7.887524, -29.801861353514006), (4.769853, -17.383034806544565)),
    "sinh": ((1.044049, 1.2443346498252874), (0.370175, 0.3786872638424372)),
    "cosh": ((2.471123, 5.960110420294287), (2.535904, 6.3535156786498055)),
    "tanh": ((0.165468, 0.16397420523302852), (0.468024, 0.43660136210597733)),
    "asinh": ((2.565731, 1.6713701614532464), (-2.159353, -1.5127106829125043)),
    "acosh": ((2.194477, 1.422594029441018), (2.244175, 1.4476798316510266)),
    "atanh": ((0.197542, 0.2001734422764725), (0.077716, 0.07787303188405555)),
    "log10": ((3.673631, 0.5650955311989705), (8.606674, 0.9348353532523553)),
    "exp2": ((2.042917, 4.120778734249214),),
    "erf": ((-1.30041, -0.9340932647269313), (1.662544, 0.9812866387492318)),
    "erfc": ((1.813901, 0.010310345217375933), (1.894478, 0.007379907548613894)),
    "cbrt": ((-0.852386, -0.9481537550229658),),
    "gamma": ((4.693378, 15.285302177718973), (4.959046, 22.568575028662057)),
    "lgamma": ((4.464705, 2.4048717475937953), (2.463957, 0.25965936624505126)),
}
"""What the GNU C library gives with fused multiply-add, where it would give other bits without."""

EDGES = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324,
    2.2250738585072014e-308, 1e308, -1e308, 1e-300, 1e300, 709.78, 709.79, -745.1, -745.2, 1024.0, 1023.9999,
    -1075.0, -1074.5, -1022.5, 1e16, 1e17, math.pi, math.e, 1e22, 105414336.0, 105414357.85, 2.0**28, 2.0**-28,
    171.6, 171.7, -170.5, 23.0, 24.0, 27.3, -6.5,
]  # fmt: skip


def some_floats(source: random.Random, count: int) -> Iterator[float]:
    """Yield floats of every size, and more of those for which functions are interesting."""
    for number in range(count):
        yield (
            float(struct.unpack("<d", struct.pack("<Q", source.getrandbits(64)))[0]),
            source.uniform(-1, 1),
            source.uniform(0, 3),
            source.uniform(-30, 30),
            source.uniform(-750, 720),
            source.uniform(-1, 1) * 2.0 ** source.randrange(-60, 60),
            1 + source.uniform(-0.1, 0.1),
            source.randrange(-10_000, 10_000) * math.pi / 4 * (1 + source.uniform(-1e-12, 1e-12)),
        )[number % 8]


def same(left: float, right: float) -> bool:
    return struct.pack("<d", left) == struct.pack("<d", right) or (left != left and right != right)


def by_platform(function: Callable[..., float], *args: float) -> float:
    """Return what the C library gives: NaN and infinity where Python raises."""
    try:
        return function(*args)
    except ValueError:
        return math.nan
    except OverflowError:
        return math.inf


def agrees(found: float, expected: float, args: tuple[float, ...]) -> bool:
    """Tell whether two results are the same; where Python raises any infinity or NaN will do."""
    if math.isfinite(expected) or any(not math.isfinite(arg) for arg in args):
        return same(found, expected)
    return not math.isfinite(found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_give_the_bits_of_the_platform(name: str) -> None:
    """Edges, floats of every size, and those where it is close: not one bit differs."""
    theirs = getattr(math, name)
    if any(theirs(x) != expected for x, expected in PROBES[name]):
        pytest.skip(f"math.{name} of this platform is not the GNU C library's with fused multiply-add")
    ours = FUNCTIONS[name]
    source = random.Random(name)
    for x in [*EDGES, *some_floats(source, 3000)]:
        assert agrees(ours(x), by_platform(theirs, x), (x,)), x


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_give_what_was_recorded(name: str) -> None:
    """On every platform: the results that this library is to have."""
    for x, expected in PROBES[name]:
        assert same(FUNCTIONS[name](x), expected)


def test_powers_give_the_bits_of_the_platform() -> None:
    """Every pair of edges, negative bases, results below the normal numbers, bases next to one."""
    if math.pow(0.835911, 6.253807) != 0.3259897275738154:
        pytest.skip("math.pow of this platform is not the GNU C library's with fused multiply-add")
    source = random.Random(7)
    pairs = [(x, y) for x in EDGES for y in EDGES]
    for x, y in zip(some_floats(source, 3000), some_floats(source, 3000), strict=True):
        pairs += [
            (x, y),
            (abs(x), source.uniform(-3, 3)),
            (source.uniform(-50, 50), float(source.randrange(-300, 300))),
        ]
    for _ in range(2000):
        pairs += [
            (source.uniform(1e-3, 1e3), source.uniform(-110, -98)),
            (1 + source.uniform(-1e-3, 1e-3), source.uniform(-1e5, 1e5)),
            (source.getrandbits(50) * 5e-324, source.uniform(-1, 1)),
        ]
    for x, y in pairs:
        assert agrees(exponentials.power(x, y), by_platform(math.pow, x, y), (x, y)), (x, y)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (float_parts.fmod, math.fmod),
        (float_parts.remainder, math.remainder),
        (float_parts.hypot, math.hypot),
        (float_parts.next_after, math.nextafter),
    ],
)
def test_exact_functions_of_two(ours: Callable[..., float], theirs: Callable[..., float]) -> None:
    """Results that only one float can be, over floats of every size."""
    source = random.Random(3)
    pairs = [(x, y) for x in EDGES for y in EDGES]
    pairs += list(zip(some_floats(source, 4000), some_floats(source, 4000), strict=True))
    pairs += [(source.uniform(-1e9, 1e9), source.uniform(-3, 3)) for _ in range(2000)]
    pairs += [(source.randrange(-100, 100) / 2, float(source.randrange(1, 9))) for _ in range(2000)]
    pairs += [(source.getrandbits(30) * 5e-324, source.getrandbits(20) * 5e-324) for _ in range(500)]
    for x, y in pairs:
        assert agrees(ours(x, y), by_platform(theirs, x, y), (x, y)), (x, y)


def test_parts_of_floats() -> None:
    """`frexp`, `ldexp`, `modf`, `ulp`: taken apart and put together again."""
    source = random.Random(4)
    for x in [*EDGES, *some_floats(source, 4000)]:
        mantissa, exponent = math.frexp(x)
        assert same(float_parts.mantissa_of(x), mantissa)
        assert float_parts.exponent_of(x) == exponent
        assert same(float_parts.fraction_of(x), math.modf(x)[0])
        assert same(float_parts.unit(x), math.ulp(x))
        for power in (source.randrange(-2200, 2200), source.randrange(-1100, -900), 10**18, -(10**18)):
            assert agrees(float_parts.ldexp(x, power), by_platform(math.ldexp, x, power), (x,)), (x, power)


def test_lengths_of_vectors_of_three() -> None:
    """`hypot` of three: exact where it is, and for the smallest and largest floats."""
    source = random.Random(5)
    for x, y, z in zip(*(some_floats(source, 3000) for _ in range(3)), strict=True):
        assert agrees(float_parts.hypot_of_three(x, y, z), by_platform(math.hypot, x, y, z), (x, y, z))
    assert float_parts.hypot_of_three(2.0, 3.0, 6.0) == 7.0
    assert float_parts.hypot_of_three(3e-320, 4e-320, 0.0) == math.hypot(3e-320, 4e-320)


def test_multiplying_and_adding_rounds_once() -> None:
    """The error of a product is exact, and what overflows or vanishes has its sign."""
    assert raw.fma(0.1, 10.0, -1.0) == 5.551115123125783e-17
    assert same(raw.fma(1e-200, -1e-200, 0.0), -0.0)
    assert same(raw.fma(0.0, -1.0, -0.0), -0.0)
    assert raw.fma(1e200, -1e200, 1.0) == -math.inf
    assert raw.fma(math.inf, 2.0, 1.0) == math.inf


def test_tables_are_correctly_rounded() -> None:
    """Entries that are known otherwise: powers of two, roots, the sines of small angles, 2/pi."""
    powers = list(math_tables.exponentials())
    assert raw.bits_float(powers[129] + (64 << 45)) == math.sqrt(2.0)
    sines = list(math_tables.sines())
    for index in range(110):
        assert math.isclose(sines[index * 4], math.sin(index / 128), rel_tol=2.3e-16)
        assert math.isclose(sines[index * 4 + 2], math.cos(index / 128), rel_tol=2.3e-16)
    assert next(math_tables.two_over_pi()) == math.floor(2 / math.pi * 2**24)
    tangents = list(math_tables.tangents())
    for index in range(186):
        place, tangent, cotangent = tangents[index * 3 : index * 3 + 3]
        assert abs(place - (16 + index) / 256) < 1e-8
        assert math.isclose(tangent, math.tan(place), rel_tol=2.3e-16)
        assert math.isclose(cotangent, 1 / math.tan(place), rel_tol=4.5e-16)
