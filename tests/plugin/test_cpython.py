"""Python scripts: checked by the engine that runs them, loaded once, called in fresh instances."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Limits, Permissions, Runtime
from echelon.errors import (
    CompileError,
    DeadlineExceeded,
    FunctionNotFound,
    GuestError,
    GuestExit,
    LoadError,
    MemoryExceeded,
    OutputExceeded,
    PermissionDenied,
    ToolchainMissing,
    Trap,
)
from echelon.kv import open_kv
from echelon.plugin.compilers.cpython.compiler import CPython
from echelon.plugin.generator import Generator
from echelon.runtime.module import Module
from echelon.runtime.script_image import Image

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]  # the first waits for the engine

SOURCE = """
import collections, dataclasses, datetime, decimal, hashlib, json, math, os, random, re, sys, time
from typing import Any
import echelon

@dataclasses.dataclass
class Point:
    x: int
    y: int

calls = []

def add(a: int, b: int = 2) -> int:
    return a + b

def total(*numbers: int): return sum(numbers)
def echo(value: Any): return value
def say(text: str):
    print("hello", text); print("oh", file=sys.stderr); echelon.log.warning("careful:", text)

def library(text: str):
    words = collections.Counter(re.findall(r"[a-z]+", text))
    return {"words": words, "sha": hashlib.sha256(text.encode()).hexdigest(), "point": Point(1, 2),
            "pi": round(math.pi, 5), "third": str(decimal.Decimal(1) / 3)[:6],
            "day": datetime.date(2026, 1, 31).isoformat()}

def fail(depth: int):
    if depth:
        return fail(depth - 1)
    raise ValueError("no such thing")

def leave(code: int): sys.exit(code)
def loop():
    print("before")
    while True: pass
def deep(n: int = 0): return deep(n + 1)
def greedy():
    kept = []
    while True: kept.append(bytearray(1 << 20))
def large(n: int): return "x" * n
def remember(): calls.append(1); return len(calls)
def variable(name: str): return echelon.env(name)
def environ(): return dict(os.environ)
def chance(): return [random.random(), random.randint(1, 10**6), os.urandom(2).hex(), time.time()]
def unwritable(): return {1, 2}
async def later(n: int): return n * 2
def count():
    return echelon.kv.atomic().sum(("n",), 1).commit().ok and echelon.kv.get(("n",)).value
def store():
    echelon.kv.set(("a", 1), {"x": b"raw"}); echelon.kv.set(("a", 2), [1, 2**70])
    found = [(e.key, e.value) for e in echelon.kv.list(("a",))]
    checked = echelon.kv.get(("a", 1))
    good = echelon.kv.atomic().check(checked).delete(("a", 1)).commit().ok
    again = echelon.kv.atomic().check(checked).set(("a", 1), 0).commit().ok
    return [found, good, again, echelon.kv.get(("a", 1)).versionstamp]
def fetch(url: str): return echelon.fetch(url).status
def _hidden(): return 1
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(cpython: Runtime) -> Module:
    """The script that most tests call."""
    return await cpython.load(SOURCE, language="cpython")


async def test_functions_have_the_types_of_their_annotations(script: Module) -> None:
    """What is defined at the top of a script can be called; a default may be left out, a wrong count is a TypeError."""
    shown = {function.name: str(function) for function in script.exports()}
    assert shown["add"] == "add(a: i64, b: i64) -> i64"
    assert shown["say"] == "say(text: str) -> json"
    assert not {"_hidden", "Point"} & set(shown)
    assert await script.call("add", 1) == 3
    assert await script.call("add", 1, 2**80) == 2**80 + 1
    assert await script.call("total", 1, 2, 3) == 6
    with pytest.raises(TypeError, match="takes 1 to 2 arguments, 3 given"):
        await script.call("add", 1, 2, 3)
    with pytest.raises(FunctionNotFound):
        await script.call("nothing")


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(2**64), 2**200, 1.5, math.inf, "", "é💥\0", "x" * 70_000, b"", b"\0\xff" * 40_000,
        [], [1, [2, [b"\1"]]], {"a": {"$bytes": "x"}}, {"$bytes": b"x"}, {"$dict": {"$bytes": b"y"}},
        {"text": "é", "bytes": b"\0", "large": 2**70, "list": [None, True, 1.5]},
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
async def test_values_cross_as_they_are(script: Module, value: object) -> None:
    """JSON's values, bytes, and whole numbers of any size come back as they went in."""
    found = await script.call("echo", value)
    assert (found, type(found)) == (value, type(value))


async def test_the_standard_library_is_there(script: Module) -> None:
    """Modules in C and in Python work; dataclasses become objects."""
    found = await script.call("library", "a b a")
    assert found.pop("sha") == hashlib.sha256(b"a b a").hexdigest()
    assert found == {
        "words": {"a": 2, "b": 1},
        "point": {"x": 1, "y": 2},
        "pi": 3.14159,
        "third": "0.3333",
        "day": "2026-01-31",
    }


async def test_what_a_script_prints_and_logs_is_kept(script: Module) -> None:
    """Standard output, standard error and the log are three streams."""
    outcome = await script.run("say", "you")
    assert (outcome.value, outcome.stdout, outcome.stderr) == (None, b"hello you\n", b"oh\n")
    assert [(entry.level, entry.message) for entry in outcome.logs] == [("warning", "careful: you")]


async def test_an_exception_shows_the_lines_it_passed(script: Module) -> None:
    """Frames are those of the script alone, innermost first."""
    with pytest.raises(Trap, match=r"raised ValueError: no such thing \(module:30, in fail\)") as caught:
        await script.call("fail", 2)
    assert [(frame.function, frame.line) for frame in caught.value.frames] == [
        ("fail", 30), ("fail", 29), ("fail", 29),
    ]  # fmt: skip
    assert caught.value.code == "exception"
    with pytest.raises(Trap, match="TypeError: a value of type set cannot cross"):
        await script.call("unwritable")
    with pytest.raises(GuestExit, match="status 3") as left:
        await script.call("leave", 3)
    assert left.value.code == 3


async def test_limits_hold(cpython: Runtime, script: Module) -> None:
    """Time, memory, output and recursion end a call with the error that says so, and keep what was printed."""
    with pytest.raises(DeadlineExceeded) as late:
        await script.call("loop", limits=Limits(time=0.3))
    assert late.value.outcome is not None
    assert late.value.outcome.stdout == b"before\n"
    with pytest.raises(MemoryExceeded):
        await script.call("greedy")
    with pytest.raises(MemoryExceeded, match="memory"):
        await script.call("add", 1, limits=Limits(memory="8MiB"))
    with pytest.raises(Trap, match="RecursionError"):
        await script.call("deep")
    with pytest.raises(OutputExceeded):
        await script.call("large", 2_000_000)
    assert await script.call("add", 1) == 3


async def test_every_call_begins_anew(script: Module) -> None:
    """State of one call is not that of another; a kept instance keeps it."""
    assert [await script.call("remember") for _ in range(3)] == [1, 1, 1]
    async with script.instance() as live:
        assert [await live.call("remember") for _ in range(3)] == [1, 2, 3]


async def test_chance_and_time_are_those_of_the_call(script: Module) -> None:
    """Calls differ in what is random; with a seed they repeat."""
    first, second = await script.call("chance"), await script.call("chance")
    assert not set(first[:3]) & set(second[:3])
    assert abs(first[3] - second[3]) < 10
    assert await script.call("chance", seed=7) == await script.call("chance", seed=7)
    assert await script.call("chance", seed=7) != await script.call("chance", seed=8)


async def test_the_environment_is_what_was_granted(
    cpython: Runtime, script: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable is refused unless granted; `os.environ` holds what is, and what the caller of this call gives."""
    monkeypatch.setenv("SHOP", "open")
    with pytest.raises(PermissionDenied, match="--allow-env=SHOP"):
        await script.call("variable", "SHOP")
    granted = await cpython.load(SOURCE, language="cpython", permissions=Permissions(env=["SHOP", "NONE"]))
    assert await granted.call("variable", "SHOP") == "open"
    assert await granted.call("variable", "NONE") is None
    assert (await granted.call("environ"))["SHOP"] == "open"
    assert (await script.run("environ", env={"GIVEN": "1"})).value["GIVEN"] == "1"
    assert sorted(await script.call("environ")) == ["LANG", "TZ"]


async def test_the_store_is_used_as_granted(cpython: Runtime, script: Module, tmp_path: Path) -> None:
    """Reading, writing, listing and commits work on granted keys; others end the call."""
    async with open_kv(tmp_path / "app.db") as kv:
        cpython.kv = kv
        with pytest.raises(PermissionDenied, match="kv"):
            await script.call("count")
        granted = await cpython.load(SOURCE, language="cpython", permissions=Permissions(kv=True))
        assert [await granted.call("count"), await granted.call("count")] == [1, 2]
        found, good, again, stamp = await granted.call("store")
        assert found == [[["a", 1], {"x": b"raw"}], [["a", 2], [1, 2**70]]]
        assert (good, again, stamp) == (True, False, None)
        cpython.kv = None


async def test_requests_need_a_grant(script: Module) -> None:
    """A script has no network of its own."""
    with pytest.raises(PermissionDenied, match=r"--allow-net=example\.com"):
        await script.call("fetch", "https://example.com/")


async def test_coroutines_are_run(script: Module) -> None:
    """An async function's result is its value."""
    assert await script.call("later", 21) == 42


async def test_scripts_that_ask_nothing_at_their_top_are_run_once(cpython: Runtime) -> None:
    """What the top level of a script makes is kept as an image; where it asks its host, every call runs it."""
    pure = await cpython.load(
        "import json\nn = 0\nfor i in range(1000): n += i\ndef get(): return n", language="cpython"
    )
    asks = await cpython.load(
        "import random, time\nprint('top')\nstart = time.time()\nluck = random.random()\n"
        "def get(): return luck", language="cpython",
    )  # fmt: skip
    images = [module._ready.image for module in (pure, asks)]  # type: ignore[attr-defined]
    assert all(isinstance(image, Image) for image in images)
    assert [image.function for image in images] == [0, 1]
    assert [await pure.call("get"), await pure.call("get")] == [499500, 499500]
    assert (await asks.run("get")).stdout == b"top\n"
    assert await asks.call("get") != await asks.call("get")
    assert await asks.call("get", seed=1) == await asks.call("get", seed=1)


async def test_what_fails_at_the_top_fails_every_call(cpython: Runtime) -> None:
    """A script whose top level raises can be loaded; its calls say what it raised."""
    broken = await cpython.load("x = 1 / 0\ndef get(): return x", language="cpython")
    for _ in range(2):
        with pytest.raises(Trap, match=r"ZeroDivisionError: division by zero \(module:1, in <module>\)"):
            await broken.call("get")


async def test_text_that_is_run_as_code_fails_as_python_does(cpython: Runtime) -> None:
    """A syntax error in it can be caught; no file is looked for. Tracebacks have the script's lines."""
    module = await cpython.load(
        "import traceback\n"
        "def run(text: str):\n"
        "    try:\n"
        "        exec(text)\n"
        "    except Exception:\n"
        "        return traceback.format_exc()\n",
        language="cpython", name="box.py",
    )  # fmt: skip
    assert "SyntaxError: '(' was never closed" in await module.call("run", "print(")
    assert "    exec(text)" in await module.call("run", "1 / 0")


FILES = {
    "main.py": "from lib import money\nfrom lib.deep.more import twice\nimport pkgutil\n"
    "def price(n: int): return money.euro(twice(n))\n"
    "def data(): return pkgutil.get_data('lib', 'note.txt').decode()\n"
    "def fail(): return money.fail()\n",
    "lib/__init__.py": "",
    "lib/money.py": "def euro(n): return f'{n} €'\ndef fail():\n    raise KeyError('k')\n",
    "lib/deep/more.py": "def twice(n): return n * 2\n",
    "lib/note.txt": "a note",
}


async def test_a_script_has_several_files(cpython: Runtime, tmp_path: Path) -> None:
    """Imports reach the job's files, packages with and without `__init__.py`; frames name the file."""
    artifact = await (await cpython.generator()).compile(FILES, language="cpython")  # type: ignore[arg-type]
    module = await cpython.load(artifact.wasm)
    assert await module.call("price", 4) == "8 €"
    with pytest.raises(Trap, match=r"KeyError: 'k' \(lib/money.py:3, in fail\)"):
        await module.call("fail")
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    from_folder = await cpython.load(tmp_path / "main.py", language="cpython")
    assert await from_folder.call("price", 2) == "4 €"


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("def f(:\n  pass", 1, 7, "SyntaxError: invalid syntax"),
        ("x = 1\nif x:\npass\n", 3, 1, "IndentationError: expected an indented block"),
        ("def f():\n\treturn 1\n        return 2\n", 3, 0, "TabError"),
        ("return 1\n", 1, 1, "'return' outside function"),
        ("a = 'x\n", 1, 5, "unterminated string literal"),
        ("x = 1\nx = ((((\n", 2, 8, "was never closed"),
        ("a\0b", 1, 0, "null"),
    ],
)
async def test_what_does_not_compile_is_a_diagnostic(
    cpython: Runtime, source: str, line: int, column: int, message: str
) -> None:
    """Diagnostics say where and why, without anything having run."""
    with pytest.raises(CompileError) as caught:
        await cpython.load(source, language="cpython")
    (found,) = caught.value.diagnostics
    assert message in found.message
    assert found.line == line or not found.line
    assert not column or found.column == column


async def test_warnings_are_kept(cpython: Runtime) -> None:
    """What the compiler of Python warns of is a diagnostic, and no error."""
    generator = await cpython.generator()
    artifact = await generator.compile("def f(x):\n    return x is 'a'\n", language="cpython")
    assert [(d.line, d.severity) for d in artifact.diagnostics] == [(2, "warning")]


async def test_the_same_source_gives_the_same_bytes(cpython_home: Path, tmp_path: Path) -> None:
    """A script is reproducible."""
    made = []
    for name in ("one", "two"):
        async with Generator([CPython(cpython_home)], tmp_path / name) as generator:
            made.append((await generator.compile(SOURCE, language="cpython")).wasm)
    assert made[0] == made[1]


async def test_without_the_engine_it_says_what_to_type(tmp_path: Path) -> None:
    """A missing toolchain is one sentence; a script that needs another engine is refused."""
    async with Generator([CPython(tmp_path)], tmp_path / "store") as generator:
        with pytest.raises(ToolchainMissing, match="echelon toolchain install cpython"):
            await generator.compile("x = 1", language="cpython")
        with pytest.raises(LoadError, match="needs the engine"):
            await generator.engine("sha256:" + "0" * 64)


async def test_suffixes_stay_with_typed_python(cpython: Runtime, tmp_path: Path) -> None:
    """The language is chosen by its name only."""
    assert CPython.suffixes == ()
    (tmp_path / "a.py").write_text("def f(): return 1")
    module = await cpython.load(tmp_path / "a.py", language="cpython")
    assert await module.call("f") == 1


async def test_a_hostile_result_is_refused(cpython: Runtime) -> None:
    """A script that tampers with the engine's own shim hurts only itself."""
    module = await cpython.load(
        "import sys\n"
        "def tamper(data: bytes):\n"
        "    frame = sys._getframe()\n"
        "    while frame.f_back is not None and 'call_script' != frame.f_code.co_name: frame = frame.f_back\n"
        "    shim = frame.f_globals\n"
        "    shim['call'] = None\n"
        "    shim['encoded'] = lambda value: data\n"
        "    return 1\n",
        language="cpython",
    )
    for data in (b"", b"9", b"0{", b'1{"$bytes":1}', b"2", b"2{}", b"0" + b"[" * 5000, b"4\xff", b"6"):
        async with module.instance() as live:
            assert await live.call("tamper", data) == 1
            with pytest.raises(GuestError):
                await live.call("tamper", data)


async def test_files_of_a_script_come_before_the_library(cpython: Runtime) -> None:
    """A file may have a name of the library's, also of one that is imported already; the kit's is taken."""
    files = {
        "main.py": "import json, queue, email.message, echelon\n"
        "def f(): return [json.mine, queue.mine, email.message.mine, callable(echelon.log)]\n",
        "json.py": "mine = 1\n", "queue.py": "mine = 2\n", "email/message.py": "mine = 3\n",
    }  # fmt: skip
    generator = await cpython.generator()
    artifact = await generator.compile(files, language="cpython")  # type: ignore[arg-type]
    assert await (await cpython.load(artifact.wasm)).call("f") == [1, 2, 3, True]
    with pytest.raises(CompileError, match="give this file another name"):
        await generator.compile({"main.py": "", "echelon.py": ""}, language="cpython")  # type: ignore[arg-type]


async def test_a_function_that_is_not_made(cpython: Runtime) -> None:
    """What is seen in the text of a script need not be there when it has run."""
    module = await cpython.load(
        "if False:\n    def f(): return 1\ndef g(): pass\ng = 1\n", language="cpython"
    )
    for name in ("f", "g"):
        with pytest.raises(Trap, match=f"NameError: the script has run and has no function '{name}'"):
            await module.call(name)
