"""Indexes stay exact: after random histories, among many tasks, and among processes."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from echelon.kv import Change, Collection, Kv, open_kv
from echelon.kv.codec import encode_key

DECLARED: dict[str, Any] = {"index": ["n", "tags", ("n", "name")], "unique": ["name"]}


def expected(items: dict[Any, Any]) -> dict[bytes, Any]:
    """Return what the indexes of these items hold, said without the code that keeps them."""
    found = {}
    for id, value in items.items():
        n, name = value.get("n"), value.get("name")
        keys: list[tuple[tuple[Any, ...], Any]] = [(("tags", tag, id), None) for tag in value.get("tags", ())]
        if n is not None:
            keys.append((("n", n, id), None))
        if name is not None:
            keys.append((("name", name), [id]))
        if n is not None and name is not None:
            keys.append((("n,name", n, name, id), None))
        found |= {encode_key(key): owner for key, owner in keys}
    return found


async def check(kv: Kv, things: Collection[Any]) -> None:
    """Compare every index of a store with its items."""
    items = {item.id: item.value async for item in things.list()}
    held = {encode_key(entry.key[3:]): entry.value async for entry in kv.list(prefix=("$index", 1, "things"))}
    assert held == expected(items)


NAMES = st.sampled_from(["a", "b", None])
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "n": st.integers(0, 2) | st.just(1.0) | st.just(True),
        "name": NAMES,
        "tags": st.lists(st.sampled_from(["x", "y", 1, 1.0]), max_size=3),
    },
)
IDS = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("put"), IDS, VALUES),
    st.tuples(st.just("add"), IDS, VALUES),
    st.tuples(st.just("update"), IDS, VALUES),
    st.tuples(st.just("delete"), IDS, st.none()),
)


def step(model: dict[int, Any], verb: str, id: int, value: Any) -> str | None:
    """Do to a dict what a collection does; return why it does not."""
    if verb == "add" and id in model:
        return "exists"
    if verb in ("update", "delete") and id not in model:
        return "absent"
    if verb == "delete":
        del model[id]
        return None
    after = {**model[id], **value} if verb == "update" else value
    name = after.get("name")
    if name is not None and any(other.get("name") == name for key, other in model.items() if key != id):
        return "taken"
    model[id] = after
    return None


async def apply(things: Collection[Any], verb: str, id: int, value: Any) -> Change:
    if verb == "put":
        return await things.put(id, value)
    if verb == "add":
        return await things.add(value, id=id)
    if verb == "update":
        return await things.update(id, lambda old: {**old, **value})
    return await things.delete(id)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=12))
async def test_histories(history: list[Any]) -> None:
    """Any history ends as in a dict, and every index holds exactly what the items say."""
    async with open_kv(":memory:") as kv:
        things = kv.collection("things", **DECLARED)
        model: dict[int, Any] = {}
        for verb, id, value in history:
            assert (await apply(things, verb, id, value)).reason == step(model, verb, id, value)
            await check(kv, things)
        assert {item.id: item.value async for item in things.list()} == model
        for name in ("a", "b"):
            found = [item.id async for item in things.find("name", name)]
            assert found == [id for id, value in model.items() if value.get("name") == name]
        listed = [(encode_key((item.value["n"], item.id))) async for item in things.find("n")]
        assert listed == sorted(encode_key((v["n"], id)) for id, v in model.items() if v.get("n") is not None)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(STEPS, max_size=8), min_size=2, max_size=5))
async def test_tasks_at_once(histories: list[list[Any]]) -> None:
    """Tasks that write the same items at once leave the indexes exact."""
    async with open_kv(":memory:") as kv:
        handles = [kv.collection("things", **DECLARED) for _ in histories]

        async def run(things: Collection[Any], history: list[Any]) -> None:
            for verb, id, value in history:
                await apply(things, verb, id, value)

        await asyncio.gather(*map(run, handles, histories))
        await check(kv, handles[0])


WORKER = """
import asyncio, random, sys
from echelon.kv import open_kv

async def main(path, seed):
    choose = random.Random(seed)
    declared = {"index": ["n", "tags", ("n", "name")], "unique": ["name"]}
    async with open_kv(path, durability="normal") as kv:
        things = kv.collection("things", **declared)

        async def work():
            for _ in range(60):
                id, name = choose.randrange(6), choose.choice("abcd")
                value = {"n": choose.randrange(4), "name": name, "tags": [choose.choice("xyz")]}
                verb = choose.choice(["put", "put", "update", "delete"])
                if verb == "put":
                    change = await things.put(id, value)
                elif verb == "update":
                    change = await things.update(id, lambda old: {**old, "n": old["n"] + 1})
                else:
                    change = await things.delete(id)
                if change and verb == "update":
                    await kv.atomic().sum(("updates",), 1).commit()

        await asyncio.gather(*(work() for _ in range(4)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_processes_at_once(path: Path) -> None:
    """Three processes that write the same items at once leave the indexes exact."""
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, str(path), str(seed))
        for seed in range(3)
    ]
    assert await asyncio.gather(*(worker.wait() for worker in workers)) == [0, 0, 0]
    async with open_kv(path) as kv:
        await check(kv, kv.collection("things", **DECLARED))
        assert (await kv.get(("updates",))).value > 0


COUNTER = """
import asyncio, sys
from echelon.kv import open_kv

async def main(path):
    async with open_kv(path, durability="normal") as kv:
        things = kv.collection("things", index=["n"])

        async def work():
            for _ in range(25):
                assert await things.update(1, lambda old: {"n": old["n"] + 1})

        await asyncio.gather(*(work() for _ in range(4)))

asyncio.run(main(sys.argv[1]))
"""


async def test_no_update_is_lost(path: Path) -> None:
    """Updates of one item from several processes are all made."""
    async with open_kv(path) as kv:
        await kv.collection("things", index=["n"]).put(1, {"n": 0})
        workers = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", COUNTER, str(path)) for _ in range(2)
        ]
        assert await asyncio.gather(*(worker.wait() for worker in workers)) == [0, 0]
        things = kv.collection("things", index=["n"])
        assert [item.value async for item in things.find("n")] == [{"n": 200}]


async def test_every_engine(kv: Kv) -> None:
    """On every kind of store items, indexes and commits of several behave alike."""
    things = kv.collection("things", type=dict, **DECLARED)
    assert await things.add({"n": 1, "name": "a", "tags": ["x"]}, id=1)
    assert (await things.add({"name": "a"}, id=2)).owner == 1
    assert await things.put(2, {"n": 1.5, "name": "b", "tags": ["x", "y"]})
    changes = await asyncio.gather(
        *(things.update(1, lambda old: {**old, "n": old["n"] + 1}) for _ in range(5))
    )
    assert all(changes)
    commit = kv.atomic().set(("done",), True)
    await things.delete(2, into=commit)
    await things.put(("eu", 3), {"n": 0, "tags": [True]}, into=commit)
    assert await commit.commit()
    assert [item.id async for item in things.find("n")] == [("eu", 3), 1]
    assert [item.id async for item in things.find("n", reverse=True, limit=1)] == [1]
    assert await things.get_by("name", "b") is None
    assert (await things.get_many([1, 2]))[1] is None
    page = things.list(limit=1)
    first = [item.id async for item in page]
    assert first + [item.id async for item in things.list(cursor=page.cursor)] == [("eu", 3), 1]
    await kv.delete(("things", 1))
    later = kv.collection("things", type=dict, index=["n"], unique=["name", "tags"])
    built = await later.reindex()
    assert built
    assert await later.count("n") == 1
    assert await later.count("tags", True) == 1
