"""Floats and integers as text and back, run by CPython, compared with what CPython itself makes of them."""

from __future__ import annotations

import itertools
import math
import random
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext

import pytest

from echelon.plugin.compilers.python.format_spec import FormatSpec, read_spec
from echelon.plugin.compilers.python.library import (
    float_parsing,
    float_text,
    int_text,
    number_format,
    rounding,
)
from echelon.plugin.compilers.python.library import intrinsics as raw

ROOM = 300_000


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    """Give back what a test allocates."""
    top = raw.MEMORY.top
    yield
    raw.MEMORY.top = top


def written(write: Callable[[int], int]) -> str:
    at = raw.allocate(ROOM)
    top = raw.MEMORY.top
    end = write(at)
    text = bytes(raw.MEMORY.content[at:end]).decode("ascii")
    raw.MEMORY.top = at if top >= at else top
    return text


def placed(content: bytes) -> tuple[int, int]:
    at = raw.allocate(len(content) + 8)
    raw.MEMORY.content[at : at + len(content)] = content
    return at, at + len(content)


def same(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return struct.pack("<d", left) == struct.pack("<d", right)


def any_float(source: random.Random) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", source.getrandbits(64)))[0])


def some_floats(source: random.Random, count: int) -> Iterator[float]:
    """Yield floats of every size, those that people write, and those at the ends of intervals."""
    for number in range(count):
        yield (
            any_float(source),
            source.uniform(-1000, 1000),
            round(source.uniform(0, 1000), source.randrange(6)),
            source.expovariate(1) * 10.0 ** source.randrange(-12, 20),
            2.0 ** source.randrange(-1074, 1024),
            float(source.getrandbits(60)),
        )[number % 6]


EDGES = [
    0.0, -0.0, 0.1, 1e16, 1e22, 1e23, 123456789012345680.0, 9007199254740993.0, 5e-324, 2.2250738585072014e-308,
    1.7976931348623157e308, 2.0**-44, 1e-5, 1e-4, math.inf, -math.inf, math.nan, 9.5, 99.95, 0.5, 2.5,
]  # fmt: skip


TEXT = """
0 -0 1 +1.5 .5 5. . e5 1e5 1e 1e+ 1_0 1__0 _1 1_ 1_.5 1._5 1e1_0 1e_1 1e400 -1e400 1e-400 1_e5 00012 1.e5 .e5 +.
inf -inf Infinity infinit nan NAN -nan infinity_ 0x10 1.2.3 --1 1e99999999999 0e99999999999 9999999999999999999e-19
4.9e-324 2.4703282292062327e-324 2.4703282292062328e-324 1.7976931348623158e308 1.7976931348623159e308
9007199254740993 9007199254740993.0000000000000000000001 18446744073709551615 18446744073709551616
"""


def test_floats_are_written_as_repr_writes_them() -> None:
    """The digits are the shortest that read back, and of those the nearest."""
    for value in itertools.chain(EDGES, some_floats(random.Random(1), 1500)):
        assert written(lambda at, v=value: float_text.write_float(v, at)) == repr(value)


def test_floats_are_read_as_float_reads_them() -> None:
    """Every text that Python accepts gives the same bits, halfway cases and long ones too; others are refused."""
    source = random.Random(2)
    texts = [
        *TEXT.split(),
        "",
        "1" * 400,
        "0." + "0" * 400 + "1",
        "1" * 900 + "e-899",
        "9" * 850,
        "1" * 810 + ".2",
    ]
    for value in some_floats(source, 400):
        texts += [repr(value), f"{value:.{source.randrange(25)}e}"]
    for value in some_floats(source, 60):
        if math.isfinite(value) and value != 0:
            with localcontext() as context:
                context.prec = 1200
                half = (Decimal(value) + Decimal(math.nextafter(value, 0))) / 2
            texts += [f"{half:f}", f"{half:f}1" if "." in f"{half:f}" else f"{half:f}.1"]
    result = raw.allocate(8)
    top = raw.MEMORY.top
    for text in texts:
        raw.MEMORY.top = top
        found = raw.load_float(result) if float_parsing.parse_float(*placed(text.encode()), result) else None
        assert same(found, _float(text)), text


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def test_integers_are_written_and_read() -> None:
    """Both ends of 64 bits included; what is past them is told apart from what is no number."""
    source = random.Random(3)
    values = [0, 1, -1, 9, 10, 99, 100, -(2**63), 2**63 - 1]
    values += [source.getrandbits(source.randrange(1, 63)) * source.choice((1, -1)) for _ in range(500)]
    for value in values:
        assert written(lambda at, v=value: int_text.write_int(v, at)) == str(value)
        assert parsed(str(value), 10) == value
        assert parsed(f"{value:#x}", 0) == value
        assert parsed(f"{value:b}", 2) == value
    for text in ("9223372036854775808", "-9223372036854775809", "9" * 40, "-" + "1" * 20):
        assert parsed(text, 10) == "too large"
    for text, base in [
        ("", 10), ("-", 10), ("1_000", 10), ("1__0", 10), ("_1", 10), ("1_", 10), ("12a", 10), ("z", 36), ("0x1f", 16),
        ("0x", 16), ("0x_1", 16), ("0b12", 0), ("010", 0), ("00", 0), ("0o17", 0), ("0O17", 8), ("-0B1", 2),
        ("1.0", 10), ("+7", 10), ("0b1", 16), ("\u0663".encode().decode("latin-1"), 10),
    ]:  # fmt: skip
        try:
            expected: int | str = int(text, base)
        except ValueError:
            expected = "bad"
        assert parsed(text, base) == expected, (text, base)


def parsed(text: str, base: int) -> int | str:
    result = raw.allocate(8)
    start, end = placed(text.encode("latin-1"))
    state = int_text.parse_base(start, end, base, result)
    return (raw.load64(result), "bad", "too large")[state]


def test_rounding_is_exact() -> None:
    """`round(x, n)` goes by the exact value; what overflows can be told."""
    source = random.Random(4)
    for value in itertools.chain(EDGES, some_floats(source, 1500)):
        places = source.choice((source.randrange(6), source.randrange(-20, 25), source.randrange(-320, 330)))
        try:
            expected = round(value, places)
        except OverflowError:
            expected = math.copysign(math.inf, value)
        assert same(rounding.round_float(value, places), expected), (value, places)
        whole = source.getrandbits(source.randrange(1, 64)) - (1 << 62)
        expected_whole = round(whole, places)
        found = rounding.round_int(whole, places)
        if -(2**63) <= expected_whole < 2**63:
            assert found == expected_whole, (whole, places)
        else:
            assert (found < 0) != (whole < 0)


def formatted(value: float | str, text: str) -> str:
    """Format as compiled programs do: the number by the library, the filling as for any text."""
    kind = type(value).__name__
    spec = read_spec(text, kind)
    if isinstance(value, str):
        return filled(value if spec.precision < 0 else value[: spec.precision], spec, 0)
    if isinstance(value, int) and spec.kind and spec.kind in "efg%":
        value = float(value)
    at = raw.allocate(ROOM)
    sign, group = {"-": 0}.get(spec.sign, ord(spec.sign)), ord(spec.group or "\0")
    letter = ord(spec.kind or ("d" if isinstance(value, int) else "\0"))
    if isinstance(value, int):
        end = number_format.format_int(value, letter, sign, spec.alternate, group, spec.zero_width, at)
    else:
        end = number_format.format_float(
            value, letter, spec.precision, sign, spec.upper, spec.alternate, group, spec.zero_width, at
        )
    width = number_format.sign_width(at, end)
    content = bytes(raw.MEMORY.content[at:end]).decode("ascii")
    raw.MEMORY.top = at
    return filled(content, spec, width)


def filled(text: str, spec: FormatSpec, sign_width: int) -> str:
    missing = max(spec.width - len(text), 0)
    before = {"<": 0, ">": missing, "^": missing // 2, "=": missing}[spec.align]
    if spec.align == "=":
        return text[:sign_width] + spec.fill * missing + text[sign_width:]
    return spec.fill * before + text + spec.fill * (missing - before)


def test_formats_are_those_of_python() -> None:
    """Random specifications over random values: the same text, or refused by both."""
    source = random.Random(5)

    def some(chance: float, choices: str) -> str:
        return source.choice(choices) if source.random() < chance else ""

    refused = 0
    for _ in range(12_000):
        which = source.randrange(3)
        value: float | str = (
            source.choice([*EDGES, any_float(source), source.uniform(-1000, 1000), source.randrange(10**6) / 1000]),
            source.choice([0, -1, 2**63 - 1, -(2**63), source.randrange(-5000, 5000), source.getrandbits(62)]),
            source.choice(["", "a", "héllo", "日本", "abcdefgh"]),
        )[which]  # fmt: skip
        spec = (some(0.4, "*0é _") + source.choice("<>=^")) if source.random() < 0.4 else ""
        spec += some(0.3, "+- ") + some(0.2, "#") + some(0.3, "0")
        spec += str(source.randrange(1, 30)) if source.random() < 0.5 else ""
        spec += some(0.3, ",_")
        spec += f".{source.choice((0, 1, 2, 3, 5, 10, 17, 20, 40, 330))}" if source.random() < 0.5 else ""
        spec += some(0.8, ("eEfFgG%", "bdoxXfeg%", "s")[which])
        try:
            expected: str | None = format(value, spec)
        except ValueError:
            expected = None
        try:
            found: str | None = formatted(value, spec)
        except ValueError:
            found = None
        assert found == expected, (value, spec)
        refused += expected is None
    assert 500 < refused < 8000


@pytest.mark.parametrize("spec", ["n", "c", "z.1f", "999999999", ".999999999f", "é", "5 d", "5.5.5f"])
def test_other_specifications_are_refused(spec: str) -> None:
    """What is not covered, or asks for a hundred megabytes, is a ValueError when it is read."""
    with pytest.raises(ValueError, match=r"not supported|Invalid format|Unknown format"):
        read_spec(spec, "float")
