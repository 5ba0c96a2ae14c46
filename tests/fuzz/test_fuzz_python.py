"""Random and hostile source for the compiler of typed Python: a valid module, or one refusal with its place."""

from __future__ import annotations

import re

import pytest
from fuzz_targets import typed_python
from hypothesis import example, given
from hypothesis import strategies as st
from test_fuzz import fuzzed

from benchmarks.programs import PROGRAMS, paths

pytestmark = pytest.mark.timeout(120)

DATA = """
from dataclasses import dataclass, field
import math

LIMIT = 2 ** 10
NAMES = ("a", "é😀")

class Refused(Exception):
    pass

@dataclass(frozen=True, order=True)
class Version:
    major: int
    name: str = ""

@dataclass
class Basket:
    owner: Version
    items: list[str] = field(default_factory=list)
    next: "Basket | None" = None

    def add(self, item: str, *, times: int = 1) -> int:
        self.items += [item] * times
        return len(self.items)

def grouped(words: list[str]) -> dict[int, list[str]]:
    groups: dict[int, list[str]] = {}
    for at, word in enumerate(sorted(words, key=lambda w: (-len(w), w)), 1):
        groups.setdefault(at % 3, []).append(f"{word!r:>{at}}|{at:05d}|{at / 3:.2f}")
    return {key: value[::-1] for key, value in groups.items() if key not in {5, 7}}

def tried(text: str, data: bytes) -> float | None:
    try:
        n = int(text) if text.isdigit() else data[0] // len(data)
        assert n > 0, text
    except (ValueError, IndexError) as error:
        raise Refused(f"{error}: {text[1:-1]}") from error
    except ZeroDivisionError:
        return None
    else:
        a, (b, c) = n, (1.5, NAMES[-1])
        return sum([x * b for x in range(a)]) + math.sqrt(len(c))
    finally:
        print("done", text, sep="")

def bought(n: int) -> str:
    basket = Basket(Version(n))
    while (size := basket.add("x", times=n)) < 5:
        if not 1 <= size < 4 or basket.next is not None and basket.next.owner > basket.owner:
            break
    else:
        del basket.items[0]
    return str(basket)
"""
SEEDS = [
    DATA,
    *(paths(name)["python"].read_text(encoding="utf-8") for name in PROGRAMS if "python" in paths(name)),
]
TOKEN = re.compile(r"\w+|[^\S\n]+|.|\n")
TOKENS = sorted({token for seed in SEEDS for token in TOKEN.findall(seed)})
ODD = [
    "\0",
    "\ud800",
    "\x0c",
    "\u2028",
    "\r",
    "é",
    "ｆ",
    "😀",
    "\t",
    "\\\n",
    "9" * 25,
    "1e999",
    "0x" + "f" * 17,
    "'''",
    "-> int",
    "|",
]
CHUNK = st.sampled_from(TOKENS) | st.sampled_from(ODD) | st.text(max_size=3)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Programs with tokens changed, added, removed, repeated, moved, or cut off."""
    tokens = TOKEN.findall(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(tokens)))
        other = draw(st.integers(0, len(tokens)))
        length = draw(st.integers(1, 6))
        match draw(st.integers(0, 5)):
            case 0:
                del tokens[place : place + length]
            case 1:
                tokens[place : place + 1] = [draw(CHUNK)]
            case 2:
                tokens.insert(place, draw(CHUNK))
            case 3:
                tokens[place:place] = tokens[other : other + length]
            case 4:
                tokens[place:place] = tokens[place : place + 1] * draw(st.sampled_from([1, 2, 30, 300]))
            case _:
                tokens = tokens[: draw(st.sampled_from([place, len(tokens)]))]
    return "".join(tokens)


@fuzzed
@given(mutated())
@example(
    "def f() -> str:\n    try:\n        return ''\n    except ValueError as e:\n        return str((e,))\n"
)
def test_mutated_programs(text: str) -> None:
    """A program that was changed at random is compiled to a valid module, or refused at a place in it."""
    typed_python(text.encode("utf-8", "surrogatepass"))


@fuzzed
@given(st.lists(CHUNK, max_size=40).map("".join) | st.text(max_size=80))
@example("À\U00010000:04")
def test_any_text(text: str) -> None:
    """The same for words of the language in any order, and for any text."""
    typed_python(text.encode("utf-8", "surrogatepass"))


def test_the_seeds_are_programs() -> None:
    """What is mutated compiles, so that much of what comes of it is read to its end."""
    for seed in SEEDS:
        assert typed_python(seed.encode()) is not None


INT = "def f(a: int) -> int:\n    return "
DOUBLED = "".join(f"A{n + 1} = (A{n}, A{n})\n" for n in range(60))
HOSTILE = {
    "brackets": INT + "(" * 5000 + "1" + ")" * 5000,
    "signs": INT + "-" * 100_000 + "1",
    "attributes": INT + "a" + ".b" * 100_000,
    "calls": INT + "a" + "()" * 20_000,
    "a long sum": INT + "+".join("a" * 20_000),
    "a long chain": INT + " < ".join("a" * 20_000),
    "powers": INT + " ** ".join("2" * 2000),
    "choices": INT + "1 if a else " * 5000 + "2",
    "lambdas": INT + "lambda: " * 5000 + "2",
    "maxima within maxima": INT + "max(a, " * 100 + "1" + ")" * 100,
    "lookups within lookups": "def f(a: dict[int, int]) -> int:\n    return " + "a.get(" * 100 + "1" + ", 2)" * 100,
    "lists within lists": INT + "len(" + "[" * 100 + "1" + "]" * 100 + ")",
    "stars within stars": INT + "len(" + "[*" * 100 + "[1]" + "]" * 100 + ")",
    "branches": INT[:25] + "".join(f"    {'el' if n else ''}if a == {n}:\n        a = 1\n" for n in range(3000)),
    "blocks": "def f(a: int) -> int:\n" + "".join(" " * n + "if a:\n" for n in range(1, 99)) + " " * 99 + "pass",
    "finally within finally": "def f(a: int) -> int:\n"
    + "".join(" " * n + "try:\n" for n in range(1, 60))
    + " " * 60
    + "a = 1 // a\n"
    + "".join(f"{' ' * n}finally:\n{' ' * n} a += 1\n" for n in range(59, 0, -1))
    + " return a\n",
    "loops of comprehensions": INT + "len([1 " + "for b in range(2) " * 500 + "])",
    "a large number": "X = " + "9" * 400_000,
    "a large number in hexadecimal": "X = 0x" + "f" * 400_000,
    "a large power": "X = 9 ** 9 ** 9\n" + INT + "X",
    "a large shift": "X = 1 << 10 ** 10\n" + INT + "X",
    "a large text": "X = 'a' * 10 ** 10\n" + INT + "len(X)",
    "a large tuple": "X = (1,) * 10 ** 9\n" + INT + "X[0]",
    "a tuple written out often": "X = (1,) * 4000\ndef g() -> int:\n" + "    X[0]\n" * 4000 + "    return 1\n",
    "constants that double": "A0 = 1\n" + DOUBLED + INT + "len(A60)",
    "annotations that double": "A0 = int\n" + DOUBLED.replace("(", "tuple[").replace(")", "]")
    + "def f(a: A60) -> int:\n    return 1\n",
    "tuples that double": "def f() -> str:\n    a0 = 1\n"
    + "".join(f"    a{n + 1} = (a{n}, a{n})\n" for n in range(60))
    + "    return str(a60)",
    "lists that double": "def f() -> int:\n    a0 = []\n"
    + "".join(f"    a{n + 1} = [(a{n}, a{n})]\n" for n in range(60))
    + "    return len(a60)",
    "a list of itself": "def f() -> int:\n    a = []\n    a.append(a)\n    return len(a)",
    "a format within a format": "def f(a: int) -> str:\n    return f'" + "{a:" * 500 + "}" * 500 + "'",
    "a wide format": "def f(a: int) -> str:\n    return f'{a:999999999999}'",
    "many texts": "def f() -> str:\n    return " + " ".join(["'a'"] * 50_000),
    "a long list": INT + "[" + "1," * 100_000 + "][a]",
    "many parameters": "def f(" + ",".join(f"a{n}: int" for n in range(5000)) + ") -> int:\n    return 1",
    "many functions": "".join(f"def f{n}(a: int) -> int:\n    return a\n" for n in range(5000)),
    "many fields": "from dataclasses import dataclass\n@dataclass\nclass C:\n"
    + "".join(f"    a{n}: int\n" for n in range(5000)),
    "a long line": "def f() -> int:\n    " + "a = 1; " * 20_000 + "return b",
    "too much": "x = 1\n" * 100_000,
    "a null": "x = 1\0\n",
    "half of a pair": "x = 1\ny = '\ud800'\n",
    "ends of lines": "x = '\u2028'\r\x0c\ny = foo()\r\n",
    "an encoding that is none": "# -*- coding: foo -*-\nx = 'é' + y",
    "a type of several lines": "def f(a: '\\n\\n\\nlist[foo]') -> int:\n    return 1",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs(name: str) -> None:
    """What is deep, large or doubles at every step is answered at once: compiled, or refused at a place in it."""
    typed_python(HOSTILE[name].encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x = '\u2028'\r\x0c\ny = foo()\r\n", (3, 5)),
        ("x = 1\ny = '\ud800'\n", (2, 6)),
        ("é = 'é'; y = foo()", (1, 14)),
    ],
)
def test_places_are_those_of_pythons_lines(text: str, place: tuple[int, int]) -> None:
    """Lines end where Python ends them, columns count characters, whatever else the text holds."""
    from echelon.plugin.compilers.python.compiler import translate

    [problem] = translate(text, "f.py").diagnostics
    assert (problem.line, problem.column) == place
