"""Rules of the language, one small program each: what CPython returns or raises, compiled Python does, too."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS: tuple[tuple[Any, ...], ...] = (
    (0, 0.0, "", []),
    (1, 1.5, "a", [1]),
    (-7, -2.5, "Hello, Wörld 😀", [3, 1, 2, 1]),
    (13, 1e300, "  x,y,,z  ", [-5, 10, 0, 7, 7]),
    (4, 0.1, "12", [2**40, -(2**40), 9]),
    (-1, float("nan"), "ß\tÅ\nend", list(range(12))),
)
EXPRESSIONS: dict[str, str] = {
    "int": """
        i // 3 * 10 + i % 3
        i // -3 * 10 + i % -3
        divmod(i, 4)[0] * 100 + divmod(i, -4)[1]
        -i ** 2 + (-i) ** 2
        i ** 0 + 0 ** 0
        2 ** (i % 9) << 2 >> 1
        ~i ^ 5 & i | 8
        i * 1 + 1 * i
        (4 if i / 1 > 2 else 3) + (i and 3 or 4)
        (i > 2) + (i > 3) + True
        1 if i else 2 if s else 3
        abs(i) + abs(-5) + abs(True)
        min(i, 3, -3) * max(i, 3)
        round(x * 0) + int(x * 0)
        int(2.5) + int(-2.5) + round(2.5) + round(3.5) + round(-0.5)
        len(s) + len(v) + len("😀")
        s.find("l") + s.rfind("l") * 10 + s.count("")
        s.index("x")
        v[i]
        v[-1] + v[0]
        v.index(7)
        sum(v) + sum(v[::2]) + sum(n for n in v if n > 2)
        sum([n * n for n in range(i)], 5)
        max(v) - min(v)
        max(v, default=i) + min([], default=3)
        int(s)
        int(s, 16)
        ord(s[0])
        ord(s)
        [n for n in v if n % 2][0]
        {"a": 1, "b": 2}.get(s, -1)
        {"a": 1}[s]
        {1: 10, 2: 20}[i]
        (1, (2, 3))[1][0] + (4, 5, 6)[-1]
        len({n % 3 for n in v})
        len({c: 1 for c in s})
        i % (i - 1)
        i // (i - 4)
        i & 1 or i | 1
        (i := i + 5) * i
        next_even(i) + fib(abs(i) % 10)
        [1, 2, 3][len(v) :].count(3)
        len(list(range(i, 20, 3))) + list(range(10, i, -4)).count(2)
        bytes([65, 66])[i]
        0x_ff + 0b11 + 0o17 + 1_000
        int(True) + int("-1_0") + int(" 7 ")
        math.gcd(i, 6) + math.lcm(4, 6) + math.isqrt(abs(i))
        math.floor(x % 99.0) + math.ceil(x % 99.0) + math.trunc(-x % 9.0)
        math.comb(5, 2) + math.perm(5, 2) + math.factorial(abs(i) % 8)
    """,
    "float": """
        i / 2 + x
        i / (i - 1)
        x // 0.3
        x % 0.7 + -x % 0.7
        divmod(x, 0.25)[1]
        x ** 2 + x ** 0.0
        2.0 ** i
        (i % 3) ** -1.0
        round(x, 1) + round(2.675, 2) + round(1234.5, -2)
        float(s)
        float(i) + float("1e3") + float(True)
        min(x, 0.0) + max(x, -0.0)
        abs(x) + -0.0
        sum([0.1] * 10) + sum([x, 1.0])
        math.sqrt(x)
        math.exp(x)
        math.log(x)
        math.sin(x) + math.cos(x) * math.tan(0.5)
        math.hypot(x, 3.0) + math.copysign(2.0, x) + math.fabs(x)
        x if x else 1.5
        1e16 + 1.0 + 1e-7
        math.pi * math.e + math.tau
        x / 0.0
        x % 0.0
        x * 1e308 * 10
    """,
    "bool": """
        1 < i <= 13 != 5
        i == x or x == 1.5
        x != x or x < 0.0 or not x >= 1
        9007199254740993 == 9007199254740992.0
        s == s[::-1] and s <= "a"
        "" in s and s in "abc" and s not in "xyz"
        "l" in s or i in v
        i in (1, -7, 4) or s in ["a", "b"]
        v == v[:] and v is not v[:]
        v < [3, 2] or v >= [1]
        (i, s) < (1, "b")
        (1, "a") == (1, "a") != (2, "a")
        not v or not s or not i
        bool(s) ^ bool(v)
        any(n > 9 for n in v) or all(n > 0 for n in v)
        any(v[:0]) or all(v[:0])
        s.isdigit() or s.isalpha() or s.isspace()
        s.startswith("H") or s.endswith(("z", "d"))
        s.isupper() or s.islower() or s.istitle()
        {1, 2} == {2, 1} and {1} < {1, 2} and not {1} >= {2}
        {"a": 1} == {"a": 1} and {"a": 1} != {"a": 2}
        1 in [1, i // 0]
        s.index("q") < float(s)
        i in [*v, 13]
        math.isnan(x) or math.isinf(x) or math.isfinite(x)
        True == 1 and False == 0.0
        Point(i, 2) == Point(1, 2) and Point(1, 2) < Point(i, 3)
    """,
    "str": """
        s[1:-1] + s[:2] + s[-2:] + s[5:1]
        s[::-1] + s[::2] + s[-1::-3]
        s[i]
        s[i:] + s[:i]
        s * 3 + s * 0 + s * -1
        s.upper() + s.lower() + s.swapcase() + s.title()
        s.strip() + s.strip("a ") + s.lstrip() + s.rstrip(" z")
        s.replace("l", "LL") + s.replace("", "-") + s.replace("l", "", 1)
        s.center(9, "*") + s.ljust(8) + s.rjust(7, "é") + s.zfill(9)
        "|".join(s.split(",")) + "|".join(s.split())
        "|".join(s.partition(",")) + "|".join(s.rpartition("l"))
        "|".join(s.splitlines()) + "|".join(s.rsplit(",", 1))
        s.removeprefix("He") + s.removesuffix("😀")
        str(i) + str(x) + str(i > 0) + str(None)
        str(1e16) + str(1e15) + str(1e-4) + str(1e-5) + str(0.1 + 0.2) + str(-0.0)
        str(123456789012345680.0) + str(5e-324) + str(1.7976931348623157e308) + str(2.0**60)
        repr(s) + repr("it's") + repr('"') + repr("\\x00\\u200b\\U0001f600")
        str([s, "a"]) + str((i,)) + str((s, x)) + str({s: i}) + str({})
        str([x, 1.0, 1e100]) + str([True, False]) + str([None, i])
        f"{i}{x}{s}{i > 1}{v}"
        f"{i:5}|{i:<5}|{i:^5}|{i:>+5}|{i:05}|{i:,}"
        f"{i:x}|{i:#b}|{i:o}|{i:X}|{i:_}|{i:e}|{i:%}"
        f"{x:.2f}|{x:10.3e}|{x:g}|{x:.0f}|{x:+.1f}|{x:,.2f}|{x:%}"
        f"{s:>20}|{s:*^9.3}|{s!r:<12}"
        f"{i=} {s=} {x=:.3f}"
        f"{{{i}}}" + f"{i!r}" + f"{'nested ' + s}"
        f"{i:{5 + 3}}|{x:.{2}f}"
        chr(ord("a") + i % 26) + chr(128512)
        chr(i)
        hex(i) + bin(i) + oct(i)
        str(b"a\\x00'") + str(s.encode()) + b"\\xff".hex()
        s.encode().decode() + str(len(s.encode()))
        b"\\xff\\xfe".decode()
        max(s) + min(s)
        max(s, "b") + min("😀", "z", s)
        "".join(sorted(s)) + "".join(reversed(s))
        "".join([c for c in s if c not in "aeiou"])
        ",".join(str(n) for n in sorted(v, reverse=True))
        " ".join(f"{a}{b}" for a, b in zip(v, s))
        " ".join(f"{n}{c}" for n, c in enumerate(s, i))
        str(sorted({n: str(n) for n in v}.items()))
        str(list({"b": 1, "a": 2}.keys())) + str(list({1: 2}.values()))
        str(Point(i, 2)) + repr(Point(3)) + str([Point(i)])
        str(divmod(i, 3)) + str(divmod(x, 2.0))
        s and s[0] or "none"
        str(sorted(set(v))) + str(sorted(set(s), reverse=True))
        "a" "b" + s
        str(Point(i, 5).moved(2)) + Point(1).name
        str(sorted([(2, "b"), (1, "z"), (2, "a")])) + str(sorted(["b", "A", "a"], key=str.lower))
        s.splitlines()[0]
        str(bytes(3)) + str(bytes([1, 2]) + b"x") + str(b"abc"[1:])
    """,
}
HEADER = """
import math
from dataclasses import dataclass

@dataclass(order=True)
class Point:
    x: int
    y: int = 7

    @property
    def name(self) -> str:
        return f"p{self.x}"

    def moved(self, by: int) -> "Point":
        return Point(self.x + by, self.y)

class Empty(ValueError):
    pass

class Deep(Empty):
    pass

def next_even(n: int) -> int:
    return n if n % 2 == 0 else next_even(n + 1)

def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)

"""
STATEMENTS = """
    total = 0
    for n in v:
        if n == 7:
            break
        total += n
    else:
        total = -1
    return str(total)
---
    n = 0
    while n < i:
        n += 2
        if n == 4:
            continue
    else:
        n += 100
    return str(n)
---
    a, b = 1, 2
    a, b = b, a + b
    (c, d), e = (a, b), [a]
    return f"{a} {b} {c} {d} {e}"
---
    w = v
    w.append(99)
    w += [1]
    u = v + [2]
    u[0] = 55
    return f"{v} {w is v} {u}"
---
    w = v[:]
    w[1:3] = [8, 8, 8]
    del w[-1]
    w.insert(100, 4)
    w.insert(-1, 5)
    return f"{w} {v}"
---
    w = [0] * 3
    grid = [w, w]
    grid[0][1] = 5
    fresh = [[0] * 2 for _ in range(2)]
    fresh[0][1] = 5
    return f"{grid} {fresh}"
---
    v.sort()
    w = sorted(v, key=lambda n: -n % 4)
    v.reverse()
    return f"{v} {w}"
---
    v.remove(7)
    return f"{v} {v.pop()} {v.pop(0)} {v}"
---
    return str(v.pop())
---
    v.pop(i)
    return str(v)
---
    del v[i]
    return str(v)
---
    d = {"b": 1, "a": 2}
    d["c"] = 3
    d["b"] = 9
    del d["a"]
    d["a"] = 0
    return f"{d} {list(d)} {d.pop('c')} {d.pop('zz', i)} {d.setdefault('b', 4)} {len(d)}"
---
    d: dict[str, list[int]] = {}
    for n in v:
        d.setdefault("even" if n % 2 == 0 else "odd", []).append(n)
    return str(d)
---
    d: dict[int, str] = {}
    for n, c in enumerate(s):
        d[n % 3] = d.get(n % 3, "") + c
    for key, value in d.items():
        d[key] = value + "!"
    return str(d)
---
    d = {n: n for n in v}
    for n in d:
        d[n + 100] = 1
    return str(d)
---
    del {"a": 1}[s]
    return "gone"
---
    q = set(v)
    q.add(i)
    q.discard(1)
    q = q | {2}
    return f"{sorted(q)} {len(q)} {1 in q} {sorted(q & {2, 7})} {sorted(q - {7})}"
---
    set(v).remove(7)
    return "removed"
---
    try:
        return str(10 // i)
    except ZeroDivisionError as e:
        return f"caught {e}"
    finally:
        v.append(1)
---
    try:
        if not v:
            raise Empty("nothing")
        if len(v) == 1:
            raise Deep
        if i == 13:
            raise KeyError(s)
        return str(v[i])
    except Deep:
        return "deep"
    except (Empty, KeyError) as e:
        return f"{e}"
    except LookupError as e:
        return f"lookup {e}"
---
    log: list[str] = []
    for n in range(3):
        try:
            if n == i % 3:
                raise ValueError(f"at {n}")
            log.append(f"ok {n}")
        except ValueError as e:
            log.append(str(e))
            continue
        else:
            log.append("else")
        finally:
            log.append("finally")
    return " ".join(log)
---
    try:
        try:
            return str([1][i])
        except IndexError as e:
            raise ValueError("from " + str(e))
    except ValueError as e:
        return str(e)
---
    raise Deep(f"{s!r} {i}")
---
    raise KeyError("key")
---
    raise ValueError
---
    raise ValueError("")
---
    raise IndexError("a\\nb")
---
    assert i > 0, f"i is {i}"
    assert v
    return "fine"
---
    p = Point(i)
    other = p
    other.x += 10
    p.y = len(s)
    return f"{p} {p is other} {p == Point(i + 10, len(s))} {p.name}"
---
    ps = [Point(n, -n) for n in v]
    best = max(ps, key=lambda p: p.y) if ps else Point(0)
    return f"{sorted(ps)} {best} {[p.x for p in ps]}"
---
    found: int | None = None
    for n in v:
        if n > 5:
            found = n
    return "none" if found is None else str(found + 1)
---
    p: Point | None = Point(1) if v else None
    return f"{p} {p.x if p else 0} {p is None}"
---
    text = ""
    for n in reversed(range(0, 10, 3)):
        text += str(n)
    for a, b in zip(v, v[1:]):
        text += f"{a}<{b}" if a < b else ","
    return text
---
    found = [n for n in range(i, 20, len(v) + 1)] + [n for n in range(20, i, -len(v) - 3)]
    return f"{found} {list(range(5, 0, i))[:9]}"
---
    w = list(range(40))
    w[:5] = w[4::-1]
    w[10:] = w[9::-1] + v
    w[3:3] = w[1:25]
    w[::2] = w[1::2] + [7] * (len(w) % 2)
    u = w[2:4]
    w[1:2] = w[0:1] * 3
    return f"{w} {u} {len(w)}"
---
    most = 9223372036854775807
    ends = [n for n in range(-most, most, most - 1 + i % 2)]
    ends += [n for n in range(most, -most - 1, -most + i % 3)]
    return str(ends + [n for n in reversed(range(most - 9, most, 4))])
---
    return str([(a, b) for a in range(3) for b in v if a != b][:5])
---
    return str([[a * b for a in range(3)] for b in v])
---
    n = 5
    squares = [n * 2 for n in v]
    return f"{n} {squares}"
---
    for n in range(3):
        pass
    return str(n)
---
    if v:
        late = 1
    return str(late)
---
    t = (1, "a", 2.5)
    a, b, c = t
    return f"{t} {len(t)} {a}{b}{c} {t[1:]}" if False else f"{t} {a}{b}{c}"
---
    lines = s.split("\\n")
    width = max(len(line) for line in lines)
    return "\\n".join(line.rjust(width) for line in lines)
---
    counts: dict[str, int] = {}
    for word in s.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{word}={count}" for word, count in sorted(counts.items()))
---
    stack: list[str] = []
    for c in s:
        if c.isalpha():
            stack.append(c)
        elif stack and c == ",":
            stack.pop()
    return "".join(stack)
---
    a = b = [i]
    a.append(1)
    return f"{a} {b}"
---
    n = i
    n += 1
    n -= 3
    n *= 2
    n //= 3
    n %= 5
    n <<= 2
    n |= 1
    n ^= 6
    n &= 31
    n >>= 1
    return str(n)
---
    y = x
    y += 1
    y *= 2
    y /= 3
    y //= 0.5
    y -= i
    return str(y)
---
    return str(undefined_for_some(v))

def undefined_for_some(v: list[int]) -> int:
    if len(v) > 3:
        return v[0]
    raise Empty(f"{len(v)} items")
"""


def _wrap(name: str, result: str, body: str) -> str:
    return f"def {name}(i: int, x: float, s: str, v: list[int]) -> {result}:\n{body.rstrip()}\n"


def _programs() -> dict[str, str]:
    found = {}
    for result, lines in EXPRESSIONS.items():
        for number, line in enumerate(textwrap.dedent(lines).strip().splitlines()):
            found[f"{result}_{number}"] = _wrap(f"{result}_{number}", result, f"    return {line}")
    for number, body in enumerate(STATEMENTS.strip("\n").split("\n---\n")):
        found[f"statements_{number}"] = _wrap(f"statements_{number}", "str", body)
    return found


PROGRAMS = _programs()
_MADE: dict[int, Any] = {}


async def test_there_are_enough_programs() -> None:
    """A hundred and fifty or more."""
    assert len(PROGRAMS) >= 150


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_rule(both: Callable[[str], Any], name: str) -> None:
    """Each with six rows of arguments."""
    if id(both) not in _MADE:
        _MADE[id(both)] = await both(HEADER + "\n".join(PROGRAMS.values()))
    for row in ROWS:
        await _MADE[id(both)].same(name, *row)
