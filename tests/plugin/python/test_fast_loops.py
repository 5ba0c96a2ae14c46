"""Loops that read a list's header once and are written out several times: never where that would show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from echelon.plugin.compilers.python.compiler import translate

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHANGED = """
from dataclasses import dataclass

@dataclass
class Box:
    items: list[int]

def by_itself(n: int) -> list[int]:
    a = [1, 2, 3]
    for i in range(n):
        a.append(a[i] + len(a))
    return a

def by_alias(n: int) -> int:
    a = [1]
    b = a
    total = 0
    for i in range(n):
        b.append(i)
        total += a[i] * 10 + a[-1] + len(a)
    return total

def through_a_field(n: int) -> int:
    a = [1]
    box = Box(a)
    total = 0
    for i in range(n):
        box.items.append(i * i)
        total += a[i] + a[-1]
    return total

def grow(a: list[int], by: int) -> int:
    a.append(by)
    return a[-1]

def twice(a: list[int], by: int) -> int:
    return grow(a, by) + by

def by_a_function(n: int) -> int:
    a = [5]
    total = 0
    for i in range(n):
        total += twice(a, i) + a[i] + len(a)
    return total

def shrinks(n: int) -> int:
    a = list(range(n))
    total = 0
    i = 0
    while i < len(a):
        total += a[i]
        if a[i] % 3 == 0:
            a.pop()
        i += 1
    return total

def removed_below(n: int) -> int:
    a = list(range(n))
    total = 0
    for i in range(n):
        total += a[i]
        a.remove(a[-1])
    return total

def extended(n: int) -> list[int]:
    a = [1, 2]
    for x in a:
        if len(a) < n:
            a += [x, x + 1]
    return a

def by_a_slice(n: int) -> list[int]:
    a = list(range(10))
    for i in range(n):
        a[i : i + 1] = [a[i], a[i], a[-1]]
    return a

def cut_by_a_slice(n: int) -> int:
    a = list(range(10))
    total = 0
    for i in range(n):
        a[0:2] = []
        total += a[i]
    return total

def rebound(n: int) -> int:
    a = [1]
    total = 0
    for i in range(n):
        a = a + [i]
        total += a[i + 1] + len(a)
    return total

def rebound_by_a_walrus(n: int) -> int:
    a = [1, 2]
    total = 0
    for i in range(n):
        total += len(a := a + [i]) + a[-1]
    return total

def unpacked(n: int) -> int:
    a, b = [1], [2, 3]
    total = 0
    for i in range(n):
        a, b = b, a
        total += a[0] * len(a) + b[-1]
    return total

def in_the_outer_loop(n: int) -> int:
    a = [0]
    total = 0
    for i in range(n):
        for j in range(len(a)):
            total += a[j]
        a.append(i)
    return total

def in_a_comprehension(n: int) -> int:
    a = [1]
    total = 0
    for i in range(n):
        total += sum([grow(a, x) for x in range(2)]) + a[i]
    return total

def of_another_type(n: int) -> int:
    a, names = [1, 2, 3], [""]
    for i in range(n):
        names.append(str(a[i % 3]))
        a[i % 3] = len(names)
    return a[0] + a[1] * 100 + a[2] * 10000

def within_a_list(n: int) -> int:
    rows = [[0]]
    row = rows[0]
    total = 0
    for i in range(n):
        rows[0].append(i)
        total += row[i] + len(row)
    return total

def cleared_in_finally(n: int) -> int:
    a = [1, 2, 3]
    total = 0
    for i in range(n):
        try:
            total += a[i]
        except IndexError:
            total += 100
        finally:
            a.clear()
    return total

def none_at_first(n: int) -> int:
    a: list[int] | None = None
    if n > 2:
        a = [n, n + 1]
    total = 0
    for i in range(n):
        if a is not None:
            total += a[i % 2] + len(a)
    return total

def popped_by_sort_key(n: int) -> list[int]:
    a = [3, 1, 2]
    spare = [9, 8, 7]
    for i in range(n):
        a.sort(key=lambda x: -x if i % 2 else x)
        a.insert(0, spare.pop())
    return a
"""

CHECKED = """
def negative(n: int) -> int:
    a = [1, 2, 3, 4]
    total = 0
    for i in range(-4, n):
        total = total * 3 + a[i]
    return total

def set_negative(n: int) -> list[int]:
    a = [0] * 5
    for i in range(-5, n):
        a[i] = i
    return a

def too_far(n: int) -> int:
    a = [1, 2, 3]
    total = 0
    for i in range(n):
        total += a[i]
    return total

def too_far_back(n: int) -> int:
    a = [1, 2, 3]
    total = 0
    for i in range(n):
        total += a[-i - 1]
    return total

def set_too_far(n: int) -> int:
    a = [1, 2, 3]
    done = 0
    try:
        for i in range(n):
            a[i] = 7
            done += 1
    except IndexError as problem:
        return done * 1000 + len(str(problem)) + a[done - 1]
    return done

def overflows(n: int) -> int:
    total = 1
    done = 0
    try:
        for _ in range(n):
            total *= 10
            done += 1
    except OverflowError:
        return done
    return -total

def adds_too_much(n: int) -> int:
    a = [2**61] * 8
    total = 0
    for i in range(n):
        total += a[i]
    return total

def near_the_end(start: int, stop: int, step: int) -> list[int]:
    up = [i for i in range(9223372036854775800, 9223372036854775807, 3)]
    down = [i for i in range(-9223372036854775800, -9223372036854775808, -3)]
    return up + down + [i for i in range(start, stop, step)]

def counts(n: int) -> list[int]:
    found: list[int] = []
    for i in range(n):
        found.append(i)
    for i in range(n, 0, -1):
        found.append(i)
    for i in range(0, n, 3):
        found.append(i)
    for i in range(n, -2, -2):
        found.append(i)
    else:
        found.append(-99)
    return found

def leaves(n: int) -> list[int]:
    found: list[int] = []
    for i in range(n):
        if i == 5:
            break
        if i % 2:
            continue
        found.append(i)
    else:
        found.append(-1)
    i = 0
    while i < n:
        i += 1
        if i == 7:
            break
        if i % 3 == 0:
            continue
        found.append(i)
    else:
        found.append(-2)
    return found

def returns(n: int) -> int:
    for i in range(100):
        if i * i >= n:
            return i
    return -1

def conditions(a: int, b: int, c: int) -> list[int]:
    found: list[int] = []
    if a > 0 and b > 0:
        found.append(1)
    if a > 0 or b > 0:
        found.append(2)
    else:
        found.append(3)
    if not (a > 0 and b > 0) or c > 0:
        found.append(4)
    if (a > 0 or b > 0) and (b > 0 or c > 0):
        found.append(5)
    elif a > 0 and not (b > 0 or c > 0):
        found.append(6)
    while a > 0 and (b > 0 or c > 0) and not (a == b and b == c):
        a -= 1
        if b > c or a == 2:
            b -= 1
        else:
            c -= 1
    return [*found, a, b, c]

def stops_early(n: int) -> int:
    a = [1, 2, 3]
    i = 0
    while i < len(a) and a[i] < n:
        i += 1
    while i > n or (i < 3 and a[i] == n):
        i -= 1
    return i

def of_several(a: list[int], b: list[int], s: str) -> list[int]:
    return [x * 100 + y * 10 + len(c) + i for i, (x, y, c) in enumerate(zip(a, b, s))]
"""


ITEMS = """
def dotted(a: list[int], b: list[int]) -> float:
    total = 0.0
    for x, y in zip([x / 3 for x in a], [y * 0.1 for y in b]):
        total += x * y
    return total

def skips(a: list[int], b: list[int]) -> list[int]:
    found = []
    for i, (x, y) in enumerate(zip(a, [y > 3 for y in b])):
        if y:
            continue
        if x > 7:
            break
        found.append(i * 100 + x)
    else:
        found.append(-1)
    return found

def changes(a: list[int], b: list[int]) -> list[int]:
    for i, x in enumerate(a):
        a[-1] += x
        b[i % (len(b) + 1)] = x
    return a + b

def from_a_start(a: list[int], b: list[int]) -> list[int]:
    return [i * x for i, x in enumerate(a, 5)] + [i - x for i, x in enumerate(b)]

def nested(a: list[int], b: list[int]) -> int:
    total = 0
    for x in a:
        for y in b:
            total = (total * 3 + x - y) % 9973
    return total

def of_three(a: list[int], b: list[int]) -> int:
    total = 0
    for x, y, z in zip(a, b, "abcde"):
        total = total * 5 + x * y + ord(z)
    return total

def twice_the_same(a: list[int], b: list[int]) -> int:
    return sum(x * y for x, y in zip(a, a)) + sum(x for x in b if x in a)

def raises(a: list[int], b: list[int]) -> int:
    total = 0
    try:
        for x in a:
            total += 60 // (x - 5)
    except ZeroDivisionError:
        total = -total
    for x in b:
        total += 10 // (x - 4)
    return total
"""


async def test_lists_that_change(both: Callable[[str], Any]) -> None:
    """By another name, a field, a function, a slice or a new value: a loop sees it at once."""
    program = await both(CHANGED)
    names = [line[4:].partition("(")[0] for line in CHANGED.splitlines() if line.startswith("def ")]
    for name in names:
        if name in ("grow", "twice"):
            continue
        for n in (0, 1, 2, 3, 4, 5, 7, 9):
            await program.same(name, n)


async def test_items_in_turn(both: Callable[[str], Any]) -> None:
    """However many turns are left when several are made at once, and however a loop is left."""
    program = await both(ITEMS)
    names = [line[4:].partition("(")[0] for line in ITEMS.splitlines() if line.startswith("def ")]
    for name in names:
        for first in (*range(10), 15, 16, 17, 40):
            for second in (0, 1, 4, 7, 8, 9, 15, 16, 33):
                await program.same(name, list(range(first)), list(range(second))[::-1])


async def test_indexes_and_numbers_are_checked(both: Callable[[str], Any]) -> None:
    """In whichever of its copies a turn runs, what it raises is raised, and what it did before stays done."""
    program = await both(CHECKED)
    simple = ("negative", "set_negative", "too_far", "too_far_back", "set_too_far")
    for name in (*simple, "overflows", "counts", "leaves", "returns", "stops_early"):
        for n in range(10):
            await program.same(name, n)
    await program.same("adds_too_much", 3)
    for n in (4, 5, 7):
        assert (await program.found("adds_too_much", n)).startswith("OverflowError")
    assert await program.found("overflows", 40) == 18
    await program.same("returns", 5000)


async def test_ranges_and_conditions(both: Callable[[str], Any]) -> None:
    """Ranges of any length and step end where CPython's do, and conditions are taken apart without a difference."""
    program = await both(CHECKED)
    for stop in range(-3, 12):
        for step in (-3, -1, 1, 2, 5):
            await program.same("near_the_end", 4, stop, step)
    for a in (0, 1, 3):
        for b in (0, 1, 3):
            for c in (0, 2, 3):
                await program.same("conditions", a, b, c)
    for length in range(9):
        await program.same("of_several", list(range(length)), [4, 5, 6, 7, 8], "añ😀xyz")


async def test_headers_are_read_before_a_loop() -> None:
    """A loop that changes no list of a type has no load of a header in it; one that does has."""
    head = "def total(a: list[float], b: list[int]) -> float:\n    t = 0.0\n    for x in a:\n"
    source = head + "        t += x{}\n    return t\n"
    held, read = (translate(source.format(more), "p.py") for more in ("", "\n        a.append(t)"))
    assert "load32_u offset=4" not in held.text_of("total").partition("loop")[2]
    assert "load32_u offset=4" in read.text_of("total").partition("loop")[2]
    other = translate(source.format("\n        b.append(1)"), "p.py").text_of("total")
    assert other.partition("loop")[2].count("f64.load") == 17  # sixteen turns in a row, and one


async def test_many_loops_in_one_function(both: Callable[[str], Any]) -> None:
    """A function that is long already has its loops as they are, and stays small enough to be compiled."""
    loops = "    for x in a: t += x\n" * 2500
    program = await both(f"def total(a: list[float]) -> float:\n    t = 0.0\n{loops}    return t\n")
    await program.same("total", [0.5, 1.5, -0.25])
    await program.same("total", [0.1] * 40)
