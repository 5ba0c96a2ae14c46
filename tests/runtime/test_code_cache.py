"""Native code on disk: kept, checked, rebuilt, never trusted."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from echelon.errors import InvalidModule
from echelon.runtime import code_cache
from echelon.runtime.binary import MAGIC, leb
from echelon.runtime.code_cache import CodeCache
from echelon.runtime.compile_process import NativeCompiler
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.engine import Profile

DIGEST = "sha256:" + "ab" * 32


def test_round_trip(tmp_path: Path) -> None:
    """What is written is read back, by another object on the same directory too."""
    CodeCache(tmp_path / "c").write("engine", DIGEST, b"code")
    assert CodeCache(tmp_path / "c").read("engine", DIGEST) == b"code"
    assert CodeCache(tmp_path / "c").read("other", DIGEST) is None


def test_owner_only(tmp_path: Path) -> None:
    """The directory, its key and its files can be read by their owner only."""
    cache = CodeCache(tmp_path / "c")
    cache.write("engine", DIGEST, b"code")
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "c" / "key").stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(cache.path("engine", DIGEST).stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["flip", "cut", "foreign", "moved"])
def test_what_fails_its_check_is_not_used(tmp_path: Path, damage: str) -> None:
    """A damaged, foreign or renamed file is dropped."""
    cache = CodeCache(tmp_path / "c")
    cache.write("engine", DIGEST, b"code" * 100)
    path = cache.path("engine", DIGEST)
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut":
        path.write_bytes(content[:20])
    elif damage == "foreign":
        other = CodeCache(tmp_path / "other")
        other.write("engine", DIGEST, b"evil")
        path.write_bytes(other.path("engine", DIGEST).read_bytes())
    else:
        cache.write("engine", "sha256:" + "cd" * 32, b"evil")
        path.write_bytes(cache.path("engine", "sha256:" + "cd" * 32).read_bytes())
    assert cache.read("engine", DIGEST) is None
    assert not path.exists()


def test_the_oldest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its size the cache drops what was used longest ago; reading counts as use."""
    monkeypatch.setattr(code_cache, "_WRITES_BETWEEN_SWEEPS", 1)
    cache = CodeCache(tmp_path / "c", size=3_500)
    digests = [f"sha256:{n:064}" for n in range(4)]
    for age, digest in enumerate(digests[:3]):
        cache.write("engine", digest, b"x" * 1000)
        os.utime(cache.path("engine", digest), (age, age))
    assert cache.read("engine", digests[0]) is not None
    cache.write("engine", digests[3], b"x" * 1000)
    assert [cache.read("engine", digest) is not None for digest in digests] == [True, False, True, True]


async def test_a_corrupt_file_is_rebuilt(tmp_path: Path, wat: Callable[[str], bytes]) -> None:
    """A module whose cached code was damaged is compiled again and runs."""
    wasm = wat('(module (func (export "one") (result i32) i32.const 1))')
    settings = RuntimeSettings(instances=4, cache=tmp_path)
    async with Runtime(settings) as runtime:
        await runtime.load(wasm)
    for path in tmp_path.rglob("*.cwasm"):
        path.write_bytes(path.read_bytes()[:-10])
    async with Runtime(settings) as runtime:
        module = await runtime.load(wasm)
        assert await module.call("one") == 1


async def test_the_second_start_compiles_nothing(tmp_path: Path, wat: Callable[[str], bytes]) -> None:
    """A stored module is ready without a compiler process."""
    wasm = wat('(module (func (export "one") (result i32) i32.const 1))')
    settings = RuntimeSettings(instances=4, cache=tmp_path)
    async with Runtime(settings) as runtime:
        await runtime.load(wasm)
    async with Runtime(settings) as runtime:
        assert await (await runtime.load(wasm)).call("one") == 1
        assert runtime.compiled == 0


async def test_concurrent_loads_compile_once(tmp_path: Path, wat: Callable[[str], bytes]) -> None:
    """Any number of loads of one digest share one compilation."""
    wasm = wat('(module (func (export "two") (result i32) i32.const 2))')
    async with Runtime(RuntimeSettings(instances=4, cache=tmp_path)) as runtime:
        modules = await asyncio.gather(*(runtime.load(wasm) for _ in range(20)))
        assert runtime.compiled == 1
        assert len({id(module._ready) for module in modules}) == 1


async def test_two_runtimes_share_one_compilation(tmp_path: Path, wat: Callable[[str], bytes]) -> None:
    """Loads of one digest by two owners of the directory compile once."""
    wasm = wat('(module (func (export "three") (result i32) i32.const 3))')
    settings = RuntimeSettings(instances=4, cache=tmp_path)
    async with Runtime(settings) as one, Runtime(settings) as two:
        await asyncio.gather(one.load(wasm), two.load(wasm))
        assert one.compiled + two.compiled == 1


def functions(count: int, body: bytes) -> bytes:
    """Return a module with `count` copies of one function body."""

    def part(number: int, content: bytes) -> bytes:
        return bytes([number]) + leb(len(content)) + content

    entry = leb(len(body) + 2) + b"\0" + body + b"\x0b"
    return (
        MAGIC
        + part(1, b"\x01\x60\0\0")
        + part(3, leb(count) + b"\0" * count)
        + part(10, leb(count) + entry * count)
    )


async def test_a_compile_bomb_is_stopped(tmp_path: Path) -> None:
    """A module made to be slow to compile costs its time limit, and the next one compiles."""
    compiler = NativeCompiler(tmp_path, seconds=0.4)
    bomb = functions(60_000, b"\x10\x00" * 25)
    with pytest.raises(InvalidModule, match=r"stopped after 0\.4 s"):
        await compiler.compile(bomb, Profile())
    compiler._seconds = 60.0
    assert await compiler.compile(functions(1, b"\x01"), Profile())
    await compiler.close()


async def test_a_compiler_out_of_memory(tmp_path: Path) -> None:
    """A module that needs more memory than allowed costs its process, and the next one compiles."""
    compiler = NativeCompiler(tmp_path, memory=96 << 20)
    with pytest.raises(InvalidModule, match="out of memory or time"):
        await compiler.compile(functions(60_000, b"\x10\x00" * 20), Profile())
    assert await compiler.compile(functions(1, b"\x01"), Profile())
    await compiler.close()


async def test_an_invalid_body_is_refused(tmp_path: Path) -> None:
    """What only the engine's validator sees is an InvalidModule with its place."""
    compiler = NativeCompiler(tmp_path)
    with pytest.raises(InvalidModule, match="offset"):
        await compiler.compile(functions(1, b"\x1a"), Profile())  # drop from an empty stack
    await compiler.close()
    assert list(tmp_path.iterdir()) == []


async def test_cancelling_a_compile_ends_its_process(tmp_path: Path) -> None:
    """A cancelled load does not leave its compiler working."""
    compiler = NativeCompiler(tmp_path)
    task = asyncio.create_task(compiler.compile(functions(60_000, b"\x10\x00" * 25), Profile()))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert compiler._idle == []
    await compiler.close()


def test_folders_that_vanish_while_old_code_is_dropped(tmp_path: Path) -> None:
    """Compilations of other processes have folders beside the code, which may be gone once they were listed."""
    cache = CodeCache(tmp_path)
    done = threading.Event()

    def compilations() -> None:
        while not done.is_set():
            for number in range(20):
                (tmp_path / f"compile-{number}").mkdir()
            for number in range(20):
                (tmp_path / f"compile-{number}").rmdir()

    others = threading.Thread(target=compilations)
    others.start()
    try:
        for number in range(64 * 32):
            cache.write("engine", f"sha256:{number % 4}", b"code")
    finally:
        done.set()
        others.join()
    assert cache.read("engine", "sha256:3") == b"code"
