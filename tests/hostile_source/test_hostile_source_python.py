"""Hostile programs of typed Python: each is an error, or a module, within its limits, and holds up nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_source_kit import watched

from echelon.plugin.compiler import Job
from echelon.plugin.compilers import apart
from echelon.plugin.compilers.python.compiler import TypedPython, translate

F = "def f(a: int) -> int:\n"
CLASS = "from dataclasses import dataclass\n@dataclass\nclass C0:\n    a: int\n"


def nested(line: str, levels: int, inner: str) -> str:
    """Give a function whose body is a statement within itself; `{n}` of it is the level."""
    lines = [" " * level + line.format(n=level) for level in range(1, levels + 1)]
    return F + "\n".join(lines) + "\n" + " " * (levels + 1) + inner + "\n return a\n"


def doubled(first: str, line: str, count: int) -> str:
    return first + "".join(line.format(n=n, next=n + 1) for n in range(count))


REFUSED = {
    # what is large
    "characters": ("x = 1\n" * 200_000, "at most 524288 are accepted"),
    "digits": (F + "    return " + "9" * 400_000 + "\n", ""),
    "fstring": (F + "    print(f'" + "{a}" * 170_000 + "')\n    return a\n", "left braces"),
    "items": (F + "    x = [" + "1," * 250_000 + "]\n    return x[0]\n", "becomes too large; split it"),
    "arguments": (F + "    return f(" + "1," * 200_000 + ")\n", "takes 1 arguments and gets 200000"),
    "parameters": ("def f(a: tuple[" + "int," * 120_000 + "]) -> int:\n    return 1\n", "too many types"),
    "variables": (F + "".join(f"    x{n} = {n}\n" for n in range(28_000)) + "    return a\n", "variables"),
    "targets": (F + "    " + "a, " * 100_000 + "= 1\n    return a\n", "cannot be assigned to 100000 names"),
    "decorators": ("@f\n" * 150_000 + F + "    return a\n", "decorator"),
    # what is deep
    "parentheses": (F + "    return " + "(" * 100_000 + "1" + ")" * 100_000 + "\n", "nested"),
    "brackets": ("x = " + "[" * 90_000 + "]" * 90_000, "nested"),
    "signs": (F + "    return " + "-" * 500_000 + "1\n", "nested too deeply"),
    "sum": (F + "    return " + "+".join(["a"] * 250_000) + "\n", "nested too deeply"),
    "comparisons": ("def f(a: int) -> bool:\n    return " + "<".join(["a"] * 120_000) + "\n", "nested"),
    "lambdas": ("f = " + "lambda: " * 60_000 + "1\n", "nested"),
    "subscripts": (F + "    return a" + "[0]" * 100_000 + "\n", "nested too deeply"),
    "attributes": (F + "    return a" + ".b" * 200_000 + "\n", "nested too deeply"),
    "choices": (F + "    return " + "1 if a else " * 40_000 + "2\n", "nested"),
    # what doubles with each line
    "types": (doubled(F + "    x0 = (a, a)\n", "    x{next} = (x{n}, x{n})\n", 40), "too many types"),
    "lists": (doubled(F + "    x0 = [a]\n", "    x{next} = [(x{n}, x{n})]\n", 40), "too many types"),
    "constants": (
        doubled("X0 = (1, 2)\n", "X{next} = (X{n}, X{n})\n", 40) + F + "    return X40[0][0]\n",
        "",
    ),
    "texts": (
        doubled("X0 = 'aa'\n", "X{next} = X{n} + X{n}\n", 40) + F + "    return len(X40)\n",
        "too large",
    ),
    # what is large once it is computed
    "power": ("X = 9**9**9**9\n" + F + "    return X\n", ""),
    "shift": ("X = 1 << 10**12\n" + F + "    return X\n", "too large to be computed"),
    "repeated": ("X = 'a' * 10**10\n" + F + "    return len(X)\n", "too large to be computed"),
    "width": (F + "    return len(f'{a:999999999999}')\n", "width or precision"),
    # what is no program
    "null": (F + "    return 1\n\0", "null"),
    "surrogate": (F + "    return '\ud800'\n", "surrogates"),
    "statement": ("__import__('os').system('id')\n", ""),
    "module": ("import os\nos.system('id')\n", "the module os is not there"),
    "default": ("def f(a: int = __import__('os').getpid()) -> int:\n    return a\n", ""),
    "annotation": ("def f(a: __import__('os').getpid()) -> int:\n    return 1\n", ""),
    "decorator": ("@__import__('os').getpid\n" + F + "    return a\n", "decorator"),
}
COMPILED = {
    "loops": nested("for x{n} in range(4):", 19, "a += 1"),
    "short_loops": nested("for x{n} in (1, 2, 3, 4, 5, 6, 7, 8):", 19, "a += 1"),
    "enumerated": nested("for i{n}, x{n} in enumerate((1, 2, 3, 4, 5, 6, 7, 8)):", 19, "a += 1"),
    "whiles": nested("while a:", 19, "a += 1"),
    "classes": doubled(CLASS, "@dataclass\nclass C{next}:\n    a: C{n}\n    b: tuple[C{n}, C{n}]\n", 200)
    + "def f(c: list[C200]) -> str:\n    return str(c) + str(c == c)\n",
    "calls": "".join(f"def f{n}(a: int) -> int:\n    return f{n + 1}(a) + 1\n" for n in range(1200))
    + "def f1200(a: int) -> int:\n    return a\n",
}


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused(name: str) -> None:
    """A diagnostic with a place, in a moment, whatever the text is."""
    text, message = REFUSED[name]
    compiled = await TypedPython(seconds=20).compile(Job({"f.py": text}, "f.py"))
    assert compiled.wasm is None
    (problem,) = compiled.diagnostics
    assert (problem.severity, problem.file) == ("error", "f.py")
    assert problem.line >= 1, problem
    assert message in problem.message
    assert len(problem.message) < 2000


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", COMPILED)
async def test_it_is_compiled_in_a_moment(name: str) -> None:
    """Nothing that is written short takes long, since it is compiled in the process that serves."""
    assert len(COMPILED[name]) <= apart.SMALL
    assert translate(COMPILED[name], "f.py").wasm


async def test_a_large_program_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compiled by a process that is ended when it takes too long, and leaves nothing."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    body = "".join(f"{' ' * 19}b += a[b]\n" for _ in range(15_000))
    loops = "".join(" " * (level + 1) + f"for x{level} in a:\n" for level in range(18))
    text = "def f(a: list[int]) -> int:\n b = 0\n" + loops + body + " return b\n"
    compiled, longest = await watched(TypedPython(seconds=1).compile(Job({"f.py": text}, "f.py")))
    assert compiled.wasm is None
    assert compiled.diagnostics[0].message == "the compiler was stopped: it took longer than 1 s"
    assert longest < 1
    assert list(tmp_path.iterdir()) == []


async def test_a_large_program_is_compiled_like_a_small_one() -> None:
    """Module, types, lines and messages do not depend on which process made them."""
    small = 'def f(a: int) -> list[str]:\n    return [f"{a}"]\n'
    large = small + "#" * apart.SMALL + "\n"
    here, there = [await TypedPython().compile(Job({"f.py": text}, "f.py")) for text in (small, large)]
    assert here == there
    compiled = await TypedPython().compile(Job({"f.py": large + "def g(): return b\n"}, "f.py"))
    assert (compiled.diagnostics[0].line, compiled.diagnostics[0].column) == (4, 17)
