"""Collections: typed items, and indexes that are kept in the same commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypedDict
from uuid import UUID

import msgspec
import pytest

from echelon.errors import KvKeyError, KvUsageError, KvValueError
from echelon.kv import Collection, Item, Items, Kv, open_kv
from echelon.kv.indexes import Field, declare


@dataclass
class User:
    name: str
    email: str | None = None
    age: int | None = None
    tags: list[str] = field(default_factory=list)


@pytest.fixture
async def kv() -> AsyncIterator[Kv]:
    """An empty store; that all engines behave alike is tested elsewhere."""
    async with open_kv(":memory:") as store:
        yield store


@pytest.fixture
def users(kv: Kv) -> Collection[User]:
    return kv.collection("users", type=User, index=["age", "tags", ("name", "age")], unique=["email"])


async def ids(items: Items[Any]) -> list[Any]:
    return [item.id async for item in items]


async def stored(kv: Kv, *prefix: Any) -> list[Any]:
    return [entry.key async for entry in kv.list(prefix=prefix)]


async def test_add_and_get(kv: Kv, users: Collection[User]) -> None:
    """What is added comes back as the type, with its id and versionstamp; it lies where its key says."""
    ada = User("Ada", "ada@example.com", 36)
    change = await users.add(ada, id=1)
    assert change
    assert change.ok
    assert await users.get(1) == Item(1, ada, str(change.versionstamp))
    assert await users.get(2) is None
    assert (await kv.get(users.key(1), type=User)).value == ada
    assert users.key(1) == ("users", 1)


async def test_ids_are_made(users: Collection[User]) -> None:
    """Without an id a new one is made; ids that were made later sort later."""
    made = []
    for number in range(5):
        made.append((await users.add(User(f"{number}"))).id)
        await asyncio.sleep(0.002)
    assert made == sorted(set(made))
    assert all(isinstance(id, str) and len(id) == 26 for id in made)
    assert await ids(users.list()) == made


async def test_outcomes_are_values(users: Collection[User]) -> None:
    """An id in use, a taken unique value, a lost version and an absent item are told, not raised."""
    await users.add(User("Ada", "ada@example.com"), id=1)
    exists = await users.add(User("Bob"), id=1)
    assert not exists
    assert exists.reason == "exists"
    taken = await users.add(User("Bob", "ada@example.com"), id=2)
    assert (taken.reason, taken.index, taken.owner) == ("taken", "email", 1)
    assert (await users.put(3, User("Eve", "ada@example.com"))).owner == 1
    assert (await users.update(2, lambda user: user)).reason == "absent"
    assert (await users.delete(2)).reason == "absent"
    assert (await users.put(1, User("Ada"), versionstamp="0" * 20)).reason == "changed"
    assert (await users.put(1, User("Ada"), versionstamp=None)).reason == "changed"
    assert (await users.delete(1, versionstamp="0" * 20)).reason == "changed"
    assert await ids(users.list()) == [1]


async def test_versions(users: Collection[User]) -> None:
    """A write with the versionstamp that was read goes through once."""
    await users.add(User("Ada"), id=1)
    item = await users.get(1)
    assert item is not None
    assert await users.put(1, User("Ada L."), versionstamp=item.versionstamp)
    assert not await users.put(1, User("Ada K."), versionstamp=item.versionstamp)
    assert await users.put(2, User("Bob"), versionstamp=None)
    item = await users.get(2)
    assert item is not None
    assert await users.delete(2, versionstamp=item.versionstamp)


async def test_find(users: Collection[User]) -> None:
    """An index finds by value and by range, in both directions; None is not in it."""
    for id, age in enumerate([30, 20, None, 40, 20]):
        await users.put(id, User(f"user {id}", age=age))
    assert await ids(users.find("age", 20)) == [1, 4]
    assert await ids(users.find("age", 21)) == []
    assert await ids(users.find("age")) == [1, 4, 0, 3]
    assert await ids(users.find("age", reverse=True)) == [3, 0, 4, 1]
    assert await ids(users.find("age", start=20, end=40)) == [1, 4, 0]
    assert await ids(users.find("age", start=21)) == [0, 3]
    assert await ids(users.find("age", end=30, limit=1)) == [1]
    assert await users.count("age", 20) == 2
    assert await users.count("age", start=21) == 2
    assert await users.count("age") == 4
    assert await users.count() == 5


async def test_find_by_several_fields(users: Collection[User]) -> None:
    """An index of several fields finds by all of them, or the first ones, and sorts by the rest."""
    for id, (name, age) in enumerate([("Ada", 30), ("Ada", 20), ("Bob", 25), ("Ada", None)]):
        await users.put(id, User(name, age=age))
    assert await ids(users.find(("name", "age"), ("Ada", 30))) == [0]
    assert await ids(users.find(("name", "age"), "Ada")) == [1, 0]
    assert await ids(users.find("name,age", ("Ada",))) == [1, 0]
    assert await ids(users.find(("name", "age"), start=("Ada", 21), end=("Bob", 25))) == [0]
    assert await ids(users.find(("name", "age"))) == [1, 0, 2]


async def test_find_in_lists(users: Collection[User]) -> None:
    """Each item of a list is indexed, once."""
    await users.put(1, User("Ada", tags=["math", "poetry", "math"]))
    await users.put(2, User("Bob", tags=["math"]))
    await users.put(3, User("Eve"))
    assert await ids(users.find("tags", "math")) == [1, 2]
    assert await ids(users.find("tags", "poetry")) == [1]
    await users.update(1, lambda user: replace(user, tags=["poetry"]))
    assert await ids(users.find("tags", "math")) == [2]


async def test_get_by(users: Collection[User]) -> None:
    """A unique index gives the one item."""
    await users.put(1, User("Ada", "ada@example.com"))
    found = await users.get_by("email", "ada@example.com")
    assert found is not None
    assert found.value.name == "Ada"
    assert await users.get_by("email", "bob@example.com") is None
    assert await ids(users.find("email")) == [1]
    assert await ids(users.find("email", start="b")) == []


async def test_unique_values_move(users: Collection[User]) -> None:
    """A value that was changed or deleted is free again, and an item may keep its own."""
    await users.put(1, User("Ada", "a@example.com"))
    assert await users.put(1, User("Ada L.", "a@example.com"))
    assert await users.update(1, lambda user: replace(user, email="b@example.com"))
    assert await users.put(2, User("Bob", "a@example.com"))
    assert await users.delete(1)
    assert await users.put(3, User("Eve", "b@example.com"))
    assert await users.put(4, User("nobody"))
    assert await users.put(5, User("nobody"))


async def test_everything_goes_with_the_item(kv: Kv, users: Collection[User]) -> None:
    """A deleted item leaves nothing in any index."""
    await users.put(1, User("Ada", "a@example.com", 3, ["x", "y"]))
    assert len(await stored(kv, "$index", 1, "users")) == 5
    await users.delete(1)
    assert await stored(kv) == [("$index", 1, "users")]


async def test_pages(users: Collection[User]) -> None:
    """A cursor goes on where an iteration ended, in both directions, by id and by index."""
    for id in range(7):
        await users.put(id, User(f"{id}", f"{id}@example.com", age=-id))
    for options in ({}, {"reverse": True}):
        for ask in (users.list, partial(users.find, "age"), partial(users.find, "email")):
            whole = await ids(ask(**options))
            assert len(whole) == 7
            pages: list[Any] = []
            cursor = ""
            while True:
                page = ask(limit=3, cursor=cursor, **options)
                pages += await ids(page)
                cursor = page.cursor
                if not cursor:
                    break
            assert pages == whole
    with pytest.raises(KvUsageError, match="out of bounds"):
        users.find("age", 1, cursor="AmIA")
    with pytest.raises(KvUsageError, match="after its first item"):
        _ = users.list().cursor


async def test_small_batches(users: Collection[User]) -> None:
    """Batches and limits change nothing but how much is read at once."""
    for id in range(25):
        await users.put(id, User(f"{id}", age=id % 3))
    assert await ids(users.find("age", batch_size=4)) == await ids(users.find("age"))
    assert await ids(users.list(batch_size=4)) == list(range(25))
    assert await ids(users.list(limit=5, batch_size=2)) == list(range(5))
    with pytest.raises(KvUsageError, match="positive"):
        users.list(limit=0)


async def test_list(kv: Kv) -> None:
    """Items are listed by id: all, a range, or those whose ids begin alike."""
    orders = kv.collection(("shop", "orders"), type=dict)
    for id in [("eu", 1), ("eu", 2), ("us", 1), 7]:
        await orders.put(id, {"id": str(id)})
    assert await ids(orders.list()) == [("eu", 1), ("eu", 2), ("us", 1), 7]
    assert await ids(orders.list(prefix="eu")) == [("eu", 1), ("eu", 2)]
    assert await ids(orders.list(start=("eu", 2), end="us")) == [("eu", 2)]
    assert await ids(orders.list(start="us", reverse=True)) == [7, ("us", 1)]
    found = await orders.get_many([7, ("eu", 2), 8, *range(20)])
    assert [item and item.id for item in found[:3]] == [7, ("eu", 2), None]
    assert len(found) == 23
    with pytest.raises(KvUsageError, match="not both"):
        orders.list(prefix="eu", start="us")
    with pytest.raises(KvKeyError, match="empty"):
        await orders.get(())


async def test_update_is_tried_again(users: Collection[User]) -> None:
    """Many updates of one item at once are all made."""
    await users.put(1, User("Ada", age=0))

    def older(user: User) -> User:
        return replace(user, age=(user.age or 0) + 1)

    changes = await asyncio.gather(*(users.update(1, older) for _ in range(50)))
    assert all(changes)
    assert await ids(users.find("age", 50)) == [1]
    assert await users.count("age") == 1


async def test_races_for_a_unique_value(users: Collection[User]) -> None:
    """Of many who want the same value exactly one gets it."""
    changes = await asyncio.gather(*(users.add(User(f"{n}", "one@example.com")) for n in range(30)))
    won = [change for change in changes if change]
    assert len(won) == 1
    assert {change.reason for change in changes if not change} == {"taken"}
    assert {change.owner for change in changes if not change} == {won[0].id}
    assert await users.count() == 1


async def test_expiry(users: Collection[User]) -> None:
    """Entries of indexes go when their item goes, and a unique value is free again."""
    await users.put(1, User("Ada", "a@example.com", 3), expire_in=timedelta(milliseconds=30))
    assert not await users.put(2, User("Bob", "a@example.com"))
    await asyncio.sleep(0.05)
    assert await ids(users.find("age", 3)) == []
    assert await users.count("age") == 0
    assert await users.put(2, User("Bob", "a@example.com"))


async def test_a_commit_of_several(kv: Kv) -> None:
    """Changes of several items and whatever else happen in one commit, or none does."""
    accounts = kv.collection("accounts", type=dict, index=["balance"], unique=["owner"])
    await accounts.put(1, {"owner": "Ada", "balance": 10})
    await accounts.put(2, {"owner": "Bob", "balance": 0})
    commit = kv.atomic().sum(("transfers",), 1)
    assert (await accounts.update(1, lambda one: one | {"balance": 5}, into=commit)).ok
    assert (await accounts.update(2, lambda one: one | {"balance": 5}, into=commit)).versionstamp is None
    assert await accounts.count("balance", 5) == 0
    assert await commit.commit()
    assert await ids(accounts.find("balance", 5)) == [1, 2]
    assert (await kv.get(("transfers",))).value == 1

    commit = kv.atomic()
    await accounts.delete(1, into=commit)
    await accounts.put(2, {"owner": "Bob", "balance": 7})
    await accounts.put(2, {"owner": "Bob", "balance": 9}, into=commit)
    await accounts.update(2, lambda one: one | {"balance": 8})
    assert not await commit.commit()
    assert await ids(accounts.find("balance")) == [1, 2]


async def test_one_change_of_an_item_in_a_commit(kv: Kv, users: Collection[User]) -> None:
    """A commit that would leave the indexes wrong is refused while it is made."""
    commit = kv.atomic()
    await users.put(1, User("Ada", "a@example.com"), into=commit)
    with pytest.raises(KvUsageError, match="once in a commit"):
        await users.put(1, User("Bob"), into=commit)
    assert (await users.put(2, User("Bob", "a@example.com"), into=commit)).reason == "taken"
    assert (await users.add(User("Eve"), id=3, into=commit)).ok
    assert await commit.commit()
    assert await ids(users.list()) == [1, 3]


async def test_values_are_checked(kv: Kv, users: Collection[User]) -> None:
    """What is not of the type is refused when it is put, and reported when it is read."""
    with pytest.raises(KvValueError, match=r"the value is not a User: .*age"):
        await users.put(1, User("Ada", age="old"))  # type: ignore[arg-type]  # what the test is about
    await kv.set(("users", 2), {"nothing": 1})
    with pytest.raises(KvValueError, match="the stored value is not a User"):
        await users.get(2)
    untyped = kv.collection("things", index=["n"])
    await untyped.put(1, {"n": 5})
    assert await ids(untyped.find("n", 5)) == [1]


async def test_what_cannot_be_indexed(users: Collection[User], kv: Kv) -> None:
    """A value that no key can hold is refused with the index's name, before anything is written."""
    with pytest.raises(KvValueError, match=r"index 'email': at most 2048"):
        await users.put(1, User("Ada", "a" * 3000))
    things = kv.collection("things", index=["x"])
    with pytest.raises(KvValueError, match="the index 'x' cannot hold a dict"):
        await things.put(1, {"x": {}})
    with pytest.raises(KvUsageError, match="no entries for None"):
        users.find("age", None)
    assert await users.count() == await things.count() == 0


class Colour(Enum):
    RED = "red"


class Address(msgspec.Struct, rename="camel"):
    zip_code: str


class Thing(msgspec.Struct, rename={"made_at": "madeAt"}):
    made_at: datetime | None = None
    day: date | None = None
    colour: Colour | None = None
    code: UUID | None = None
    size: float | None = None
    takes: timedelta | None = None
    data: bytes | None = None
    address: Annotated[Address | None, "where"] = None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("made_at", [datetime(1999, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, 12, tzinfo=UTC)]),
        ("day", [date(999, 1, 1), date(2026, 5, 1)]),
        ("colour", [Colour.RED]),
        ("code", [UUID(int=5), UUID(int=6)]),
        ("size", [-1, 0.5, 2]),
        ("takes", [timedelta(seconds=-1), timedelta(days=1)]),
        ("data", [b"\0", b"\0\1"]),
    ],
)
async def test_kinds_of_values(kv: Kv, name: str, values: list[Any]) -> None:
    """Times, enums, ids and floats are indexed in their order, and found by what they are."""
    things = kv.collection("things", type=Thing, index=[name])
    for id, value in reversed([*enumerate(values)]):
        await things.put(id, Thing(**{name: value}))
    assert await ids(things.find(name)) == list(range(len(values)))
    for id, value in enumerate(values):
        assert await ids(things.find(name, value)) == [id]


async def test_fields_inside_fields(kv: Kv) -> None:
    """A dot leads into a field's value, by the names of the type, whatever they are stored as."""
    things = kv.collection("things", type=Thing, index=["address.zip_code"])
    await things.put(1, Thing(address=Address("8000")))
    await things.put(2, Thing())
    assert await ids(things.find("address.zip_code", "8000")) == [1]
    plain = kv.collection("plain", index=["a.b"])
    await plain.put(1, {"a": {"b": 1}})
    await plain.put(2, {"a": 1})
    assert await ids(plain.find("a.b")) == [1]


class Tagged(msgspec.Struct, tag=True, array_like=True):
    a: int
    b: str = ""


class Other(msgspec.Struct, tag=True, array_like=True):
    b: str


class Typed(TypedDict):
    size: float


def test_places() -> None:
    """Each kind of type knows where its fields are stored."""
    assert declare(Tagged, ["b"], unique=True)[0].fields == (Field((2,)),)
    assert declare(Typed, ["size"], unique=False)[0].fields == (Field(("size",), "float"),)
    assert declare(dict[str, Any], [("x", "y.z")], unique=False)[0].fields == (
        Field(("x",)),
        Field(("y", "z")),
    )
    with pytest.raises(KvUsageError, match="different places"):
        declare(Tagged | Other, ["b"], unique=False)
    assert Field((5,)).find(["short"]) is None


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"index": ["nme"]}, "User has no field 'nme'; it has age, email, name, tags"),
        ({"index": ["name.first"]}, "'first' would be a field of str"),
        ({"index": "name"}, r"write \['name'\]"),
        ({"index": [""]}, "an index is a field"),
        ({"index": ["a,b"]}, "an index is a field"),
        ({"index": [()]}, "an index is a field"),
        ({"index": ["name"], "unique": ["name"]}, "'name' is declared twice"),
    ],
)
def test_mistakes_in_declarations(kv: Kv, declared: dict[str, Any], message: str) -> None:
    """A wrong index is an error where it is declared."""
    with pytest.raises(KvUsageError, match=message):
        kv.collection("users", type=User, **declared)


async def test_mistakes_in_questions(kv: Kv, users: Collection[User]) -> None:
    """A search that makes no sense says why."""
    with pytest.raises(KvUsageError, match="no index 'nme'; it declares age, tags, name,age, email"):
        users.find("nme")
    with pytest.raises(KvUsageError, match="not both"):
        users.find("age", 1, start=2)
    with pytest.raises(KvUsageError, match="has 2 fields, got 3"):
        users.find(("name", "age"), ("a", 1, 2))
    with pytest.raises(KvUsageError, match="start lies after the end"):
        users.find("age", start=2, end=1)
    with pytest.raises(KvKeyError, match="a collection has a prefix"):
        kv.collection(())


async def test_collections_do_not_meet(kv: Kv) -> None:
    """Collections whose prefixes are alike have indexes of their own."""
    prefixes: list[Any] = [("a", "x"), ("a", "y"), ("b",), ("a\0",), ("x", 1), ("x", 1.0)]
    collections = [kv.collection(prefix, index=["x", "y"]) for prefix in prefixes]
    for id, collection in enumerate(collections):
        await collection.put(id, {"x": 1})
    for id, collection in enumerate(collections):
        assert await ids(collection.find("x", 1)) == [id]


async def test_parts_that_python_takes_for_equal(kv: Kv) -> None:
    """1, 1.0 and True are three values to an index."""
    things = kv.collection("things", unique=["x"])
    for id, value in enumerate([1, 1.0, True]):
        assert await things.put(id, {"x": value})
    assert await ids(things.find("x", 1.0)) == [1]
    assert await ids(things.find("x")) == [0, 1, 2]


async def test_an_index_that_is_declared_later(kv: Kv) -> None:
    """It says that it must be built, is kept from then on, and works once it was built."""
    old: Collection[User] = kv.collection("users", type=User)
    for id in range(250):
        await old.put(id, User(f"user {id % 5}", age=id))
    new = kv.collection("users", type=User, index=["name"], unique=["age"])
    with pytest.raises(KvUsageError, match=r"await collection.reindex\(\)"):
        await ids(new.find("name", "user 1"))
    await new.put(250, User("user 1", age=1000))
    await old.put(251, User("user 1", age=1001))
    assert not await old.put(252, User("user 1", age=1001))
    built = await new.reindex()
    assert built
    assert (built.items, built.added, built.removed) == (252, 500, 0)
    assert len(await ids(new.find("name", "user 1"))) == 52
    assert await new.get_by("age", 77) == await new.get(77)
    again = await new.reindex()
    assert (again.added, again.removed) == (0, 0)


async def test_an_index_of_another_kind(kv: Kv) -> None:
    """An index that became unique is another one: it has to be built, and the old entries go."""
    before = kv.collection("users", type=User, index=["name"])
    await before.put(1, User("Ada"))
    after = kv.collection("users", type=User, unique=["name"])
    with pytest.raises(KvUsageError, match="reindex"):
        await after.get_by("name", "Ada")
    built = await after.reindex()
    assert (built.added, built.removed) == (1, 1)
    assert await ids(after.find("name")) == [1]
    assert not await after.put(2, User("Ada"))
    with pytest.raises(KvUsageError, match="reindex"):
        await ids(before.find("name"))


async def test_an_index_that_is_dropped(kv: Kv) -> None:
    """Building leaves nothing of an index that is no longer declared."""
    before = kv.collection("users", type=User, index=["name", "age"])
    await before.put(1, User("Ada", age=3))
    after = kv.collection("users", type=User, index=["age"])
    assert (await after.reindex()).removed == 1
    assert await stored(kv, "$index", 1, "users", "name") == []
    assert await ids(after.find("age", 3)) == [1]


async def test_conflicts(kv: Kv) -> None:
    """Values that are not unique are told by building, and the index is not ready until they are."""
    before = kv.collection("users", type=User)
    await before.put(1, User("Ada"))
    await before.put(2, User("Ada"))
    after = kv.collection("users", type=User, index=["age"], unique=["name"])
    built = await after.reindex()
    assert not built
    assert [(change.id, change.index, change.owner) for change in built.conflicts] in (
        [(1, "name", 2)],
        [(2, "name", 1)],
    )
    assert await ids(after.find("age")) == []
    with pytest.raises(KvUsageError, match="reindex"):
        await after.get_by("name", "Ada")
    await after.delete(2)
    assert await after.reindex()
    assert await ids(after.find("name")) == [1]


async def test_changes_behind_its_back(kv: Kv, users: Collection[User]) -> None:
    """What was written without the collection is never a wrong answer, and building repairs the indexes."""
    for id in range(4):
        await users.put(id, User("Ada", f"{id}@example.com", age=id))
    await kv.delete(("users", 1))
    await kv.set(("users", 2), User("Bob", "new@example.com", age=99))
    assert await ids(users.find("age")) == [0, 3]
    assert await users.put(7, User("Eve", "1@example.com"))
    assert await users.put(8, User("Eve", "2@example.com"))
    await users.reindex()
    assert await ids(users.find("age")) == [0, 3, 2]
    assert await ids(users.find("email", "new@example.com")) == [2]
    assert await ids(users.find("email")) == [0, 7, 8, 3, 2]


async def test_processes_learn_of_indexes(path: Path) -> None:
    """A handle that was open before another one declares an index keeps it from the next commit on."""
    async with open_kv(path) as one, open_kv(path) as two:
        plain = one.collection("users", type=User)
        await plain.put(1, User("Ada"))
        indexed = two.collection("users", type=User, index=["name"])
        await indexed.reindex()
        await plain.put(2, User("Ada"))
        await plain.delete(1)
        assert await ids(indexed.find("name", "Ada")) == [2]


async def test_building_while_others_write(kv: Kv) -> None:
    """Items that are added, changed and deleted meanwhile are in the built index exactly as they are."""
    plain = kv.collection("things")
    for id in range(300):
        await plain.put(id, {"n": id})

    async def write(task: int) -> None:
        for round_ in range(40):
            id = (task * 40 + round_) % 300
            await plain.put(id, {"n": id + 1000})
            await plain.delete((id + 150) % 300)
            await plain.put(300 + id, {"n": id})

    indexed = kv.collection("things", index=["n"])
    await asyncio.gather(indexed.reindex(), *(write(task) for task in range(4)))
    expected = sorted([(item.value["n"], item.id) async for item in plain.list()])
    assert [(item.value["n"], item.id) async for item in indexed.find("n")] == expected
    assert await indexed.count("n") == len(expected)


async def test_a_file_that_deno_shares(path: Path) -> None:
    """Numbers that JavaScript wrote are found as the numbers of the type."""
    async with open_kv(path, format="deno") as kv:
        users = kv.collection("users", type=User, index=["age"], unique=["email"])
        await users.put(1, User("Ada", "a", 36))
        await kv.set(("users", 2.0), {"name": "Bob", "email": "b", "age": 36.0, "tags": []})
        await users.reindex()
        assert await ids(users.find("age", 36)) == [1, 2.0]
        assert [item.value.age async for item in users.find("age")] == [36, 36]
        assert (await users.put(3, User("Eve", "b"))).owner == 2.0
        assert await users.delete(1)
        assert await ids(users.find("age")) == [2.0]
