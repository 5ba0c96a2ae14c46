"""The stored modules below the control API: records, files, and what happens when they disagree."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from control_client import Api, check_problem, make_app, running, wat_constant

from echelon.console.registry import Registry, describe
from echelon.errors import ConfigError, HTTPError, InvalidModule
from echelon.kv import Kv, open_kv
from echelon.plugin.artifacts import Artifact, digest_of
from echelon.plugin.compilers.wat import assemble
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions


@dataclass
class Store:
    """A registry on a store of its own, and the parts it stands on."""

    registry: Registry
    kv: Kv
    directory: Path

    async def put(self, number: int, name: str | None = None, permissions: Permissions | None = None) -> str:
        """Store the module that returns `number`; return its digest."""
        artifact = module(number)
        await self.registry.put(artifact, name, "wat", permissions or Permissions(), Limits())
        return artifact.digest

    def files(self) -> set[str]:
        return {f"sha256:{path.stem}" for path in self.directory.glob("*.wasm")}

    async def keys(self) -> int:
        return len([entry async for entry in self.kv.list(prefix=("echelon", "modules"))])


def module(number: int) -> Artifact:
    wasm = assemble(wat_constant(number))
    return Artifact(wasm, digest_of(wasm), "wat")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty registry."""
    async with open_kv(tmp_path / "kv.db") as kv:
        registry = Registry(kv, tmp_path / "modules")
        registry.open()
        yield Store(registry, kv, tmp_path / "modules")


async def test_a_replaced_module_leaves_nothing(store: Store) -> None:
    """Replacing a name removes the file and every record of the module that nobody names any more."""
    await store.put(1, "a")
    digest = await store.put(2, "a")
    assert store.files() == {digest}
    assert await store.keys() == 2
    await store.registry.delete("a")
    assert store.files() == set()
    assert await store.keys() == 0


async def test_a_file_stays_while_it_has_a_name(store: Store) -> None:
    """Two names share a file; it goes with the last of them."""
    digest = await store.put(1, "a")
    await store.put(1, "b")
    await store.put(2, "a")
    assert digest in store.files()
    await store.registry.delete("b")
    assert digest not in store.files()


async def test_many_processes_storing_and_deleting(store: Store, tmp_path: Path) -> None:
    """However stores and deletions of one module interleave, whoever has a record has its file."""
    others = [Registry(store.kv, tmp_path / "modules") for _ in range(3)]

    async def churn(registry: Registry, name: str) -> None:
        for turn in range(10):
            await registry.put(module(turn % 2), name, "wat", Permissions(), Limits())
            if turn % 3 == 2:
                with suppress(HTTPError):  # 404: another one deleted it first
                    await registry.delete(name)

    await asyncio.gather(*(churn(registry, f"n{place % 2}") for place, registry in enumerate(others)))
    records, _ = await store.registry.page(100, None)
    assert {record.digest for record in records} == store.files()


async def test_a_cancelled_store_lets_go_of_the_lock(store: Store, tmp_path: Path) -> None:
    """A request that ends while it waits for another process does not keep the lock."""
    other = Registry(store.kv, tmp_path / "modules")
    async with other._alone():
        waiting = asyncio.create_task(store.put(1, "a"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(store.put(2, "b"), 5)


async def test_an_altered_file_is_never_served(tmp_path: Path) -> None:
    """A stored module whose bytes were changed is refused, and listed as damaged; deleting it helps."""
    state = tmp_path / "state"
    async with running(make_app(state)) as api:
        digest = (await api.store(wat_constant(1), "victim")).json()["id"]
    path = state / "modules" / f"{digest.removeprefix('sha256:')}.wasm"
    path.write_bytes(assemble(wat_constant(666)))
    async with running(make_app(state)) as api:
        document = check_problem(await api.call("victim", "get"), "internal-error", 500)
        assert "missing or damaged: post it again" in document["detail"]
        (listed,) = (await api.get("/modules")).json()["modules"]
        assert "damaged" in listed
        assert (await api.store(wat_constant(1), "victim")).status_code == 201
        assert (await api.call("victim", "get")).json()["value"] == 1


async def test_a_missing_file_is_said(store: Store) -> None:
    """A record without its file is a clear error, and can be deleted."""
    digest = await store.put(1, "a")
    (store.directory / f"{digest.removeprefix('sha256:')}.wasm").unlink()
    record = await store.registry.find("a")
    with pytest.raises(HTTPError, match="missing or damaged"):
        await store.registry.wasm(record)
    await store.registry.delete("a")
    assert await store.keys() == 0


async def test_a_record_that_was_replaced_meanwhile(store: Store) -> None:
    """Who holds a record of a module that is gone is told to ask again."""
    await store.put(1, "a")
    record = await store.registry.find("a")
    await store.put(2, "a")
    with pytest.raises(HTTPError, match="replaced or deleted meanwhile") as raised:
        await store.registry.wasm(record)
    assert raised.value.status == 404


async def test_too_many_permissions_for_a_record(store: Store) -> None:
    """Permissions that do not fit into a record are the client's mistake, and nothing is stored."""
    many = Permissions(env=[f"VARIABLE_{number:0100}" for number in range(1000)])
    with pytest.raises(HTTPError, match="permissions: they are too large") as raised:
        await store.put(1, "a", many)
    assert raised.value.status == 400
    assert await store.keys() == 0


async def test_a_directory_that_others_may_write(tmp_path: Path) -> None:
    """Modules are not kept where another user could put some."""
    directory = tmp_path / "modules"
    directory.mkdir()
    directory.chmod(0o777)
    async with open_kv(tmp_path / "kv.db") as kv:
        with pytest.raises(ConfigError, match="chmod 700"):
            Registry(kv, directory).open()


async def test_files_belong_to_their_owner_alone(store: Store) -> None:
    """Nobody else can read the stored modules."""
    await store.put(1, "a")
    for path in (store.directory, *store.directory.iterdir()):
        assert os.stat(path).st_mode & 0o077 == 0, path


async def test_descriptions_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of modules is bounded, and read again when it was forgotten."""
    monkeypatch.setattr("echelon.console.registry.MAX_DESCRIPTIONS", 2)
    for number in range(4):
        await store.put(number, f"m{number}")
    assert len(store.registry._descriptions) == 2
    description = await store.registry.description(await store.registry.find("m0"))
    assert [export["name"] for export in description.exports] == ["get"]
    assert len(store.registry._descriptions) == 2


async def test_a_path_that_leads_elsewhere(tmp_path: Path) -> None:
    """A granted path that became a link to another place is not followed there: the module is refused."""
    granted, secret = tmp_path / "granted", tmp_path / "secret"
    granted.mkdir()
    secret.mkdir()
    state = tmp_path / "state"
    async with running(make_app(state)) as api:
        await api.store(wat_constant(1), "reader", permissions={"read": [str(granted)]})
        assert (await api.call("reader", "get")).json()["value"] == 1
        granted.rmdir()
        granted.symlink_to(secret)
        document = check_problem(await api.call("reader", "get"), "conflict", 409)
        assert "post the module again" in document["detail"]
        granted.unlink()
        granted.mkdir()
        assert (await api.call("reader", "get")).json()["value"] == 1


async def test_ceilings_that_came_down(tmp_path: Path) -> None:
    """A stored module runs within today's ceilings, whatever was allowed when it was stored."""
    state = tmp_path / "state"
    spin = '(module (func (export "spin") (loop $l (br $l))))'
    async with running(make_app(state)) as api:
        assert (await api.store(spin, "spin", limits={"time": 50})).status_code == 201
    async with running(make_app(state, wasm__max_time="100ms")) as api:
        document = check_problem(await api.call("spin", "spin"), "deadline-exceeded", 422)
        assert document["limit"] == 0.1


def test_descriptions_of_junk() -> None:
    """What is no module has no description."""
    with pytest.raises(InvalidModule):
        describe(b"\0asm\x01\0\0\0\xff")


async def test_a_bad_cursor(store: Store) -> None:
    """A cursor from elsewhere is the client's mistake."""
    with pytest.raises(HTTPError, match="cursor") as raised:
        await store.registry.page(10, "bm90aGluZw")
    assert raised.value.status == 400


async def test_the_control_api_reads_what_another_process_stored(tmp_path: Path) -> None:
    """A record written through one registry is served by another application on the same state."""
    state = tmp_path / "state"

    async with running(make_app(state)) as api, running(make_app(state)) as other:
        await _same(api, other)


async def _same(one: Api, two: Api) -> None:
    for number in range(3):
        await one.store(wat_constant(number), "shared")
        assert (await two.call("shared", "get")).json()["value"] == number
    await two.delete("/modules/shared")
    check_problem(await one.call("shared", "get"), "not-found", 404)
