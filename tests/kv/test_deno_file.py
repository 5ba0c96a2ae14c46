"""One file, two programs: what real Deno writes is read here and the reverse, also while both have it open."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from array import array
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from deno_peer import Deno, DenoError
from test_v8 import same

from echelon.errors import KvError, KvStorageError, KvValueError
from echelon.kv import U64, Kv, open_kv
from echelon.kv.backend import (
    Action,
    Bounds,
    Commit,
    Enqueue,
    Fate,
    KeyRange,
    Lease,
    Message,
    Mutation,
    Settlement,
)
from echelon.kv.codec import Encoding, decode_value, encode_key, encode_value
from echelon.kv.deno_file import DenoFileBackend
from echelon.kv.deno_queue import DENO_GRACE
from echelon.kv.sqlite import SqliteBackend
from echelon.kv.v8 import JsRegExp

VALUES: list[Any] = [
    None,
    True,
    1,
    2**80,
    -(2**80),
    1.0,
    -0.0,
    math.inf,
    math.nan,
    "",
    "latin é",
    "€ \U0001f600 \ud800",
    b"",
    b"bytes",
    U64(2**64 - 1),
    [],
    [1, 2.5, [None, "x"]],
    {},
    {"a": {"b": [1]}, "1": "index", "__proto__": "own"},
    {1: "int", 1.5: b"float", "s": None},
    {"x", 2, 2.5, b"y", (1, "z"), None},
    datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC),
    array("d", [1.5, -2.5]),
    array("Q", [2**64 - 1]),
    [b"nested"],
    JsRegExp("a+", "gi"),
]
OPEN = "state.kv = await Deno.openKv(argument);"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Kv]:
    """A file of Deno, open here."""
    async with open_kv(path, format="deno") as kv:
        yield kv


@pytest.fixture
async def engine(path: Path) -> AsyncIterator[SqliteBackend]:
    """The same without the store above it."""
    backend = await DenoFileBackend.open(path)
    yield backend
    await backend.close()


def execute(path: Path, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Do something to the file behind everybody's back."""
    file = apsw.Connection(str(path))
    file.set_busy_timeout(10_000)
    try:
        return file.execute(statement, parameters).fetchall()
    finally:
        file.close()


def milliseconds(seconds: float = 0) -> int:
    return int((time.time() + seconds) * 1000)


# Values and keys -----------------------------------------------------------------------------------------


async def test_values_written_here(deno: Deno, path: Path, store: Kv) -> None:
    """Deno finds every kind of value deeply equal to its own, in a file that was made here."""
    for number, value in enumerate(VALUES):
        await store.set(("v", number), value)
    code = """state.kv = await Deno.openKv(argument.path);
    const found = [];
    for (const [index, expected] of argument.values.entries()) {
        const { value } = await state.kv.get(["v", BigInt(index)]);
        found.push(expected instanceof Deno.KvU64 ? value.value === expected.value
            : tools.isDeepStrictEqual(value, expected));
    }
    return found;
    """
    assert await deno.run(code, {"path": str(path), "values": VALUES}) == [True] * len(VALUES)


async def test_values_written_by_deno(deno: Deno, path: Path) -> None:
    """Every kind of value that Deno wrote into a file of its own comes as the value of Python that it means."""
    code = """state.kv = await Deno.openKv(argument.path);
    for (const [index, value] of argument.values.entries()) await state.kv.set(["v", BigInt(index)], value);
    """
    await deno.run(code, {"path": str(path), "values": VALUES})
    async with open_kv(path, format="deno") as kv:
        found = [(await kv.get(("v", number))).value for number in range(len(VALUES))]
        listed = [entry.value async for entry in kv.list(prefix=("v",))]
    for value, read, also_read in zip(VALUES, found, listed, strict=True):
        assert same(read, value)
        assert same(also_read, value)


PARTS: list[Any] = [
    b"", b"\0", b"\xff", "", "\0", "a", "é", "\uffff", "\U0001f600",
    -(2**80), -256, -1, 0, 1, 255, 256, 2**64, -math.inf, -1.5, -0.0, 0.0, 1.0, math.inf, math.nan, False, True,
]  # fmt: skip


async def test_keys(deno: Deno, path: Path, store: Kv) -> None:
    """Keys of every part are the same keys on both sides, listed in the same order in both directions."""
    await store.set(("k",), "the prefix itself")
    for number, part in enumerate(PARTS):
        await store.set(("k", part), float(number))
    code = """state.kv = await Deno.openKv(argument.path);
    const list = async (...selector) => (await Array.fromAsync(state.kv.list(...selector))).map(({key}) => key);
    for (const [index, part] of argument.parts.entries()) {
        if ((await state.kv.get(["k", part])).value !== index) throw new Error("another key for " + String(part));
        await state.kv.set(["d", part], index);
    }
    return [await list({prefix: ["k"]}), await list({prefix: ["k"]}, {reverse: true, limit: 3}),
        await list({prefix: ["k"], start: ["k", 0n]}), await list({start: ["d"], end: ["k"]})];
    """
    forward, reverse, between, by_deno = await deno.run(code, {"path": str(path), "parts": PARTS})
    expected = [list(entry.key) async for entry in store.list(prefix=("k",))]
    assert same(forward, expected)
    assert same([key[1] for key in expected], PARTS)
    assert same(reverse, expected[:-4:-1])
    listing = store.list(prefix=("k",), start=("k", 0))
    assert same(between, [list(entry.key) async for entry in listing])
    assert same([key[1] for key in by_deno], PARTS)
    assert [entry.value async for entry in store.list(prefix=("d",))] == [float(n) for n in range(len(PARTS))]
    first = store.list(prefix=("d",), limit=5)
    pages = [entry.value async for entry in first]
    pages += [entry.value async for entry in store.list(prefix=("d",), cursor=first.cursor)]
    assert pages == [float(n) for n in range(len(PARTS))]


# Commits -------------------------------------------------------------------------------------------------


async def test_checks_across(deno: Deno, path: Path, store: Kv) -> None:
    """A versionstamp means the same on both sides: a check sees what the other one wrote, and stamps grow."""
    ours = await store.set(("k",), "ours")
    await deno.run(OPEN, str(path))
    entry = await deno.run('return state.kv.get(["k"]);')
    assert (entry["value"], entry["versionstamp"]) == ("ours", ours.versionstamp)
    check_and_set = """
    const check = {key: ["k"], versionstamp: argument};
    return (await state.kv.atomic().check(check).set(["k"], "theirs").commit());
    """
    theirs = await deno.run(check_and_set, ours.versionstamp)
    assert theirs["versionstamp"] > str(ours.versionstamp)
    assert (await deno.run(check_and_set, ours.versionstamp)) == {"ok": False}
    found = await store.get(("k",))
    assert (found.value, found.versionstamp) == ("theirs", theirs["versionstamp"])
    refused = await store.atomic().check(key=("k",), versionstamp=ours.versionstamp).set(("k",), 1).commit()
    assert refused.failed_checks == (0,)
    again = await store.atomic().check(found).delete(("k",)).commit()
    assert str(again.versionstamp) > theirs["versionstamp"]
    assert (await deno.run('return state.kv.get(["k"]);'))["versionstamp"] is None


async def test_arithmetic_across(deno: Deno, path: Path, store: Kv) -> None:
    """Counters are counters on both sides; min, max and wrapping too."""
    await deno.run(OPEN, str(path))
    change = """
    const u64 = (value) => new Deno.KvU64(value);
    await state.kv.atomic().sum(["s"], argument).min(["min"], argument).max(["max"], argument).commit();
    return [await state.kv.get(["s"]), await state.kv.get(["min"]), await state.kv.get(["max"])].map((e) => e.value);
    """
    await store.atomic().sum(("s",), 5).min(("min",), 5).max(("max",), 5).commit()
    assert await deno.run(change, 2**64 - 2) == [U64(3), U64(5), U64(2**64 - 2)]
    assert await deno.run(change, 1) == [U64(4), U64(1), U64(2**64 - 2)]
    await store.atomic().sum(("s",), 2).min(("min",), 0).max(("max",), 2**64 - 1).commit()
    for name, value in (("s", 6), ("min", 0), ("max", 2**64 - 1)):
        assert same((await store.get((name,))).value, U64(value))


SUMS: list[tuple[Any, Any]] = [
    (stored, operand)
    for stored in (None, 5, -(2**70), 2.5, 3.0, U64(7), "text", b"12345678", [1], True)
    for operand in (3, -3, 2**70, 0.5, 4.0, U64(2), "text", None, True)
]


async def test_sums_as_deno_makes_them(deno: Deno, path: Path, engine: SqliteBackend) -> None:
    """A sum of any two values has the result that Deno's has, or is refused as there."""
    await deno.run(OPEN, str(path))
    code = """
    const {stored, operand} = argument;
    const key = ["deno", argument.number];
    if (stored !== undefined && stored !== null) await state.kv.set(key, stored);
    try { await state.kv.atomic().mutate({type: "sum", key, value: operand}).commit(); }
    catch (error) { return {refused: error.message}; }
    return {value: (await state.kv.get(key)).value};
    """
    for number, (stored, operand) in enumerate(SUMS):
        theirs = await deno.run(code, {"stored": stored, "operand": operand, "number": number})
        key = encode_key(("here", number))
        if stored is not None:
            value, encoding = encode_value(stored, form="v8")
            await engine.write(Commit((), (Mutation(Action.SET, key, value, encoding),), 1))
        value, encoding = encode_value(operand, form="v8")
        try:
            await engine.write(
                Commit((), (Mutation(Action.SUM, key, value, encoding, None, Bounds(None, None)),), 1)
            )
        except KvValueError:
            assert "refused" in theirs, (stored, operand, theirs)
            continue
        ((record,),) = await engine.read([KeyRange(key)])
        assert same(decode_value(record.value, record.encoding), theirs["value"]), (stored, operand)


async def test_stamped_keys(deno: Deno, path: Path, engine: SqliteBackend) -> None:
    """Keys that end with their commit's versionstamp have the same form on both sides."""
    stamped = Mutation(Action.SET_STAMPED, encode_key(("log",)), b"here", Encoding.BYTES)
    ours = await engine.write(Commit((), (stamped,), 1))
    code = """
    await state.kv.atomic().set(["log", state.kv.commitVersionstamp()], "there").commit();
    return (await Array.fromAsync(state.kv.list({prefix: ["log"]}))).map((entry) => [entry.key[1], entry.versionstamp]);
    """
    await deno.run(OPEN, str(path))
    found = await deno.run(code)
    assert [key == stamp for key, stamp in found] == [True, True]
    assert found[0][0] == ours.versionstamp
    (records,) = await engine.read(
        [KeyRange(encode_key(("log",)) + b"\0", encode_key(("log",)) + b"\xff", 9)]
    )
    assert [record.key for record in records] == [encode_key(("log", stamp)) for _, stamp in found]


async def test_expiry_across(deno: Deno, path: Path, store: Kv) -> None:
    """What Deno lets expire is absent here at once; what expires from here is swept by Deno, and the reverse."""
    await deno.run(OPEN, str(path))
    await deno.run("""
        await state.kv.set(["short"], 1, {expireIn: 1});
        await state.kv.set(["long"], 2, {expireIn: 3_600_000});
    """)
    await asyncio.sleep(0.01)
    assert (await store.get(("short",))).versionstamp is None
    assert (await store.get(("long",))).value == 2.0
    assert [entry.key async for entry in store.list(prefix=())] == [("long",)]
    await store.set(("short",), 3, expire_in=timedelta(milliseconds=1))
    await store.set(("long",), 4)
    await asyncio.sleep(0.01)
    await deno.run("state.kv.close();")
    await deno.run(OPEN, str(path))  # opening sweeps
    assert await deno.run('return (await state.kv.get(["short"])).versionstamp;') is None
    assert execute(path, "select expiration_ms from kv where v_encoding = 1") == [(-1,)]
    await deno.run('await state.kv.set(["short"], 5, {expireIn: 1});')
    await asyncio.sleep(0.01)
    await store._backend.sweep()
    assert await deno.run('return (await state.kv.get(["short"])).versionstamp;') is None


async def test_both_write_at_once(deno: Deno, path: Path, store: Kv) -> None:
    """Both programs add to one counter at the same time, many at once: nothing is lost and nobody sees a lock."""
    await deno.run(OPEN, str(path))
    theirs = asyncio.create_task(
        deno.run("""
        for (let round = 0; round < 20; round++) {
            await Promise.all(Array.from({length: 10}, () => state.kv.atomic().sum(["n"], 1n).commit()));
        }
        """)
    )

    async def add() -> None:
        for _ in range(40):
            await store.atomic().sum(("n",), 1).commit()

    await asyncio.gather(*(add() for _ in range(10)))
    await theirs
    assert (await store.get(("n",))).value == 600
    assert await deno.run('return (await state.kv.get(["n"])).value;') == 600


async def test_watch_of_deno(deno: Deno, path: Path, engine: SqliteBackend) -> None:
    """A watch here is woken by what Deno commits, one snapshot for each."""
    await deno.run(OPEN, str(path))
    watching = engine.watch([encode_key(("a",)), encode_key(("b",))])
    assert await anext(watching) == [None, None]
    for number in (1.0, 2.0):
        waiting = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0.05)
        await deno.run('await state.kv.atomic().set(["a"], argument).set(["b"], argument).commit();', number)
        one, other = await asyncio.wait_for(waiting, 10)
        assert one is not None
        assert other is not None
        assert one.versionstamp == other.versionstamp
        assert decode_value(one.value, one.encoding) == number


# The queue -----------------------------------------------------------------------------------------------


async def take(engine: SqliteBackend, lease: float = 60) -> Message:
    (message,) = await asyncio.wait_for(engine.dequeue(1, lease), 20)
    return message


async def settle(engine: SqliteBackend, lease: Lease, fate: Fate, at: int = 0) -> bool:
    return (await engine.write(Commit((), (), 1, (), (Settlement(lease, fate, at),)))).ok


async def test_messages_of_deno(deno: Deno, path: Path, engine: SqliteBackend) -> None:
    """What Deno enqueues wakes a taker here and comes with its waits and keys; retries count as Deno counts."""
    await deno.run(OPEN, str(path))
    waiting = asyncio.create_task(take(engine))
    await asyncio.sleep(0.05)
    await deno.run("""
        const options = {keysIfUndelivered: [["gone", 1n], ["lost"]], backoffSchedule: [7, 8]};
        await state.kv.enqueue({to: "ada", bytes: new Uint8Array([1])}, options);
    """)
    message = await waiting
    assert decode_value(message.payload, message.encoding) == {"to": "ada", "bytes": b"\1"}
    assert (list(message.backoff), message.attempts) == ([7, 8], 0)
    assert list(message.undelivered) == [encode_key(("gone", 1)), encode_key(("lost",))]
    for attempt in (1, 2, 3):
        assert await settle(engine, message.lease, Fate.RETRY, milliseconds())
        ((waits,),) = execute(path, "select backoff_schedule from queue")
        assert waits == ("[8]" if attempt == 1 else "[]")
        message = await take(engine)
        assert (list(message.backoff), message.attempts) == ([7, 8], attempt)
    assert await settle(engine, message.lease, Fate.DONE)
    assert execute(path, "select * from queue union all select * from queue_running") == []
    await deno.run("await state.kv.enqueue(new Float64Array([5]));")
    message = await take(engine)
    assert decode_value(message.payload, message.encoding) == array("d", [5])
    await deno.run("await state.kv.enqueue(new Uint8Array([5, 6]));")
    message = await take(engine)
    assert (message.payload, message.encoding) == (b"\5\6", Encoding.BYTES)
    assert list(message.backoff) == [100, 1000, 5000, 30000, 60000]


PAYLOADS: list[Any] = [{"a": [1, 2.0, "x"]}, b"bytes", 5, "text", array("d", [1.5])]


async def test_messages_for_deno(deno: Deno, path: Path, engine: SqliteBackend) -> None:
    """What is enqueued here Deno delivers in its own time, as the values that they are."""
    messages = [Enqueue(*encode_value(value, form="v8"), milliseconds(), (10,)) for value in PAYLOADS]
    messages.append(Enqueue(*encode_value(U64(7), form="v8"), milliseconds(), ()))
    messages.append(Enqueue(*encode_value([U64(7)]), milliseconds(), ()))
    with pytest.raises(KvValueError, match="a U64 is stored as a value of its own"):
        await engine.write(Commit((), (), 1, messages))
    await engine.write(Commit((), (), 1, messages[:-1]))
    found = await deno.run(
        OPEN
        + """
        const found = [];
        await new Promise((resolve) => state.kv.listenQueue((value) => {
            found.push(value);
            if (found.length === 6) resolve();
        }));
        return found;
        """,
        str(path),
    )
    assert sorted(found, key=repr) == sorted([*PAYLOADS, 7], key=repr)
    for _ in range(200):  # the last message is noted after its handler has ended
        if not execute(path, "select * from queue union all select * from queue_running"):
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("a message is left")
    await deno.run("state.kv.close();")


REFUSE = """
await new Promise((resolve) => {
    state.kv.listenQueue(() => { setTimeout(resolve, 50); throw new Error("refused"); });
});
state.kv.close();
"""


async def test_messages_change_hands(deno: Deno, path: Path, engine: SqliteBackend) -> None:
    """A message that failed here goes on in Deno where it was, and one that failed there goes on here."""
    key = encode_key(("lost",))
    await engine.write(Commit((), (), 1, (Enqueue(b"x", Encoding.BYTES, milliseconds(), (1, 500), (key,)),)))
    message = await take(engine)
    assert await settle(engine, message.lease, Fate.RETRY, milliseconds())
    await deno.run(OPEN + REFUSE, str(path))
    message = await take(engine)
    assert (message.payload, list(message.backoff)[message.attempts :]) == (b"x", [])
    assert await settle(engine, message.lease, Fate.RETRY, milliseconds())
    await deno.run(OPEN + REFUSE, str(path))
    ((record,),) = await engine.read([KeyRange(key)])
    assert decode_value(record.value, record.encoding) == b"x"
    assert execute(path, "select * from queue union all select * from queue_running") == []


def test_waiting_for_deno_is_documented() -> None:
    """The documentation has the time that the code waits."""
    page = Path(__file__).parents[2] / "docs" / "kv.md"
    assert f"due here {DENO_GRACE // 1000} seconds after" in page.read_text()


async def test_lost_messages(path: Path, engine: SqliteBackend) -> None:
    """A lease of Deno is left alone long after its end, since Deno never extends one; then the message is lost."""
    row = "insert into queue_running values (?, ?, x'ff0f30', '[5]', '[[2,97,0]]')"
    execute(path, row, milliseconds() - DENO_GRACE + 500, "still-held")
    execute(path, row, milliseconds() - DENO_GRACE, "abandoned")
    message = await take(engine)
    assert (message.lease.id, message.attempts) == ("abandoned", 1)
    assert (list(message.backoff), list(message.undelivered)) == ([5], [b"\2a\0"])
    message = await take(engine)
    assert message.lease.id == "still-held"


async def test_deno_finds_lost_messages(deno: Deno, path: Path, engine: SqliteBackend) -> None:
    """A Deno that is started gives back what was not settled here; a late settlement then still counts."""
    await engine.write(Commit((), (), 1, (Enqueue(b"x", Encoding.BYTES, milliseconds(), (60_000,)),)))
    message = await take(engine, 0.01)
    await asyncio.sleep(0.05)
    await deno.run(OPEN + "await state.kv.get(['x']);", str(path))
    assert len(execute(path, "select * from queue")) == 1
    assert await settle(engine, message.lease, Fate.EXTEND, milliseconds(60))
    assert execute(path, "select * from queue") == []
    assert await settle(engine, message.lease, Fate.DONE)
    assert execute(path, "select * from queue_running") == []


@pytest.mark.parametrize(
    ("waits", "keys"),
    [("null", "[]"), ("5", "5"), ("[-1]", "[[256]]"), ("{", "\xff"), ("[1e400]", "[[1.5]]")],
)
async def test_damaged_messages(path: Path, engine: SqliteBackend, waits: str, keys: str) -> None:
    """A row that nobody could have written is delivered without waits and keys, and does not hold up the queue."""
    execute(path, "insert into queue values (1, 'a', x'ff0f4202', ?, ?)", waits, keys)
    message = await take(engine)
    assert (list(message.backoff), list(message.undelivered), message.encoding) == ([], [], Encoding.V8)
    assert await settle(engine, message.lease, Fate.RETRY, 1)
    done = Settlement((await take(engine)).lease, Fate.DONE)
    assert await engine.write(Commit((), (), 1, (), (done, done)))


@pytest.mark.parametrize(
    "number", ["a/b", "a/1/2,/", "a/1/2/x", "/", "//", "a/99999999999/1,/t", "a/1/2,/x/y"]
)
async def test_foreign_ids(path: Path, engine: SqliteBackend, number: str) -> None:
    """The id of a message may be any text."""
    execute(path, "insert into queue values (1, ?, x'ff0f30', '[3]', '[]')", number)
    message = await take(engine)
    assert await settle(engine, message.lease, Fate.RETRY, 1)
    again = await take(engine)
    assert (again.lease.id, again.attempts) == (message.lease.id, message.attempts + 1)
    assert await settle(engine, again.lease, Fate.DONE)


# The file ------------------------------------------------------------------------------------------------


async def test_tables_are_those_of_deno(deno: Deno, tmp_path: Path) -> None:
    """A file that is made here has the columns and indices of one that Deno makes."""
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    async with open_kv(ours, format="deno"):
        pass
    await deno.run(OPEN + "state.kv.close();", str(theirs))
    tables = ("migration_state", "data_version", "kv", "queue", "queue_running")
    for table in tables:
        for pragma in ("table_info", "index_list"):
            question = f"select * from pragma_{pragma}('{table}')"
            assert execute(ours, question) == execute(theirs, question)
    for question in ("select name from sqlite_schema order by 1", "select * from migration_state"):
        assert execute(ours, question) == execute(theirs, question)
    for pragma in ("application_id", "user_version", "page_size", "journal_mode", "encoding", "auto_vacuum"):
        assert execute(ours, f"pragma {pragma}") == execute(theirs, f"pragma {pragma}")


async def test_files_of_an_older_deno(deno: Deno, path: Path) -> None:
    """The tables of Deno's first versions are brought forward as Deno does it, and keep what they hold."""
    async with open_kv(path, format="deno") as kv:
        await kv.set(("k",), "old")
    execute(path, "drop table queue; drop table queue_running; drop index kv_expiration_ms_idx")
    execute(path, "alter table kv drop column seq; alter table data_version drop column seq")
    execute(path, "alter table kv drop column expiration_ms; update migration_state set version = 1")
    async with open_kv(path, format="deno") as kv:
        assert (await kv.get(("k",))).value == "old"
        await kv.set(("k",), "new", expire_in=timedelta(hours=1))
    await deno.run(OPEN, str(path))
    assert await deno.run('return (await state.kv.get(["k"])).value;') == "new"


CRASH = """
import functools, sys
import crash_driver
crash_driver.open_kv = functools.partial(crash_driver.open_kv, format="deno")
crash_driver.main(sys.argv[1], 25, "full")
"""


async def test_killed_writers(path: Path) -> None:
    """After a kill -9 at any moment every acknowledged commit is there, whole, and the file is sound."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CRASH, path, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parent
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    assert json.loads(output)["acknowledged"] > 50


async def refuses(path: Path, **options: Any) -> str:
    with pytest.raises(KvStorageError) as caught:
        await open_kv(path, **options)
    return str(caught.value)


async def test_other_files(tmp_path: Path) -> None:
    """A file that is opened in the wrong format is refused with what to write, and left as it is."""
    ours, theirs, other, newer = (tmp_path / name for name in ("ours", "theirs", "other", "newer"))
    async with open_kv(ours), open_kv(theirs, format="deno"), open_kv(newer, format="deno"):
        pass
    execute(other, "create table migration_state(k, version)")
    execute(newer, "update migration_state set version = 4")
    before = [file.read_bytes() for file in (ours, theirs, other)]
    assert 'a store of Echelon, not of Deno; open it without format="deno"' in await refuses(
        ours, format="deno"
    )
    assert 'a file of Deno KV; open it with format="deno"' in await refuses(theirs)
    assert "not a file of Deno KV" in await refuses(other, format="deno")
    assert "another program" in await refuses(other)
    assert "newer Deno" in await refuses(newer, format="deno")
    assert [file.read_bytes() for file in (ours, theirs, other)] == before
    for damage in ("delete from migration_state", "delete from data_version", "drop table queue_running"):
        async with open_kv(tmp_path / damage, format="deno"):
            pass
        execute(tmp_path / damage, damage)
        await refuses(tmp_path / damage, format="deno")


async def test_columns_of_any_type(path: Path, engine: SqliteBackend) -> None:
    """Deno's columns take anything; what a hostile file holds is an entry that cannot be read, or none."""
    execute(path, "insert into kv values (x'01', 'text', 3, 1, 0, -1), (x'02', 5, 'x', 'y', 0, 'z')")
    execute(path, "insert into kv values ('key', x'00', 3, 1, 0, -1)")
    (records,) = await engine.read([KeyRange(b"\0", b"\xff", 10)])
    assert [(record.key, record.value) for record in records] == [(b"\1", b"text"), (b"\2", b"5")]
    with pytest.raises(KvError):
        decode_value(records[1].value, records[1].encoding)
    assert await engine.sweep() > 0


async def test_what_deno_cannot_hold(store: Kv, engine: SqliteBackend) -> None:
    """Values over Deno's limit and of types that V8 lacks are refused before anything is written."""
    with pytest.raises(KvValueError, match="at most 65536"):
        await store.set(("k",), "x" * 65_600)
    large = (Mutation(Action.SET, b"k", bytes(65_537), Encoding.BYTES),)
    with pytest.raises(KvValueError, match="a file of Deno holds values of at most 65536 bytes"):
        await engine.write(Commit((), large, 1))
    message = Enqueue(bytes(65_537), Encoding.BYTES, 1, ())
    with pytest.raises(KvValueError, match="a file of Deno holds"):
        await engine.write(Commit((), (), 1, (message,)))
    with pytest.raises(KvValueError, match="V8 has no timedelta"):
        await store.atomic().set(("a",), 1).set(("k",), [timedelta(1)])
    native = Mutation(Action.SET, encode_key(("native",)), *encode_value([1, "x"]))
    assert await engine.write(Commit((), (native,), 1))
    assert (await store.get(("native",))).value == [1, "x"]
    assert [entry.key async for entry in store.list(prefix=())] == [("native",)]


async def test_values_only_deno_has(deno: Deno, path: Path, store: Kv) -> None:
    """One entry that Python cannot hold says so, and hides no other."""
    await deno.run(OPEN, str(path))
    await deno.run("""
        const cycle = []; cycle.push(cycle);
        await state.kv.set(["cycle"], cycle);
        await state.kv.set(["fine"], 1n);
    """)
    with pytest.raises(KvValueError, match="contains itself"):
        await store.get(("cycle",))
    assert (await store.get(("fine",))).value == 1
    with pytest.raises(DenoError, match="could not be cloned"):
        await deno.run('await state.kv.set(["f"], () => 1);')
