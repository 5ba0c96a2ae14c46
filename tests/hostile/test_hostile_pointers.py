"""Wild pointers, lengths and numbers for every function of the host, through the real engine."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hostile_puppet import EVERY, WASI, Puppet, name_of
from hostile_stage import Stage

from echelon.errors import GuestError, HostError, LoadError, PermissionDenied
from echelon.kv import open_kv
from echelon.runtime.host import CORE_OF, HostFunction
from echelon.runtime.permissions import Permissions

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = 65_536
WILD = (0, 1, 4, PAGE - 1, PAGE, PAGE + 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_0000, 0xFFFF_FFF0, 0xFFFF_FFFF)
WIDE = (*WILD, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
FLOATS = (0.0, -0.0, 1e308, float("inf"), float("-inf"), float("nan"))
HARMLESS = 64


def choices(kind: str) -> tuple[float, ...]:
    core = CORE_OF[kind]
    return WILD if core == "i32" else WIDE if core == "i64" else FLOATS


def attacks(function: HostFunction) -> Iterator[tuple[float, ...]]:
    """Yield argument lists: one wild number at each place, all alike, pairs that wrap around, and random ones."""
    params = function.params
    if not params:
        yield ()
    first_ones = (0, 3, 5, HARMLESS) if function.name.startswith(("fd_", "path_")) else (HARMLESS,)
    for place, kind in enumerate(params):
        for first in first_ones:  # a descriptor of every kind, or a pointer
            for value in choices(kind):
                arguments: list[float] = [first, *[HARMLESS] * (len(params) - 1)]
                arguments[place] = value
                yield tuple(arguments)
    for number in range(len(WILD)):
        yield tuple(choices(kind)[number % len(choices(kind))] for kind in params)
    dice = random.Random(function.name)
    for _ in range(20):
        yield tuple(dice.choice(choices(kind)) for kind in params)


async def play(stage: Stage, function: HostFunction, permissions: Permissions) -> None:
    """Let a guest make every attack; a guest that was stopped is followed by another one."""
    todo = iter(list(attacks(function)))
    for _ in range(2000):
        async with Puppet.on(stage, permissions) as puppet:
            puppet.live.memory.write(HARMLESS, b"file\0")
            await puppet.open("file", rights=1 << 1 | 1 << 6)
            for arguments in todo:
                before = puppet.live.memory.size
                try:
                    answer = await puppet.call(function, *arguments)
                except HostError as exc:
                    pytest.fail(f"{name_of(function)}{arguments}: {exc}")
                except (GuestError, PermissionDenied, LoadError):
                    break
                if function in WASI:
                    assert answer is None or 0 <= answer <= 76
                assert puppet.live.memory.size == before
            else:
                return
    pytest.fail("the attacks did not come to an end")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kv(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """Give the runtime a store, whose own files are open already."""
    async with open_kv(tmp_path_factory.mktemp("kv") / "kv.db") as store:
        for _ in range(3):
            await store.set(("other",), "secret")
            await store.get(("other",))
            assert [entry async for entry in store.list(prefix=())]
        stage.runtime.kv = store
        yield
        stage.runtime.kv = None


@pytest.mark.usefixtures("kv")
@pytest.mark.parametrize("function", EVERY, ids=name_of)
async def test_wild_arguments(stage: Stage, tmp_path: Path, function: HostFunction) -> None:
    """A host function answers with an error or stops its guest; it never fails in a way of its own."""
    (tmp_path / "file").write_bytes(b"content")
    permissions = Permissions(read=[tmp_path], write=[tmp_path], env=["HOSTILE_*"], kv=[["guest"]])
    async with stage.guarded():
        await play(stage, function, permissions)


@pytest.mark.parametrize("function", EVERY, ids=name_of)
async def test_wild_arguments_without_permissions(stage: Stage, function: HostFunction) -> None:
    """The same with nothing granted: no file, variable, key or host is reached."""
    async with stage.guarded():
        for arguments in itertools.islice(attacks(function), 0, None, 5):
            async with Puppet.on(stage) as puppet:
                try:
                    await puppet.call(function, *arguments)
                except HostError as exc:
                    assert exc.function.startswith("echelon.kv"), exc  # noqa: PT017 - there is no store
                except (GuestError, PermissionDenied, LoadError):
                    continue


async def test_every_function_is_attacked(stage: Stage) -> None:
    """The tables above hold every function that a runtime offers, 46 of them WASI's."""
    offered = {
        (module, name)
        for provider in stage.runtime.providers
        for module in provider.modules()
        for name in getattr(provider, "names", lambda _module: ())(module)
    }
    assert offered <= {(f.module, f.name) for f in EVERY}
    assert len(WASI) == 46
