"""Memory of loops: what a turn leaves nothing of is given back, and nothing that is still needed ever is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from echelon import Limits, Runtime
from echelon.errors import MemoryExceeded
from echelon.plugin.compilers.python.compiler import translate

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUNDED = """
from dataclasses import dataclass

@dataclass
class Point:
    x: int
    name: str

def short_strings(n: int) -> int:
    total = 0
    for i in range(n):
        s = "item " + str(i)
        total += len(s)
    return total

def in_a_while(n: int) -> int:
    total = 0
    while n > 0:
        n -= 1
        if n % 3 == 0:
            continue
        for part in f"a {n} b".split():
            total += len(part.upper())
    return total

def lists_and_objects(n: int) -> int:
    total = 0
    for i in range(n):
        points = [Point(i + k, f"p{k}") for k in range(3)]
        names = {point.name: point.x for point in points}
        names["p9"] = i
        total += names["p1"] + points[-1].x + len(sorted([3, 1, 2]))
    return total

def words(text: str) -> list[str]:
    found = []
    for word in text.split(","):
        found.append(word.strip())
    return found

def through_functions(n: int) -> int:
    total = 0
    for i in range(n):
        total += len(words(f"a, b, {i}")[2])
    return total

def into_numbers(n: int) -> list[int]:
    counts = [0] * 12
    for i in range(n):
        text = f"number {i}"
        counts[len(text) % 12] += len(text.upper())
        counts[2:5] = counts[4:1:-1]
    return counts

def appended_numbers(n: int) -> int:
    found: list[int] = []
    total = 0
    for i in range(n):
        found.append(len(f"{i} and {i * i}"))
        found[:2] = found[1::-1]
        if len(found) > 100:
            total += sum(found)
            found.clear()
    return total
"""
ESCAPES = """
from dataclasses import dataclass

@dataclass
class Box:
    text: str
    items: list[str]

@dataclass
class Numbers:
    items: list[float]
    count: int

def clobber() -> int:
    total = 0
    for i in range(50):
        total += len("zzzz" * 3 + str(i))
    return total

def last(n: int) -> str:
    s = ""
    for i in range(n):
        s = "value " + str(i)
    clobber()
    return s + "." * clobber()

def previous(n: int) -> list[str]:
    found = []
    before = "none"
    for i in range(n):
        now = f"{before[-3:]}|{i}"
        found.append(now)
        before = now
    return found

def swapped(n: int) -> str:
    a, b = "a", "b"
    for i in range(n):
        a, b = b + str(i), a[-5:] + "x"
    return a + b + "." * (clobber() // 1000)

def sometimes(n: int) -> str:
    best = ""
    for i in range(n):
        s = str(i * i % 17) + "!"
        if s > best:
            best = s
    return best * (clobber() // 500)

def appended(n: int) -> list[list[str]]:
    outer: list[list[str]] = []
    for i in range(n):
        inner = [str(i)]
        inner.append(str(i + 1))
        outer.append(inner)
    clobber()
    return outer

def aliased(n: int) -> list[str]:
    kept: list[str] = []
    for i in range(n):
        other = kept
        other.append("item" + str(i))
    clobber()
    return kept

def fields(n: int) -> str:
    box = Box("", [])
    for i in range(n):
        box.text = "text " + str(i)
        clobber()
    return box.text

def keep(box: Box, text: str) -> None:
    box.items.append(text + "?")

def by_a_function(n: int) -> list[str]:
    box = Box("", [])
    for i in range(n):
        keep(box, f"kept {i}")
        clobber()
    return box.items

def entries(n: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for i in range(n):
        key = f"k{i % 7}"
        found[key] = found.get(key, "") + str(i)
    clobber()
    return found

def items(n: int) -> list[str]:
    found = [""] * n
    for i in range(n):
        found[i] = "at " + str(i)
    clobber()
    return found

def walrus(n: int) -> str:
    text = "x" * n
    total = ""
    while (rest := text[len(total):]) != "":
        total = total + rest[:1]
        clobber()
    return total + "|" + rest

def raised(n: int) -> str:
    try:
        for i in range(n):
            s = "number " + str(i)
            if i == n - 1:
                raise ValueError(s + "!")
    except ValueError as error:
        clobber()
        return str(error)
    return ""

def caught(n: int) -> str:
    found = ""
    for i in range(n):
        try:
            found = str(i) + found[:20]
            if i % 3 == 0:
                raise KeyError("key " + str(i))
        except KeyError as error:
            found = str(error) + found[:20]
    clobber()
    return found

def left(n: int) -> str:
    for i in range(n):
        s = "stop at " + str(i)
        if len(s) + i > 15:
            break
    clobber()
    return s

def returned(n: int) -> str:
    for i in range(n):
        s = "return " + str(i)
        if i > n // 2:
            return s
    return ""

def nested(n: int) -> list[str]:
    lines = []
    for i in range(n):
        line = ""
        for k in range(i % 5):
            cell = str(k) + ","
            line += cell
        lines.append(line)
    clobber()
    return lines

def comprehended(n: int) -> list[list[int]]:
    rows = []
    for i in range(n):
        rows.append([k * i for k in range(4)])
    return [row for row in rows if clobber() > 0]

def grown(n: int) -> str:
    text = "start " * 20
    for i in range(n):
        longer = text + str(i)
        if len(longer) > 10000:
            return longer
    return text + str(clobber())

def optional(n: int) -> int:
    best: int | None = None
    for i in range(n):
        value = (i * 37) % 101
        if best is None or value > best:
            best = value
        clobber()
    return best if best is not None else -1

def tuples(n: int) -> str:
    pair = (0, "zero")
    for i in range(n):
        name, number = pair[1], pair[0]
        pair = (number + i, name[:4] + str(i))
        clobber()
    return f"{pair}"

def numbers(n: int) -> list[int]:
    found = []
    for i in range(n):
        text = "item " + str(i)
        found.append(len(text) * i)
        clobber()
    return found

def newest(n: int) -> list[int]:
    found = [1]
    for i in range(n):
        found.append(i)
        text = "x" * i
        found.append(len(text + text))
    clobber()
    return found

def inserted(n: int) -> list[int]:
    found: list[int] = []
    other = found
    for i in range(n):
        other.insert(len(str(i)) % 3, i)
        found.extend([i, len(f"{i}!")])
        found[1:1] = [len(str(k)) for k in range(i % 3)]
        clobber()
    return found

def turned(n: int) -> list[int]:
    found = list(range(7))
    for i in range(n):
        text = str(i) + "!"
        found[: i % 7 + 1] = found[i % 7 :: -1]
        found[len(text) :] = found[2:]
        found[2:3] = found[:4]
        del found[40:]
        clobber()
    return found

def push(found: list[int], text: str) -> None:
    for part in text.split():
        found.append(len(part + "!"))

def pushed(n: int) -> list[int]:
    found: list[int] = []
    for i in range(n):
        push(found, f"a {i} bcd")
        clobber()
    return found

def of_an_object(n: int) -> list[float]:
    held = Numbers([], 0)
    for i in range(n):
        held.items.append(len("of " + str(i)) / 4)
        for k in range(i % 4):
            held.items.append(float(str(k)))
        clobber()
    return held.items

def both(n: int) -> list[int]:
    found: list[int] = []
    for i in range(n):
        fresh = [i]
        for k in range(i % 9):
            fresh.append(len(f"{k}:{i}"))
            found.append(fresh[-1])
        found[len(found) // 2 : len(found)] = fresh[::-1]
        clobber()
    return found

def swap_lists(n: int) -> list[int]:
    row = [1]
    for i in range(n):
        following = [1]
        for k in range(len(row) - 1):
            following.append((row[k] + row[k + 1]) % 1000)
        following.append(1)
        row = following
        clobber()
    return row
"""
NAMES = [
    line[4:].partition("(")[0]
    for line in ESCAPES.splitlines()
    if line.startswith("def ") and "(n: int)" in line
]


NAMES_BOUNDED = (
    "short_strings", "in_a_while", "lists_and_objects", "through_functions", "into_numbers", "appended_numbers",
)  # fmt: skip


async def test_loops_run_in_little_memory(both: Callable[[str], Any], runtime: Runtime) -> None:
    """A hundred thousand turns that allocate run within 256 KiB, with CPython's results."""
    program = await both(BOUNDED)
    for name in NAMES_BOUNDED:
        await program.same(name, 50)
        expected = program.expected(name, 100_000)
        result = await program.module.run(name, 100_000, limits=Limits(memory="256KiB", time="10s"))
        assert result.value == expected


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_still_needed_stays(both: Callable[[str], Any], name: str) -> None:
    """Whatever lets a value out of a turn keeps it: nothing that comes later overwrites it."""
    program = await both(ESCAPES)
    for count in (0, 1, 2, 40, 300):
        if name == "left" and count < 40:
            continue  # CPython raises UnboundLocalError without a turn, and both end before the break
        await program.same(name, count)


async def test_a_loop_that_keeps_all_ends_at_the_limit(runtime: Runtime) -> None:
    """What has to be kept counts: the error names the limit."""
    module = await runtime.load(ESCAPES, language="python")
    with pytest.raises(MemoryExceeded, match="more memory than its limit of 2097152 bytes"):
        await module.run("appended", 1_000_000, limits=Limits(memory="2MiB", time="10s"))


async def test_hostile_loops_compile_in_time() -> None:
    """Many loops within one another, with many variables, do not make looking at them long."""
    text = "def f(n: int) -> int:\n    total = 0\n"
    for depth in range(18):
        text += "    " * (depth + 1) + f"for i{depth} in range(n):\n"
    for number in range(1500):
        text += "    " * 19 + f"s{number} = str(n)\n"
    text += "    return total\n"
    many = "".join(f"def g{k}(n: int) -> int:\n    return g{k + 1}(n) + len(str(n))\n" for k in range(1000))
    many += "def g1000(n: int) -> int:\n    return 1\n"
    loops = "".join(f"    for i{k} in range(n):\n        total += g{k}(n)\n" for k in range(500))
    for source in (text, f"{many}def f(n: int) -> int:\n    total = 0\n{loops}    return total\n"):
        assert translate(source, "f.py").wasm is not None
