"""Strings, lists, dicts, classes and exceptions of compiled Python, against CPython."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = """
def methods(s: str, t: str) -> list[str]:
    found = [s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), s.strip(), s.lstrip(), s.rstrip()]
    found += [s.strip(t), s.lstrip(t), s.rstrip(t), s.replace(t, "<>"), s.replace(t, "é", 1), s + t, t * 3]
    found += [s.zfill(9), s.ljust(9), s.rjust(9, "*"), s.center(10, "-"), s.removeprefix(t), s.removesuffix(t)]
    found += [s[1:], s[:-1], s[::-1], s[::2], s[-3:2:-1], repr(s), f"{s!r:>12}", "|".join([s, t, s])]
    return found + s.split() + s.splitlines() + list(s) + [c for c in reversed(s)]

def facts(s: str, t: str) -> list[int]:
    found = [len(s), s.find(t), s.rfind(t), s.count(t), s.find(t, 1), s.rfind(t, 1, -1), s.count(t, 1, 4)]
    tests = [s.isdigit(), s.isalpha(), s.isalnum(), s.isspace(), s.isupper(), s.islower(), s.isascii(), s.istitle()]
    tests += [s.isnumeric(), s.isdecimal(), s.isprintable(), s < t, s <= t, s == t, s != t, t in s, t not in s]
    tests += [s.startswith(t), s.endswith(t), s.startswith((t, "a")), s.startswith(t, 2), bool(s)]
    return found + [int(test) for test in tests] + [ord(c) for c in s]

def parts(s: str, t: str) -> list[str]:
    a, b, c = s.partition(t)
    d, e, f = s.rpartition(t)
    return [a, b, c, d, e, f] + s.split(t) + s.split(t, 1) + s.rsplit(t, 1)

def characters(s: str, i: int) -> str:
    return s[i] + chr(ord(s[i]) + 1)

def encoded(s: str) -> bytes:
    return s.encode()

def decoded(b: bytes) -> str:
    return b.decode()

def bytes_of(b: bytes, i: int) -> list[int]:
    return [b[i], len(b), *b[::-1], *(b + b"x"), int(7 in b)] if b else []

def shown(b: bytes) -> str:
    return f"{b!r} {b.hex()} {b * 2} {b[1:3]}"

def to_int(s: str) -> int:
    return int(s)

def to_hex(s: str) -> int:
    return int(s, 16)

def to_float(s: str) -> float:
    return float(s)

def grown(n: int) -> int:
    s = ""
    t = "…"
    for i in range(n):
        s += str(i % 10)
        if i % 1000 == 999:
            t += s[-3:]
    u = s + "a"
    v = s + "b"
    return len(s) + len(t) + (u[-1] == "a") + (v[-1] == "b") + (u != v)
"""
SOME = (
    "", "a", "abc", "Hello World", "  spaced\tout\n", "a,b,,c", "ÄÖÜß straße", "日本語テキスト",
    "😀 smile 😀", "\x00\x7f\x80\xff",
    "ὈΔΥΣΣΕΎΣ ΣΑΣ", "ǆ ŉ ﬁ İ ı", "１２３ ٤٥", "½ ² Ⅷ", "it's", 'say "hi"', "both ' and \"", "back\\slash",
    "line\r\nline\u2028x\x1cy\x85z",
    "they're bill's friends", "aaa", "\u0345a\u03a3\u0301 a.\u03a3",
)  # fmt: skip


async def test_strings(both: Callable[[str], Any]) -> None:
    """Every method of strings does what CPython's does, for text of every plane."""
    program = await both(TEXTS)
    for s in SOME:
        for t in (" ", "a", "aa", "ß", "", "😀", "l", "日本"):
            await program.same("methods", s, t)
            await program.same("facts", s, t)
            await program.same("parts", s, t)
        for i in (0, 1, -1, 5, -6):
            await program.same("characters", s, i)
        await program.same("encoded", s)
        await program.same("decoded", s.encode())
    await program.same("grown", 20_000)


async def test_numbers_in_text(both: Callable[[str], Any]) -> None:
    """Text is read as a number, or refused in CPython's words."""
    program = await both(TEXTS)
    for s in (
        "0",
        "-12",
        " 42 ",
        "+7",
        "1_000",
        "1__0",
        "_1",
        "",
        " ",
        "x",
        "0x1f",
        "1.5",
        "٤٥",
        "9" * 15,
        "--1",
        "1 2",
    ):
        await program.same("to_int", s)
        await program.same("to_hex", s)
        await program.same("to_float", s)
    for s in (
        "1e3",
        "-1.5E-7",
        ".5",
        "5.",
        "inf",
        "-Infinity",
        "nan",
        "1e400",
        "1_0.5",
        "1e",
        "e5",
        "0.1",
        "1" * 400,
        "٣.٥",
    ):
        await program.same("to_float", s)
    assert await program.found("to_int", "9" * 19) == "OverflowError: the integer needs more than 64 bits"


async def test_bytes(both: Callable[[str], Any]) -> None:
    """Bytes are shown, cut and decoded as CPython does it, with its complaints."""
    program = await both(TEXTS)
    for b in (b"", b"abc", b"\x00\xff'", b'"\\\n\t\r~\x7f', bytes(range(256))):
        await program.same("bytes_of", b, 0)
        await program.same("shown", b)
    for b in (
        b"\xff",
        b"a\xc3",
        b"\xc3(",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98",
        b"\xf0\x9f(",
        b"\xe2\x82\xac ok",
        b"\xf5",
        b"ab\x80",
    ):
        await program.same("decoded", b)


THINGS = '''
from __future__ import annotations
from dataclasses import dataclass, field

class Full(ValueError):
    """There is no room."""

class Fuller(Full):
    pass

@dataclass
class Box:
    size: int
    items: list[str] = field(default_factory=list)
    lid: Box | None = None

    def add(self, item: str) -> Box:
        if len(self.items) >= self.size:
            raise Fuller(f"only {self.size}")
        self.items.append(item)
        return self

    @property
    def left(self) -> int:
        return self.size - len(self.items)

@dataclass(frozen=True, order=True)
class Version:
    major: int
    minor: int = 0
    LATEST = (3, 11)

class Counter:
    def __init__(self, start: int) -> None:
        self.count = start
        self.history: list[int] = [start]

    def step(self, by: int = 1) -> int:
        self.count += by
        self.history.append(self.count)
        return self.count

def boxes(n: int) -> str:
    box = Box(2, lid=Box(n))
    for i in range(n):
        box.add(f"item {i}")
    lid = box.lid
    if lid is not None:
        lid.add("knob")
    return f"{box} {box.left} {box == Box(2)} {box.lid is lid}"

def versions(a: int, b: int) -> str:
    v, w = Version(a, b), Version(b)
    known = {v: "v", w: "w"}
    return f"{v} {v < w} {v >= w} {max(v, w)} {sorted([w, v])} {known[Version(b, 0)]} {len(known)} {Version.LATEST[1]}"

def counter(n: int) -> list[int]:
    counter = Counter(n)
    while counter.step(by=3) < 20:
        counter.step()
    return counter.history

def kinds(n: int) -> str:
    log: list[str] = []
    try:
        try:
            log.append("try")
            if n == 0:
                raise Fuller("zero")
            if n == 1:
                raise KeyError("one")
            if n == 2:
                log.append(str([1, 2][n]))
            if n == 3:
                log.append(str(1 % (n - 3)))
            if n == 4:
                log.append({"a": "b"}["c"])
            if n == 5:
                raise RuntimeError
            if n == 6:
                return "returned " + " ".join(log)
            assert n != 7, f"n is {n}"
        except Full as e:
            log.append(f"full {e}")
            if n == 0:
                raise
        except (KeyError, IndexError) as e:
            log.append(f"lookup {e}")
        else:
            log.append("else")
        finally:
            log.append("finally")
    except ValueError as e:
        log.append(f"outer {e}")
    except ArithmeticError:
        log.append("arithmetic")
    return " ".join(log)

def nested(n: int) -> int:
    found = 0
    for i in range(n):
        try:
            if i == 2:
                continue
            if i == 5:
                break
            found += helper(i)
        except ZeroDivisionError:
            found += 100
        finally:
            found += 1000
    return found

def helper(i: int) -> int:
    try:
        return 10 // (i - 1)
    finally:
        if i == 3:
            raise IndexError("three")

def optional(x: str | None, y: int | None) -> str:
    if x is None or not x:
        return "none" if y is None else str(y + 1)
    return x.upper() + (f"{y * 2}" if y else "")

def inner(d: dict[str, int], names: list[str]) -> int:
    return sum(d[name] for name in names)

def totals(names: list[str]) -> str:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + len(name)
    try:
        bad = inner(found, [*names, "missing"])
    except KeyError as e:
        bad = -1
        found[f"error {e}"] = bad
    del found[names[0]]
    found.setdefault("new", 7)
    popped = found.pop("none", 3)
    return f"{found} {popped} {list(found)} {list(found.items())} {'new' in found} {max(found.values())} {bad}"

def lists(a: list[int], n: int) -> str:
    b = a[:]
    b.insert(n, 99)
    b += [7, 7]
    c = b.pop(1)
    b.remove(7)
    b.sort(reverse=True)
    b[1:2] = [5, 6, 7]
    del b[0]
    d = [x * y for x in b if x % 2 for y in (1, 2) if x != y]
    return f"{a} {b} {c} {d} {b.index(6)} {b.count(7)} {min(b)} {sum(d)} {b[::-2]} {b * 2} {a == b} {a < b}" + (
        f"{99 in b} {any(x > 98 for x in a)}"
    )

def table(n: int) -> list[list[int]]:
    grid = [[0] * n for _ in range(n)]
    for i, row in enumerate(grid):
        for j in range(n):
            row[j] = i * n + j
    for row, other in zip(grid, reversed(grid)):
        row[0] += other[-1]
    return grid

def records(n: int) -> list[str]:
    people = [(f"p{i % 3}", i * 7 % 5, i) for i in range(n)]
    people.sort(key=lambda p: (p[1], p[0]), reverse=True)
    best = max(people, key=lambda p: p[2])
    name, age, number = best
    return [f"{a}{b}{c}" for a, b, c in people] + [f"{name}{age}{number}"]

def sets(a: list[int], b: list[int]) -> list[int]:
    x, y = set(a), set(b)
    x.add(1)
    y.discard(2)
    return sorted(x | y) + sorted(x & y) + sorted(x - y) + sorted(x ^ y) + [len(x), int(x <= y), int(1 in y), sum(x)]

def unbound(n: int) -> int:
    if n > 2:
        found = n
    return found + 1

def walrus(a: list[int]) -> int:
    total = 0
    while (n := len(a) - total) > 2:
        total += 1
    return n * 10 + (n := 3) + n

def unpacked(a: list[int]) -> int:
    x, y = a
    return x * 10 + y
'''


async def test_objects(both: Callable[[str], Any]) -> None:
    """Classes, optional values and exceptions, their order and their texts."""
    program = await both(THINGS)
    for n in range(5):
        await program.same("boxes", n)
        await program.same("counter", n)
        await program.same("unbound", n)
        await program.same("unpacked", list(range(n)))
    for a in range(3):
        for b in range(3):
            await program.same("versions", a, b)
    for n in range(9):
        await program.same("kinds", n)
        await program.same("nested", n)
    for x in (None, "", "abc"):
        for y in (None, 0, 4):
            await program.same("optional", x, y)


async def test_collections(both: Callable[[str], Any]) -> None:
    """Lists, dicts and sets, and what is made of them."""
    program = await both(THINGS)
    for names in (["a"], ["b", "a", "b", "ccc"], ["x y", "é", "x y", "é", "z"]):
        await program.same("totals", names)
    for a in ([3, 1, 2], [7], [0, -5, 7, 7, 9, 98], [99, 6]):
        for n in (0, 1, -1, 50):
            await program.same("lists", a, n)
    for n in (0, 1, 2, 3, 40):
        await program.same("table", n)
        await program.same("records", n)
        await program.same("sets", [i * 7 % 11 for i in range(n)], [i * i % 13 for i in range(n)])
        await program.same("walrus", list(range(n)))


OPERATORS = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Vector:
    x: float
    y: float

    def __add__(self, other: "Vector") -> "Vector":
        return Vector(self.x + other.x, self.y + other.y)

    def __sub__(self, other: "Vector") -> "Vector":
        return self + -other

    def __mul__(self, by: float) -> "Vector":
        return Vector(self.x * by, self.y * by)

    def __matmul__(self, other: "Vector") -> float:
        return self.x * other.x + self.y * other.y

    def __neg__(self) -> "Vector":
        return self * -1.0

    def __truediv__(self, by: float) -> "Vector":
        return self * (1.0 / by)

    def __floordiv__(self, by: int) -> int:
        return int(self.x) // by

    def __mod__(self, by: int) -> str:
        return f"{self.x}%{by}"

    def __lt__(self, other: "Vector") -> bool:
        return self @ self < other @ other

    def __ge__(self, other: "Vector") -> bool:
        return not self < other

class Box:
    def __init__(self, n: int) -> None:
        self.n = n

    def __lt__(self, other: int) -> bool:
        return self.n < other

    def __le__(self, other: "Box") -> bool:
        return self.n <= other.n

def noted(log: list[float], one: Vector) -> Vector:
    log.append(one.x)
    return one

def arithmetic(x: float, by: int) -> str:
    one, other = Vector(x, 2.0), Vector(3.0, -1.0)
    one += other
    many = [one, other]
    many[0] -= other
    return f"{one + other} {one * 2.0} {one @ other} {-one} {one / float(by)} {one // by} {one % by} {many}"

def orders(x: float) -> str:
    one, other = Vector(x, 2.0), Vector(3.0, -1.0)
    log: list[float] = []
    swapped = noted(log, one) > noted(log, other)
    chain = noted(log, other) < noted(log, one) <= noted(log, other)
    return f"{one < other} {one > other} {one >= other} {one <= other} {swapped} {chain} {log}"

def mixed(n: int) -> str:
    return f"{Box(n) < 5} {5 > Box(n)} {Box(n) <= Box(2)} {Box(n) >= Box(2)}"
"""


async def test_operators_of_classes(both: Callable[[str], Any]) -> None:
    """Operators call the methods of a class, of the right object where the left one has none."""
    program = await both(OPERATORS)
    for n in (-4, 0, 1, 2, 3, 7):
        await program.same("arithmetic", float(n), n)
        await program.same("orders", float(n))
        await program.same("mixed", n)


DELETED = """
def deleted(items: list[int], start: int, stop: int, step: int) -> list[int]:
    del items[start:stop:step]
    return items

def open_ended(items: list[int], step: int) -> list[list[int]]:
    copy, other, third = items[:], items[:], items[:]
    del items[::step]
    del copy[1::step]
    del other[:-1:step]
    del third[::1]
    return [items, copy, other, third]
"""


async def test_deleted_slices(both: Callable[[str], Any]) -> None:
    """Slices with a step leave what lies between."""
    program = await both(DELETED)
    bounds = (-(2**63), -20, -6, -3, -1, 0, 1, 4, 7, 20, 2**63 - 1)
    steps = (-(2**63), -7, -3, -2, -1, 0, 1, 2, 3, 7, 2**63 - 1)
    for items in ([], [5], list(range(7))):
        for step in steps:
            await program.same("open_ended", items, step)
            for start in bounds:
                await program.same("deleted", items, start, bounds[start % len(bounds)], step)


ASSIGNED = """
def other(a: list[int], b: list[int], i: int, j: int, k: int, m: int) -> list[list[int]]:
    forwards, backwards = a[:], a[:]
    forwards[i:j] = b[k:m]
    backwards[i:j] = b[k:m:-1]
    return [forwards, backwards, b]

def own(a: list[int], i: int, j: int, k: int, m: int) -> list[list[int]]:
    forwards, backwards = a[:], a[:]
    forwards[i:j] = forwards[k:m]
    backwards[i:j] = backwards[k:m:-1]
    return [forwards, backwards]

def beginnings(a: list[int], k: int) -> list[list[int]]:
    turned, moved, whole = a[:], a[:], a[:]
    turned[: k + 1] = turned[k::-1]
    moved[: k + 1] = moved[1 : k + 2]
    whole[:] = whole[::-1]
    return [turned, moved, whole]

def renamed(a: list[int]) -> list[int]:
    a[:2] = (a := [3, 4, 5])[::-1]
    return a
"""


async def test_assigned_slices(both: Callable[[str], Any]) -> None:
    """A slice of a list goes to another one or to itself, of the same length or not, also where they overlap."""
    program = await both(ASSIGNED)
    random = Random(7)
    bounds = [*range(-9, 10), *range(-45, 46, 10), -(2**63), 2**63 - 1]
    for _ in range(400):
        lists = [[random.randrange(100) for _ in range(random.choice((0, 1, 3, 8, 20, 40)))] for _ in "ab"]
        where = random.choices(bounds, k=4)
        await program.same("other", *lists, *where)
        await program.same("own", lists[0], *where)
        await program.same("beginnings", lists[0], where[0] % 50 - 5)
    await program.same("renamed", [1, 2, 3])


TRUTHS = """
class Flag:
    def __init__(self, n: int) -> None:
        self.n = n

    def __bool__(self) -> bool:
        return self.n > 5

class Sized:
    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

class Plain:
    MOST = 4
    NAMES = ("a", "b")

    def __init__(self, n: int) -> None:
        self.n = min(n, Plain.MOST)

    def name(self) -> str:
        return self.NAMES[self.n % 2] + Plain.NAMES[0] + str(Plain(3).MOST)

def found(n: int) -> Sized | None:
    return None if n < -1 else Sized(n)

def flagged(n: int) -> str:
    flag = Flag(n)
    return f"{bool(flag)} {not flag} {bool(flag and flag.n)} {'yes' if flag else 'no'}"

def sized(n: int) -> int:
    return len(Sized(n)) * 10 + (1 if Sized(n) else 2)

def chosen(n: int) -> int:
    one = found(n)
    if not one:
        return -1
    while one and one.n:
        one.n -= 1
    return one.n + (found(n) or Sized(8)).n

def named(n: int) -> str:
    return f"{Plain(n).n} {Plain(n).name()} {Sized(n).n}"

def several(n: int) -> list[bool]:
    items = [Sized(k) for k in range(n)]
    return [any(items), all(items), any(Plain(k) for k in range(n)), len([k for k in items if k]) == n]
"""


async def test_what_classes_say_of_objects(both: Callable[[str], Any]) -> None:
    """A class decides on the truth of its objects, by a method or their length, and its constants are theirs."""
    program = await both(TRUTHS)
    for n in (-3, -1, 0, 1, 2, 5, 6):
        for name in ("flagged", "sized", "chosen", "named", "several"):
            await program.same(name, n)


FORMATS = (
    "", "5", "<8", ">8", "^9", "*^9", "=+8", "08", "+", " ", ",", "_", "x", "#x", "#010b", "X", "o", "e", ".3f",
    "010.2f", "%", "g", ".3g", ",.2f", "é>7d",
)  # fmt: skip


async def test_formats(both: Callable[[str], Any]) -> None:
    """Format specifications, those that are known when the program is compiled and those with values in them."""
    source = [
        "def n(x: int, w: int) -> list[str]:\n    return ["
        + ", ".join(f'f"{{x:{f}}}"' for f in FORMATS)
        + ', f"{x:>{w}}", f"{x:{w}d}"]'
    ]
    floats = [f for f in FORMATS if f[-1:] not in ("x", "b", "X", "o", "d")]
    source.append(
        "def r(x: float, w: int) -> list[str]:\n    return ["
        + ", ".join(f'f"{{x:{f}}}"' for f in floats)
        + ', f"{x:{w}.{w}f}", f"{x!r:^30}"]'
    )
    texts = ("", "5", "<8", ">8", "^9", "*^9", ".2", "5.2s")
    source.append(
        "def s(x: str, w: int) -> list[str]:\n    return ["
        + ", ".join(f'f"{{x:{f}}}"' for f in texts)
        + ', f"{x:.{w}}", f"{x:>{w}}", str(x)]'
    )
    program = await both("\n".join(source))
    for w in (0, 1, 7, -3):
        for n in (0, 1, -1, 255, -1234567, 2**63 - 1, -(2**63)):
            await program.same("n", n, w)
        for x in (0.0, -0.0, 1.5, -2.675, 1e-7, 123456789.125, 1e22, float("inf"), float("nan")):
            await program.same("r", x, w)
        for s in ("", "abc", "éé", "😀😀😀"):
            await program.same("s", s, w)
