"""Images of scripts: what is done once for all calls, and what every call has for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Limits, Runtime
from echelon.errors import DeadlineExceeded, MemoryExceeded, Trap
from echelon.kv import open_kv
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator
from echelon.runtime.module import Module
from echelon.runtime.permissions import Permissions
from echelon.runtime.script import LoadedScript
from echelon.runtime.script_image import Image

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runtime]:
    """A running runtime whose generator knows JavaScript."""
    store = tmp_path_factory.mktemp("artifacts") / "store"
    async with Generator([JavaScript(home)], store) as generator, Runtime(generator=generator) as running:
        yield running


async def load(runtime: Runtime, source: str, permissions: Permissions | None = None) -> Module:
    return await runtime.load(source, language="javascript", permissions=permissions)


def image(module: Module) -> Image | None:
    """The image that a module's calls begin with."""
    loaded = module._loaded
    assert isinstance(loaded, LoadedScript)
    return loaded.image


async def test_calls_begin_with_the_same_state(runtime: Runtime) -> None:
    """What a call changes is gone with it; what the script made while it loaded is there."""
    module = await load(
        runtime,
        "const seen = []; export function add(x) { seen.push(x); globalThis.y ??= x; return [seen, y] }",
    )
    made = image(module)
    assert made is not None
    assert made.function == 0
    for value in (1, 2, 3):
        assert await module.call("add", value) == [[value], value]
    async with module.instance() as live:
        assert await live.call("add", 1) == [[1], 1]
        assert await live.call("add", 2) == [[1, 2], 1]


async def test_an_image_is_small(runtime: Runtime) -> None:
    """A small script's image copies less than the engine's memory."""
    made = image(await load(runtime, "export const f = () => 1"))
    assert made is not None
    assert sum(len(content) for _, content in made.parts) < 512 << 10


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("const x = Math.random(); export const f = () => x", "random"),
        ("const x = crypto.randomUUID(); export const f = () => x", "uuid"),
        ("const x = Date.now(); export const f = () => x", "time"),
        ("const x = new Date().getTime(); export const f = () => x", "date"),
    ],
)
async def test_random_numbers_and_the_time_are_not_in_an_image(
    runtime: Runtime, source: str, value: str
) -> None:
    """A script that asks for them while it loads is loaded by every call, so that each has its own."""
    module = await load(runtime, source)
    made = image(module)
    assert made is not None, value
    assert made.function != 0
    assert (
        len({str(await module.call("f", seed=number)) for number in range(3)} | {str(await module.call("f"))})
        > 1
    )


async def test_random_numbers_differ_from_call_to_call(runtime: Runtime) -> None:
    """The generator of random numbers is seeded by every call, whatever the image."""
    module = await load(runtime, "export const f = () => [Math.random(), crypto.randomUUID()]")
    assert image(module) is not None
    found = [await module.call("f") for _ in range(8)]
    assert len({number for number, _ in found}) == len({text for _, text in found}) == 8


async def test_a_log_while_loading_is_in_every_call(runtime: Runtime) -> None:
    """What a script logs when it loads belongs to each call."""
    module = await load(runtime, "console.log('loaded'); export const f = () => 1")
    for _ in range(2):
        assert [entry.message for entry in (await module.run("f")).logs] == ["loaded"]


async def test_a_variable_while_loading_needs_its_grant(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment at load is that of the call, not of the image."""
    monkeypatch.setenv("ECHELON_TEST_NAME", "one")
    source = 'import { env } from "echelon"; const x = env.get("ECHELON_TEST_NAME"); export const f = () => x'
    module = await load(runtime, source, Permissions(env=["ECHELON_TEST_NAME"]))
    assert await module.call("f") == "one"


async def test_a_question_at_load_is_asked_by_every_call(runtime: Runtime) -> None:
    """A promise that a script makes while it loads is settled anew in each call."""
    source = (
        'import { kv } from "echelon"; const x = kv.get(["n"]); export const f = async () => (await x).value'
    )
    async with open_kv(":memory:") as kv:
        runtime.kv = kv
        module = await load(runtime, source, Permissions(kv=True))
        made = image(module)
        assert made is not None
        assert made.function == 0
        for value in (1, 2):
            await kv.set(("n",), value)
            assert await module.call("f") == value
        runtime.kv = None


async def test_a_script_that_fails_to_load_says_so_in_every_call(runtime: Runtime) -> None:
    """An exception of the script's own code is the call's error, with its place."""
    module = await load(runtime, "export const f = () => 1;\nthrow new Error('at the top')")
    for _ in range(2):
        with pytest.raises(Trap, match="at the top"):
            await module.call("f")


async def test_a_script_that_never_ends_loading_is_bounded(runtime: Runtime) -> None:
    """Loading ends, and each call ends at its own deadline."""
    module = await load(runtime, "export const f = () => 1; for (;;);")
    with pytest.raises(DeadlineExceeded):
        await module.call("f", limits=Limits(time=0.2))


async def test_a_large_image_grows_the_memory(runtime: Runtime) -> None:
    """Tables that a script makes while it loads are in its image; too large ones are made by every call."""
    for size, kept in ((2 << 20, True), (6 << 20, False)):
        source = f"const t = new Uint8Array({size}).fill(7); export const f = () => t[{size - 1}] + t.length"
        module = await load(runtime, source)
        made = image(module)
        assert made is not None
        assert (made.function == 0) is kept
        assert await module.call("f") == size + 7
        with pytest.raises(MemoryExceeded):
            await module.call("f", limits=Limits(memory=2 << 20))
