"""The key-value store as its users write it. Type-checked, never run."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

from echelon.kv import U64, VERSIONSTAMP, Change, Collection, Entry, Item, Key, Kv, open_kv


@dataclass
class User:
    name: str
    age: int = 0
    email: str | None = None


async def use() -> None:
    async with open_kv("app.db", durability="normal") as kv:
        assert_type(kv, Kv)
        written = await kv.set(("users", 1), User("Ada"), expire_in=timedelta(hours=1))
        assert_type(written.ok, bool)

        entry = await kv.get(("users", 1), type=User)
        assert_type(entry, Entry[User])
        assert_type(entry.value, User | None)
        assert_type(entry.key, Key)
        assert_type(entry.versionstamp, str | None)
        assert_type((await kv.get(("users", 1))).value, Any | None)

        for found in await kv.get_many([("users", 1), ("users", 2)]):
            assert_type(found.key, Key)
        async for item in kv.list(prefix=("users",), limit=10, reverse=True, type=User):
            assert_type(item.value, User | None)

        result = await (
            kv.atomic()
            .check(entry)
            .check(key=("users", 2), versionstamp=None)
            .set(("users", 2), User("Bob"))
            .delete(("users", 1))
            .sum(("count",), 1)
            .max(("most",), U64(5))
            .commit()
        )
        if not result.ok:
            print(result.failed_checks)
        await kv.delete(("users", 1))


async def follow(kv: Kv) -> None:
    async for entries in kv.watch([("users", 1)], type=User):
        assert_type(entries, list[Entry[User]])

    async def handle(value: Any) -> None: ...

    sent = await kv.enqueue(
        {"mail": 1},
        delay=timedelta(minutes=5),
        backoff_schedule=[timedelta(seconds=1)],
        keys_if_undelivered=[("failed", 1)],
    )
    assert_type(sent.versionstamp, str | None)
    await kv.atomic().set(("log", VERSIONSTAMP), 1).enqueue({"mail": 2}).commit()
    await kv.listen_queue(handle, concurrency=5)


async def wrong(kv: Kv) -> None:
    await kv.get("users")  # type: ignore[call-overload]  # a key is a tuple
    await kv.set(("users", 1), "Ada", expire_in="1h")  # type: ignore[arg-type]  # a time is a timedelta or a number
    kv.list(prefix=("users",), limit="10")  # type: ignore[call-overload]  # a limit is a number
    kv.atomic().set((VERSIONSTAMP, "log"), 1)  # type: ignore[arg-type]  # it can only be the last part
    await kv.set(("log", VERSIONSTAMP), 1)  # type: ignore[arg-type]  # only a commit has such keys
    await kv.enqueue(1, delay=5)  # type: ignore[arg-type]  # a delay is a timedelta
    await kv.listen_queue(print)  # type: ignore[arg-type]  # a handler is async


async def collections(kv: Kv) -> None:
    users = kv.collection("users", type=User, index=["name", ("name", "age")], unique=["email"])
    assert_type(users, Collection[User])
    assert_type(kv.collection(("shop", "orders")), Collection[Any])

    added = await users.add(User("Ada"), expire_in=timedelta(days=1))
    assert_type(added, Change)
    item = await users.get(added.id)
    assert_type(item, Item[User] | None)
    if item is not None:
        assert_type(item.value, User)
        assert_type(item.versionstamp, str)
        await users.put(item.id, User("Ada L."), versionstamp=item.versionstamp)
    assert_type(await users.get_many([1, "a", ("eu", 1)]), list[Item[User] | None])
    async for found in users.find("name", start="A", limit=10):
        assert_type(found, Item[User])
    async for found in users.list(reverse=True):
        assert_type(found.value.name, str)
    commit = kv.atomic()
    await users.update(1, lambda user: User(user.name.upper()), into=commit)
    await users.delete(2, into=commit)
    if not await commit.commit():
        print(added.reason, added.index, added.owner)


async def wrong_collections(kv: Kv) -> None:
    users = kv.collection("users", type=User)
    await users.add({"name": "Ada"})  # type: ignore[arg-type]  # an item has the collection's type
    await users.update(1, lambda user: user.name)  # type: ignore[arg-type, return-value]  # so has what follows
    users.find("name", limit="10")  # type: ignore[arg-type]  # a limit is a number
