"""Hostile Python scripts: what a script does to its interpreter, and through it to its host."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hostile_stage import Case, Stage

from echelon import Application
from echelon.errors import (
    DeadlineExceeded,
    EchelonError,
    GuestError,
    GuestExit,
    HostCallsExceeded,
    InvalidModule,
    MemoryExceeded,
    OutputExceeded,
    PermissionDenied,
    Trap,
)
from echelon.http.testing import TestClient
from echelon.kv import open_kv
from echelon.plugin.compilers.cpython.compiler import CPython
from echelon.plugin.generator import Generator
from echelon.runtime import cpython, cpython_values
from echelon.runtime.limits import Limits
from echelon.runtime.module import Module
from echelon.runtime.permissions import Permissions

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

LIMITS = Limits(memory="64MiB", time=1, output="64KiB", host_calls=1000)
"""The interpreter alone needs 26 MiB, and this machine may be slow."""

SOURCE = """
import asyncio, gc, json, os, pickle, re, sys, time, zlib
import echelon, echelon_wire as wire

def run(text: str):
    names = {"echelon": echelon, "wire": wire}
    exec(text, names)
    return names.get("result")

def shim():
    frame = sys._getframe()
    while frame.f_code.co_name != "call_script": frame = frame.f_back
    return frame.f_globals

def replace(name: str, text: str):
    shim()[name] = eval(text)
    return 1

def add(a: int, b: int): return a + b
"""

# Python code, and how the call that runs it must end; None where it must just come back.
ENDINGS: dict[str, tuple[str, type[BaseException] | tuple[type[BaseException], ...] | None]] = {
    "endless loop": ("while True: pass", DeadlineExceeded),
    "endless generator": ("sum(1 for _ in iter(int, 1))", DeadlineExceeded),
    "catastrophic expression": ("import re; re.match('(a+)+$', 'a' * 60 + 'b')", DeadlineExceeded),
    "long arithmetic": ("n = 7\nwhile True: n **= 2", (DeadlineExceeded, MemoryExceeded)),
    "long shift": ("1 << (1 << 40)", (Trap, MemoryExceeded)),
    "long number as text": ("str(10 ** 100_000)", Trap),
    "sleep": ("import time; time.sleep(3600)", DeadlineExceeded),
    "sleeping tasks": ("import asyncio; asyncio.run(asyncio.sleep(3600))", DeadlineExceeded),
    "endless tasks": (
        "import asyncio\nasync def a():\n  while True: await asyncio.sleep(0)\nasyncio.run(a())",
        DeadlineExceeded,
    ),
    "refusing to stop": (
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass", DeadlineExceeded,
    ),
    "memory in lists": ("a = []\nwhile True: a.append([0] * 10_000)", MemoryExceeded),
    "memory at once": ("b'x' * (1 << 31)", (MemoryExceeded, Trap)),
    "memory and going on": (
        "a = []\nwhile True:\n  try: a.append(bytes(1 << 20))\n  except MemoryError: pass", DeadlineExceeded,
    ),
    "many small objects": ("a = {}\nwhile True: a[len(a)] = str(len(a))", (MemoryExceeded, DeadlineExceeded)),
    "cycles with finalizers": (
        "import gc\nclass A:\n  def __init__(self): self.me = self\n  def __del__(self): A()\nA()\n"
        "while True: gc.collect()",
        (DeadlineExceeded, MemoryExceeded),
    ),
    "decompression": (
        "import zlib\nz = zlib.compress(b'x' * (8 << 20), 9)\nx = [zlib.decompress(z) for _ in range(64)]",
        (MemoryExceeded, DeadlineExceeded),
    ),
    "recursion": ("def f(n): return f(n + 1)\nf(0)", Trap),
    "recursion without bound": (
        "import sys\nsys.setrecursionlimit(2**31 - 1)\ndef f(n): return f(n + 1)\nf(0)", (Trap, MemoryExceeded),
    ),
    "recursion in C": ("a = []\nfor _ in range(200_000): a = [a]\nrepr(a)", (Trap, MemoryExceeded)),
    "recursion in a destructor": ("a = None\nfor _ in range(300_000): a = (a,)\ndel a", Trap),
    "deep source": ("eval('(' * 100_000 + ')' * 100_000)", Trap),
    "deep json": ("import json; json.loads('[' * 500_000)", Trap),
    "pickle": (
        "import pickle\nclass A:\n  def __reduce__(self): return (open, ('/etc/passwd',))\n"
        "pickle.loads(pickle.dumps(A()))",
        (PermissionDenied, Trap),
    ),
    "printing": ("while True: print('0123456789')", (OutputExceeded, HostCallsExceeded)),
    "printing at once": ("print('x' * 1_000_000)", OutputExceeded),
    "errors": ("import sys\nwhile True: sys.stderr.write('x' * 5000 + '\\n')", OutputExceeded),
    "logging": ("while True: echelon.log('x' * 100)", (OutputExceeded, HostCallsExceeded)),
    "asking": ("while True: echelon.env('LANG')", HostCallsExceeded),
    "large result": ("result = 'x' * 1_000_000", OutputExceeded),
    "large list": ("result = [1.5] * 100_000", OutputExceeded),
    "deep result": ("result = []\nfor _ in range(900): result = [result]", GuestError),
    "result that holds itself": ("result = []; result.append(result)", Trap),
    "result that lies": (
        "class D(dict):\n  def items(self):\n    while True: yield ('a', 1)\nresult = D(a=1)",
        (GuestError, OutputExceeded),
    ),
    "half of a pair": ("result = '\\ud800'", Trap),
    "text that is none": ("class S(str): pass\nresult = S('x')", None),
    "passwords": ("open('/etc/passwd')", PermissionDenied),
    "folders": ("import os; os.listdir('/')", PermissionDenied),
    "files above": ("open('../../../etc/passwd')", PermissionDenied),
    "process": ("open('/proc/self/environ')", PermissionDenied),
    "writing": ("open('/tmp/echelon-was-here', 'w')", PermissionDenied),
    "descriptors": ("import os\nresult = [os.fstat(n) and n for n in range(3, 64)]", Trap),
    "forged descriptor": ("import os; os.write(3, b'x')", Trap),
    "link": ("import os; os.symlink('/etc', 'etc')", Trap),
    "environment": ("import os; result = os.environ['PATH']", Trap),
    "variable": ("echelon.env('PATH')", PermissionDenied),
    "store": ("echelon.kv.get(('a',))", PermissionDenied),
    "request": ("echelon.fetch('http://169.254.169.254/latest/meta-data')", PermissionDenied),
    "request to a file": ("import urllib.request; urllib.request.urlopen('file:///etc/passwd')", PermissionDenied),
    "socket": ("import _socket; _socket.socket()", (PermissionDenied, Trap)),
    "name": ("import _socket; _socket.getaddrinfo('localhost', 80)", (PermissionDenied, Trap)),
    "thread": ("import _thread; _thread.start_new_thread(print, ())", Trap),
    "process of its own": ("import subprocess; subprocess.Popen('sh')", Trap),
    "abort": ("import os; os.abort()", (Trap, GuestExit)),
    "exit": ("import os; os._exit(3)", GuestExit),
    "leave": ("import sys; sys.exit('no')", GuestExit),
    "signal": ("import signal; signal.raise_signal(signal.SIGTERM)", GuestError),
    "interrupt": ("raise KeyboardInterrupt", Trap),
    "error that cannot be shown": ("class E(Exception):\n  def __str__(self): raise self\nraise E", Trap),
    "error that never ends": (
        "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E", DeadlineExceeded,
    ),
    "error with a long name": (
        "raise type('E' * 1_000_000, (Exception,), {})('x' * 1_000_000)", (Trap, OutputExceeded),
    ),
    "error without end": (
        "e = ValueError()\nfor _ in range(100_000):\n  n = ValueError(); n.__cause__ = e; e = n\nraise e", Trap,
    ),
    "odd file": ("exec(compile('1/0', '<module>', 'exec'))", Trap),
    "memory of the interpreter": ("import ctypes", Trap),
    "code that is none": (
        "def f(): pass\nf.__code__ = f.__code__.replace(co_code=b'\\x64\\xff' * 100, co_stacksize=1)\nf()",
        GuestError,
    ),
    "marshalled garbage": ("import marshal; marshal.loads(b'\\xe3' + b'\\xff' * 100)", Trap),
    "unknown question": ("wire.ask('import_os')", GuestError),
    "no question": ("wire.host.ask('kv_get', b'')", GuestError),
    "deep question": ("wire.host.ask('kv_get', b'0' + b'[' * 100_000)", GuestError),
    "question of another shape": ("wire.ask('kv_get')", Trap),
    "odd keys": ("wire.ask('kv_get', [[[1]]])", (PermissionDenied, Trap)),
    "unknown operation": ("wire.tell(2**32 - 1, b'', 2**32 - 1)", GuestError),
    "much chance": ("result = len(wire.tell(wire.SEED, b'', 2**32 - 1))", None),
    "odd variable": ("result = wire.look('A\\0=B')", (PermissionDenied, GuestError)),
    "zone of the machine": ("result = bytes(wire.tell(wire.ZONE, b'localtime'))", None),
    "zone above": ("result = bytes(wire.tell(wire.ZONE, b'../../../etc/passwd'))", None),
    "sleep of its own": ("wire.ask('sleep', 1e300)", DeadlineExceeded),
    "sleep backwards": ("wire.ask('sleep', -1)", None),
    "sleep of a text": ("wire.ask('sleep', 'x')", Trap),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    code_directory: Path, cpython_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """A stage whose runtime knows Python scripts, and keeps their engine loaded, as one that serves them does."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with Generator([CPython(cpython_home)], store) as generator:
        await generator.compile("x = 1", language="cpython")
        async with Stage.open(code_directory, generator) as stage:
            kept = await stage.runtime.load("def f(): return 1", language="cpython")
            assert await kept.call("f") == 1
            yield stage
            kept.close()


async def compiled(stage: Stage, source: str) -> bytes:
    generator = await stage.runtime.generator()
    return (await generator.compile(source, "cpython", name="hostile.py")).wasm  # type: ignore[attr-defined,no-any-return]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wasm(stage: Stage) -> bytes:
    return await compiled(stage, SOURCE)


@pytest.mark.parametrize("name", ENDINGS)
async def test_script(stage: Stage, wasm: bytes, name: str) -> None:
    """Whatever a script does ends its own call, within its limits."""
    source, error = ENDINGS[name]
    await stage.play(Case(name, lambda: wasm, error, function="run", args=(source,), limits=LIMITS))


async def test_results_are_what_they_should_be(stage: Stage, wasm: bytes) -> None:
    """The calls that come back have nothing of the machine in their results."""
    async with loaded(stage, wasm) as module:
        for name, value in (
            ("much chance", 4096), ("zone of the machine", b""), ("zone above", b""), ("text that is none", "x"),
        ):  # fmt: skip
            assert await module.call("run", ENDINGS[name][0]) == value


@contextlib.asynccontextmanager
async def loaded(stage: Stage, wasm: bytes, permissions: Permissions | None = None) -> AsyncIterator[Module]:
    """A module that is closed afterwards."""
    module = await stage.runtime.load(wasm, limits=LIMITS, permissions=permissions)
    try:
        yield module
    finally:
        module.close()


ANSWERS = [
    b"", b"9", b"0", b"0{", b"0nan", b"1", b'1{"$bytes":1}', b'1{"$bytes":"?"}', b"2", b"2{}",
    b'2{"type":1}', b'2{"type":"E","message":"m","frames":[["f",-1,"g"]]}', b'2{"type":"E","message":"m","exit":1e400}',
    b"0" + b"[" * 5000, b"0" + b"[" * 400 + b"]" * 400, b"0" + b"1" * 5000, b"4\xff", b"4\xed\xa0\x80", b"6",
    b"6\xff\xff\xff\xff",
]  # fmt: skip


@pytest.mark.parametrize("data", ANSWERS, ids=lambda data: repr(data)[:30])
async def test_answers_that_are_none(stage: Stage, wasm: bytes, data: bytes) -> None:
    """A script that speaks to its host in the engine's place gets an error, or a value, and nothing else."""
    async with stage.guarded(), loaded(stage, wasm) as module, module.instance() as live:
        await live.call("replace", "encoded", f"lambda value: {data!r}")
        with pytest.raises(GuestError) as caught:
            await live.call("add", 1, 2)
        assert len(str(caught.value)) < 5000


HEADS = [
    b"", b"[]", b"[200]", b"[1e99, []]", b"[-1, []]", b"[200, [[1, 2]]]", b'[200, [["a\\r\\nb", "c"]]]',
    b'[200, [["a", "b\\r\\nSet-Cookie: c"]]]', b'[200, [["", "b"]]]', b'[99, []]', b'[101, [["upgrade", "x"]]]',
    b'[200, [["content-length", "1"]]]', b'[200, [["transfer-encoding", "chunked"]]]',
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS, ids=lambda head: repr(head)[:40])
async def test_responses_that_are_none(stage: Stage, head: bytes) -> None:
    """A response cannot have headers of another one in it, nor a status that there is not."""
    source = (
        "import sys\n"
        "def handle(request):\n"
        "    frame = sys._getframe()\n"
        "    while frame.f_code.co_name != 'call_script': frame = frame.f_back\n"
        f"    content = b'6' + ({len(head)}).to_bytes(4, 'little') + {head!r} + b'body'\n"
        "    frame.f_globals['call'] = lambda _: content\n"
        "    return ''\n"
    )
    app = Application()
    async with loaded(stage, await compiled(stage, source)) as module, module.instance() as live:
        await live.call("handle", None)
        app.mount("/guest", module)
        async with TestClient(app) as client:
            answer = await client.get("/guest/")
    assert answer.status_code in (200, 502)
    assert "set-cookie" not in answer.headers
    assert "transfer-encoding" not in answer.headers


async def test_a_script_that_spoils_its_start_spoils_itself_alone(stage: Stage, wasm: bytes) -> None:
    """Images of scripts have one engine, which none of them can change."""
    spoiler = await compiled(
        stage,
        "import sys, json, builtins\njson.dumps = json.loads = None\nbuiltins.len = lambda x: 7\n"
        "sys.modules.clear()\nsys.meta_path.clear()\ndef f(): return [1]\n",
    )
    async with stage.guarded():
        async with loaded(stage, spoiler) as module:
            for _ in range(2):
                with pytest.raises(GuestError):
                    await module.call("f")
        async with loaded(stage, wasm) as module:
            assert await module.call("add", 1, 2) == 3
            assert await module.call("run", "import json; result = len(json.dumps([1]))") == 3


TOPS = {
    "endless": ("while True: pass", DeadlineExceeded),
    "memory": ("a = []\nwhile True: a.append(bytes(1 << 20))", (MemoryExceeded, DeadlineExceeded)),
    "output": ("while True: print('x' * 1000)", (OutputExceeded, HostCallsExceeded)),
    "recursion": ("def f(): f()\nf()", Trap),
    "file": ("open('/etc/passwd')", PermissionDenied),
    "store": ("import echelon\nechelon.kv.get(('a',))", PermissionDenied),
    "exit": ("import os\nos._exit(1)", GuestExit),
    "own functions": ("def __getattr__(name): raise SystemExit\ndel f", Trap),
}


@pytest.mark.parametrize("name", TOPS)
async def test_code_outside_of_functions(stage: Stage, name: str) -> None:
    """What a script does while it is loaded is bounded as well, and loading it has no rights."""
    source, error = TOPS[name]
    wasm = await compiled(stage, f"def f(): return 1\n{source}\n")
    await stage.play(Case(name, lambda: wasm, error, limits=LIMITS))


async def test_an_image_has_nothing_of_a_call(stage: Stage, wasm: bytes, tmp_path: Path) -> None:
    """What one call was granted and kept is not in the next one."""
    async with open_kv(tmp_path / "app.db") as kv:
        stage.runtime.kv = kv
        await kv.set(("secret",), "hidden")
        async with loaded(stage, wasm, permissions=Permissions(kv=["secret"])) as granted:
            read = "import json; json.secret = result = echelon.kv.get(('secret',)).value"
            assert await granted.call("run", read) == "hidden"
            with pytest.raises(Trap, match="AttributeError"):
                await granted.call("run", "import json; result = json.secret")
            with pytest.raises(PermissionDenied):
                await granted.call("run", "echelon.kv.get(('other',))")
            with pytest.raises(PermissionDenied):
                await granted.call(
                    "run", "echelon.kv.atomic().set(('secret',), 1).delete(('other',)).commit()"
                )
            listed = "result = [entry.value for entry in echelon.kv.list(('secret',))]"
            assert await granted.call("run", listed) == []
        stage.runtime.kv = None


async def test_forged_modules(stage: Stage, wasm: bytes) -> None:
    """A module with other code than the engine wrote, or another header, is refused or hurts its own instance only."""
    header = cpython.read_header(wasm)
    assert header is not None
    function = {"f": cpython.Export([], "json", 0, more=False)}
    rng = random.Random(7)
    codes = [b"", b"N", b"(\x03\0\0\0", b"[" + b"\xff" * 4, b"{" * 1000, bytes(rng.randbytes(500))]
    known = cpython.pack(header, b"")
    codes += [b"\xe3" + rng.randbytes(rng.randint(1, 200)) for _ in range(6)]
    async with stage.guarded():
        for code in codes:
            async with loaded(
                stage, cpython.pack(cpython.Header(1, header.engine, function), code)
            ) as module:
                with pytest.raises(GuestError):
                    await module.call("f")
        other = cpython.Header(1, "sha256:" + "0" * 64, function)
        for forged in (known[:40] + b"\0" + known[41:], cpython.pack(other, b"N")):
            with pytest.raises((InvalidModule, EchelonError)):
                await stage.runtime.load(forged)


@pytest.mark.parametrize(
    "export",
    [
        cpython.Export([cpython.Param("a", "list<" * 1000 + "i64" + ">" * 1000)], "json", 0, more=False),
        cpython.Export([cpython.Param("a", "wire\n")], "json", 0, more=False),
        cpython.Export([], "externref", 0, more=False),
        cpython.Export([], "json", -1, more=False),
    ],
)
async def test_forged_types(wasm: bytes, export: cpython.Export) -> None:
    """Types that the engine never writes are refused when the module is read."""
    header = cpython.Header(1, "sha256:" + "0" * 64, {"f": export})
    with pytest.raises(InvalidModule, match="malformed"):
        cpython.read_header(cpython.pack(header, b""))


async def test_values_of_a_script_do_not_hold_up_the_host(stage: Stage, wasm: bytes) -> None:
    """What the host reads of an answer takes no longer than the answer is large."""
    wide = b"1[" + b",".join([b'{"$dict":{}}'] * 5000) + b"]"
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert len(cpython_values.decode(wide)) == 5000
    with pytest.raises(GuestError):
        cpython_values.decode(b"0" + b"9" * 60_000)
    assert loop.time() - start < 2
