"""`@wasm.function`: functions of a file that run in the sandbox, beside the originals."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType

import pytest

from echelon import Limits, Runtime
from echelon.errors import CompileError, ConfigError, DeadlineExceeded, Trap

FILE = '''"""Functions."""
from __future__ import annotations
import math
from dataclasses import dataclass

LIMIT, table = 40, [1, 2]
changing = 1
changing += 1
REAL = -0.5
WORDS = ("a", "b\\n")


@dataclass
class Pair:
    first: int
    second: int

    def total(self) -> int:
        return self.first + self.second


class Odd(Exception):
    pass


class TimeoutError(KeyError):
    pass


def twice(n: int) -> int:
    return 2 * n


@wasm.function
def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@wasm.function
def mixed(n: int, scale: float = 1.5) -> float:
    table = n + Pair(n, LIMIT).total()
    return math.sqrt(twice(fib(table % 10))) * scale + REAL


@wasm.function
def words() -> str:
    return WORDS[0] + WORDS[1] + """x
      y"""


@wasm.function
def fails(kind: str) -> int:
    if kind == "key":
        return {"a": 1}[kind]
    if kind == "odd":
        raise Odd("no")
    if kind == "late":
        raise TimeoutError((1, "x"))
    if kind == "big":
        return (1 << 62) * len(kind)
    return int(kind)


@wasm.function
def decoded(text: bytes) -> str:
    if text == b"":
        raise StopIteration("no text")
    return text.decode()


@wasm.function(limits=Limits(time="200ms"))
def endless() -> int:
    n = 0
    while n >= 0:
        n = (n + 1) % 7
    return n


def adder(step: int, text: str):
    @wasm.function
    def add(n: int) -> str:
        total = n + step
        return f"""{text}
  {total}"""
    return add


add2, add3 = adder(2, "two"), adder(3, "three")
'''
Load = Callable[[str], ModuleType]


@pytest.fixture
async def wasm() -> AsyncIterator[Runtime]:
    """A runtime that has not started."""
    runtime = Runtime()
    yield runtime
    await runtime.close()


@pytest.fixture
def load(tmp_path: Path, wasm: Runtime, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import a file that uses the runtime."""

    def make(text: str) -> ModuleType:
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / "functions.py"
        path.parent.mkdir()
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("functions", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        module.wasm, module.Limits = wasm, Limits  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "functions", module)
        spec.loader.exec_module(module)
        return module

    return make


async def test_functions_of_a_file(load: Load, wasm: Runtime) -> None:
    """They call each other, plain functions, classes and constants, and give what the originals give."""
    made = load(FILE)
    await wasm.start()
    assert await made.fib(20) == made.fib.python(20) == 6765
    for arguments, named in ((3,), {}), ((3, 2.0), {}), ((), {"n": 5, "scale": 0.1}):
        assert await made.mixed(*arguments, **named) == made.mixed.python(*arguments, **named)
    assert await made.words() == made.words.python()
    assert (await made.add2(1), await made.add3(1)) == ("two\n  3", "three\n  4")
    assert made.fib.module is made.mixed.module
    assert made.add2.module is not made.add3.module
    assert made.fib.__name__ == "fib"


async def test_exceptions_are_those_of_python(load: Load, wasm: Runtime) -> None:
    """Python's own and those of the file are raised as they are; limits are errors of the guest."""
    made = load(FILE)
    await wasm.start()
    for kind in ("key", "x", ""):
        with pytest.raises((KeyError, ValueError)) as expected:
            made.fails.python(kind)
        with pytest.raises(expected.type) as raised:
            await made.fails(kind)
        assert str(raised.value) == str(expected.value)
    for wrong in (b"ab\xff", b"\xe2\x82", b"a\xf0\x90x"):
        with pytest.raises(UnicodeDecodeError) as expected:
            made.decoded.python(wrong)
        with pytest.raises(UnicodeDecodeError) as raised:
            await made.decoded(wrong)
        assert str(raised.value) == str(expected.value)
        assert (raised.value.start, raised.value.end) == (expected.value.start, expected.value.end)
    with pytest.raises(Trap, match="StopIteration: no text"):
        await made.decoded(b"")
    with pytest.raises(OverflowError) as overflow:
        await made.fails("big")
    trap = overflow.value.__cause__
    assert isinstance(trap, Trap)
    line = FILE.splitlines().index("        return (1 << 62) * len(kind)") + 1
    assert ("functions.py", line) in [(frame.file, frame.line) for frame in trap.frames]
    with pytest.raises(made.Odd, match="no") as odd:
        await made.fails("odd")
    assert isinstance(odd.value.__cause__, Trap)
    with pytest.raises(made.TimeoutError) as late:
        await made.fails("late")
    assert late.value.args == ((1, "x"),)
    with pytest.raises(DeadlineExceeded):
        await made.endless()
    with pytest.raises(TypeError):
        await made.fib()
    with pytest.raises(TypeError):
        await made.mixed(n=1, speed=2)


async def test_after_the_start(load: Load, wasm: Runtime) -> None:
    """A runtime that runs compiles at the first call."""
    await wasm.start()
    made = load(FILE)
    assert await made.fib(10) == 55
    assert await made.add2(1) == "two\n  3"


def test_explain(load: Load) -> None:
    """Types, the path, what was refused and where."""
    made = load(FILE)
    said = made.mixed.explain()
    assert said.types == "mixed(n: int, scale: float) -> float"
    assert said.path.startswith("as WebAssembly, in a module of ")
    assert said.diagnostics == []
    assert said.wat.startswith("(func $mixed (type ")
    assert "call $fib" in said.wat
    assert str(said).endswith(f"a module of {said.path.split()[-2]} bytes\n{said.wat.rstrip()}")
    refused = load(
        "import os\n\n@wasm.function\ndef f(n: int) -> int:\n    return os.getpid() + n\n"
    ).f.explain()
    assert (refused.path, refused.wat) == ("not at all: it is refused", "")
    assert "functions.py:5:12: error: os is not of this file" in str(refused)


HEAD = "table = [1]\nn = 1\nn += 1\n"
REFUSED = {
    "a list of the module": ("return table[0]", 6, "table is of type list; pass it as an argument"),
    "a variable of the module": ("return n", 6, "n is a variable of the module; pass it as an argument"),
    "a name of nowhere": ("return nowhere", 6, "nowhere"),
    "what the compiler refuses": ("return eval('1')", 6, "eval"),
    "a result of another type": ("return 'x'", 6, "str"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused(load: Load, wasm: Runtime, name: str) -> None:
    """The start fails and says where: nothing runs another way."""
    body, line, message = REFUSED[name]
    load(f"{HEAD}@wasm.function\ndef f() -> int:\n    {body}\n")
    with pytest.raises(CompileError) as caught:
        await wasm.start()
    assert caught.value.diagnostics[0].line == line
    assert message in str(caught.value)
    assert "    ^" in str(caught.value.diagnostics[0])


async def test_variables_around_a_function(load: Load, wasm: Runtime) -> None:
    """A closure over what changes is refused, and so is another decorator."""
    load(
        "def make():\n    count = 1\n    count = 2\n    @wasm.function\n    def f() -> int:\n        return count\n"
        "make()\n"
    )
    with pytest.raises(CompileError, match="count is a variable of the function around it"):
        await wasm.start()


async def test_another_decorator(load: Load, wasm: Runtime) -> None:
    """What another decorator does would be lost."""
    load("def same(f): return f\n@wasm.function\n@same\ndef f() -> int:\n    return 1\n")
    with pytest.raises(CompileError, match=r"functions\.py:3:2: error: f has another decorator"):
        await wasm.start()


async def test_types_that_cannot_cross(load: Load, wasm: Runtime) -> None:
    """A decorated function has to be an export."""
    load("@wasm.function\ndef f(n: set[str]) -> int:\n    return len(n)\n")
    with pytest.raises(CompileError, match=r"f\(\) is not exported"):
        await wasm.start()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@wasm.function\nasync def f() -> int:\n    return 1\n", "f is async or a generator"),
        ("@wasm.function\ndef f():\n    yield 1\n", "f is async or a generator"),
        ("@wasm.function\ndef _f() -> int:\n    return 1\n", "_f is private"),
        ("class A:\n    @wasm.function\n    def f(self) -> int:\n        return 1\n", "A.f is a method"),
        ("f = wasm.function(lambda: 1)\n", "a lambda cannot be compiled"),
        ("f = wasm.function(len)\n", "only a function can be compiled"),
        ("exec('def g() -> int: return 1')\nf = wasm.function(g)\n", "g has no source"),
        ("@wasm.function(limits=Limits(memory='64GiB'))\ndef f() -> int:\n    return 1\n", "limits.memory"),
    ],
)
def test_what_cannot_be_decorated(load: Load, text: str, message: str) -> None:
    """Mistakes are told where the decorator stands."""
    with pytest.raises(ConfigError, match=message):
        load(text)
