"""What a server of KV Connect answers, whatever carries its requests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from connect_peers import TOKEN

from echelon.errors import ConfigError, KvStorageError
from echelon.kv import U64, Kv, open_kv, v8
from echelon.kv.backend import (
    Action,
    Check,
    Commit,
    Enqueue,
    Fate,
    KeyRange,
    Lease,
    Mutation,
    Settlement,
)
from echelon.kv.codec import Encoding, encode_key
from echelon.kv.connect import access as access_module
from echelon.kv.connect import server as server_module
from echelon.kv.connect import wire
from echelon.kv.connect.access import Access
from echelon.kv.connect.server import Answer, Head, Refused, Service

ACCESS = Access(TOKEN)


@pytest.fixture
async def kv() -> AsyncIterator[Kv]:
    """A store, which the service of this module serves."""
    async with open_kv(":memory:") as store:
        yield store


@pytest.fixture
def service(kv: Kv) -> Service:
    return Service(lambda: kv.backend, ACCESS)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def data_headers(**more: str) -> dict[str, str]:
    headers = {
        **bearer(ACCESS.make_token()),
        "x-denokv-version": "3",
        "x-denokv-database-id": ACCESS.database,
    }
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


async def post(
    service: Service, path: str, body: bytes, headers: dict[str, str], *, method: str = "POST", at: str = ""
) -> Answer:
    """Send a request to a service that is served at `at`."""
    head = Head(method, path, headers.get, at + path, "http://shop.example")
    try:
        return await service.admit(head)(body)
    except Refused as exc:
        return exc.answer


async def send(service: Service, name: str, body: bytes, **headers: str) -> Answer:
    return await post(service, f"/v2/{name}", body, data_headers(**headers))


def text(answer: Answer) -> str:
    assert isinstance(answer.body, bytes)
    assert answer.media_type.startswith("text/plain")
    return answer.body.decode()


def content(answer: Answer) -> bytes:
    assert isinstance(answer.body, bytes)
    assert answer.status == 200, answer.body
    return answer.body


def put(key: tuple[Any, ...], value: bytes = b"v", encoding: int = Encoding.BYTES) -> Mutation:
    return Mutation(Action.SET, encode_key(key), value, encoding)


# Metadata ---------------------------------------------------------------------------------------------------


async def exchange(service: Service, body: bytes, path: str = "/", at: str = "") -> dict[str, Any]:
    answer = await post(service, path, body, bearer(TOKEN), at=at)
    assert (answer.status, answer.media_type) == (200, "application/json")
    document: dict[str, Any] = json.loads(content(answer))
    return document


async def test_metadata(service: Service) -> None:
    """Metadata names the version, the database, one endpoint, a token and when it ends, and nothing else."""
    document = await exchange(service, b'{"supportedVersions":[1,2,3]}')
    assert set(document) == {"version", "databaseId", "endpoints", "token", "expiresAt"}
    assert document["version"] == 3
    assert str(UUID(document["databaseId"])) == document["databaseId"]
    assert document["endpoints"] == [{"url": "./v2", "consistency": "strong"}]
    left = datetime.fromisoformat(document["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=55) < left <= timedelta(hours=1)
    assert TOKEN not in document["token"]


@pytest.mark.parametrize(
    ("at", "path", "url"),
    [("", "/", "./v2"), ("/kv", "", "./kv/v2"), ("/kv", "/", "./v2"), ("/a/db", "", "./db/v2")],
)
async def test_endpoints_are_relative(service: Service, at: str, path: str, url: str) -> None:
    """The endpoint is given relative to where the client came, so that it holds behind any proxy."""
    document = await exchange(service, b'{"supportedVersions":[3]}', path, at)
    assert document["endpoints"][0]["url"] == url


async def test_versions(service: Service) -> None:
    """The newest version that both know is taken; without a body that is 1, with an absolute endpoint."""
    assert (await exchange(service, b'{"supportedVersions":[1,2,1000]}'))["version"] == 2
    old = await exchange(service, b"", at="/kv", path="/")
    assert (old["version"], old["endpoints"][0]["url"]) == (1, "http://shop.example/kv/v2")
    refused = await post(service, "/", b'{"supportedVersions":[7]}', bearer(TOKEN))
    assert refused.status == 400
    assert "versions 1, 2 and 3" in text(refused)
    for body in (b"{", b"[]", b'{"supportedVersions":"3"}', b"\xff", b'{"supportedVersions":' + b"[" * 5000):
        bad = await post(service, "/", body, bearer(TOKEN))
        assert (bad.status, "not a metadata exchange" in text(bad)) == (400, True)


async def test_extensions_are_announced(service: Service, kv: Kv) -> None:
    """What is Echelon's own is announced in a header, and left out where it is not wanted."""
    answer = await post(service, "/", b'{"supportedVersions":[3]}', bearer(TOKEN))
    assert dict(answer.headers)[wire.EXTENSIONS] == "once,queue,native"
    plain = Service(lambda: kv.backend, ACCESS, extensions=False)
    answer = await post(plain, "/", b'{"supportedVersions":[3]}', bearer(TOKEN))
    assert answer.headers == ()
    assert (await send(plain, "dequeue", wire.encode_dequeue(wire.Dequeue(1, 1, 1)))).status == 404


# Who may come in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        "Bearer é",
    ],
)
async def test_wrong_access_token(service: Service, authorization: str) -> None:
    """Without the access token there are no metadata, and the answer does not say what it is."""
    answer = await post(service, "/", b"", {"authorization": authorization})
    assert (answer.status, text(answer)) == (401, "The access token is missing or wrong.")
    assert ("www-authenticate", "Bearer") in answer.headers


async def test_wrong_data_token(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a token from the metadata opens the data, until it ends; the access token itself does not."""
    body = wire.encode_read([KeyRange(b"\x02k\0")])
    good = ACCESS.make_token()
    end, signature = good.split(".")
    later = f"{int(end, 16) + 1000:08x}.{signature}"
    other = Access("another-token-0123").make_token()
    for token in ("", TOKEN, good[:-1], good + "A", good.upper(), later, other, ".", "f" * 5000):
        answer = await post(service, "/v2/snapshot_read", body, data_headers() | bearer(token))
        assert (answer.status, "exchange metadata first" in text(answer)) == (401, True), token
    assert (await send(service, "snapshot_read", body)).status == 200
    monkeypatch.setattr(access_module, "HONOURED_SECONDS", -1)
    assert (await send(service, "snapshot_read", body)).status == 401


async def test_any_process_knows_the_token() -> None:
    """Tokens and the id of the database follow from the access token alone."""
    other = Access(TOKEN)
    assert other.database == ACCESS.database
    assert other.check_data(f"bearer {ACCESS.make_token()}")
    chosen = Access(TOKEN, UUID(int=7))
    assert chosen.database == str(UUID(int=7))
    assert not chosen.check_data(f"Bearer {ACCESS.make_token()}")


@pytest.mark.parametrize(
    "token", ["", "short", "eleven-char", "with a blank in it", "tab\tinside-the-token", "é" * 20]
)
def test_unusable_access_tokens(token: str) -> None:
    """An access token has at least 12 characters that a header can carry."""
    with pytest.raises(ConfigError, match="at least 12 characters"):
        Access(token)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x-denokv-database-id": str(UUID(int=1))}, "id of the database"),
        ({"x-denokv-database-id": "nonsense"}, "id of the database"),
        ({"x-denokv-database-id": ""}, "id of the database"),
        ({"x-denokv-version": "4"}, "version"),
        ({"x-denokv-version": "x" * 5000}, "version"),
    ],
)
async def test_wrong_database_or_version(service: Service, headers: dict[str, str], reason: str) -> None:
    """A request for another database, or of a version that is not known, is refused."""
    answer = await post(service, "/v2/snapshot_read", b"", data_headers() | headers)
    assert (answer.status, reason in text(answer)) == (400, True)


async def test_version_one(service: Service) -> None:
    """Version 1 names the database by another header."""
    headers = {**bearer(ACCESS.make_token()), "x-transaction-domain-id": ACCESS.database.upper()}
    assert (await post(service, "/v2/snapshot_read", b"", headers)).status == 200
    assert (await post(service, "/v2/snapshot_read", b"", bearer(ACCESS.make_token()))).status == 400


async def test_wrong_place_or_method(service: Service) -> None:
    """There is nothing but the paths of the protocol, and these take POST only."""
    for path in (
        "/v2",
        "/v2/",
        "/v2/read",
        "/v3/snapshot_read",
        "/snapshot_read",
        "/v2/snapshot_read/",
        "/v2/../v2",
    ):
        assert (await post(service, path, b"", data_headers())).status == 404, path
    for path in ("/", "/v2/snapshot_read"):
        answer = await post(service, path, b"", data_headers(), method="GET")
        assert (answer.status, ("allow", "POST") in answer.headers) == (405, True)


# Data -------------------------------------------------------------------------------------------------------


async def read(service: Service, *ranges: KeyRange, **headers: str) -> list[list[Any]]:
    answer = await send(service, "snapshot_read", wire.encode_read(ranges), **headers)
    return [list(records) for records in wire.decode_read_output(content(answer)).ranges]


async def test_reads(service: Service, kv: Kv) -> None:
    """Points and ranges are read from one snapshot, in the order asked for."""
    result = await kv.atomic().set(("a", 1), b"1").set(("a", 2), b"2").commit()
    found = await read(
        service,
        KeyRange(encode_key(("a", 2))),
        KeyRange(encode_key(("b",))),
        KeyRange(encode_key(("a",)), b"\xff", 10, True),
    )
    assert [[record.value for record in records] for records in found] == [[b"2"], [], [b"2", b"1"]]
    assert found[0][0].versionstamp == result.versionstamp


async def test_values_for_javascript(service: Service, kv: Kv) -> None:
    """What Python stored is read by everybody: as V8 where JavaScript has the type, else as text or a number."""
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    values: list[tuple[Any, Any]] = [
        ({"a": [1, 1.5, None, True, "x"]}, {"a": [1, 1.5, None, True, "x"]}),
        ([moment, {1, 2}, 2**70, {1: "one"}], [moment, {1, 2}, 2**70, {1: "one"}]),
        (Decimal("1.10"), "1.10"),
        ([UUID(int=5), U64(7)], [str(UUID(int=5)), 7]),
        (
            {"day": date(2026, 1, 2), "at": datetime(2026, 1, 2)},
            {"day": "2026-01-02", "at": "2026-01-02T00:00:00"},
        ),
        ({"for": timedelta(seconds=90), "moment": moment}, {"for": 90.0, "moment": moment}),
        ({"set": {Decimal(1)}, "n": {None: Decimal(2)}}, {"set": ["1"], "n": {None: "2"}}),
    ]
    for number, (stored, expected) in enumerate(values):
        await kv.set(("v", number), stored)
        ((record,),) = await read(service, KeyRange(encode_key(("v", number))))
        assert record.encoding == Encoding.V8
        assert v8.decode(record.value) == expected
    await kv.atomic().set(("u",), U64(5)).set(("b",), b"raw").commit()
    ((u,), (b,)) = await read(service, KeyRange(encode_key(("u",))), KeyRange(encode_key(("b",))))
    assert (u.encoding, b.encoding, b.value) == (Encoding.U64, Encoding.BYTES, b"raw")


async def test_native_values(service: Service, kv: Kv) -> None:
    """A client that says it knows Python's own encoding gets and sends it; others may not send it."""
    await kv.set(("d",), Decimal("1.10"))
    ((record,),) = await read(service, KeyRange(encode_key(("d",))), x_echelon_kv="native")
    assert record.encoding == Encoding.MSGPACK
    copy = wire.encode_write(Commit((), [put(("e",), record.value, record.encoding)], 0))
    assert (await send(service, "atomic_write", copy)).status == 400
    assert (await send(service, "atomic_write", copy, x_echelon_kv="native")).status == 200
    assert (await kv.get(("e",))).value == Decimal("1.10")


async def write(service: Service, commit: Commit, **headers: str) -> wire.WriteOutput:
    answer = await send(service, "atomic_write", wire.encode_write(commit), **headers)
    return wire.decode_write_output(content(answer))


async def test_writes(service: Service, kv: Kv) -> None:
    """A commit is applied whole; a check that fails is named, and nothing is written."""
    number = Mutation(Action.SUM, encode_key(("n",)), (5).to_bytes(8, "little"), Encoding.U64)
    expiring = put(("old",))._replace(expires_at=1)
    output = await write(service, Commit((), [put(("k",)), number, number, expiring], 0))
    assert output.status == wire.SUCCESS
    entries = await kv.get_many([("k",), ("n",), ("old",)])
    assert [entry.value for entry in entries] == [b"v", U64(10), None]
    assert entries[0].versionstamp == output.result.versionstamp
    checks = [Check(encode_key(("k",)), output.result.versionstamp), Check(encode_key(("n",)), None)]
    output = await write(service, Commit(checks, [put(("x",))], 0))
    assert (output.status, output.result.failed_checks) == (wire.CHECK_FAILURE, (1,))
    assert (await kv.get(("x",))).versionstamp is None


async def test_arithmetic_that_fails(service: Service, kv: Kv) -> None:
    """A sum on something else is refused with the store's own words and the name of its error."""
    await kv.set(("k",), "text")
    number = Mutation(Action.SUM, encode_key(("k",)), (5).to_bytes(8, "little"), Encoding.U64)
    answer = await send(service, "atomic_write", wire.encode_write(Commit((), [put(("x",)), number], 0)))
    assert (answer.status, dict(answer.headers)) == (400, {wire.ERROR: "KvValueError"})
    assert "sum" in text(answer)
    assert (await kv.get(("x",))).versionstamp is None


KEY = encode_key(("k",))
TOO_MUCH = {
    "ranges": ("snapshot_read", wire.encode_read([KeyRange(KEY)] * 11)),
    "entries": ("snapshot_read", wire.encode_read([KeyRange(b"", b"\xff", 600)] * 2)),
    "no limit": ("snapshot_read", wire.encode_read([KeyRange(b"", b"\xff", 0)])),
    "negative limit": ("snapshot_read", wire.encode_read([KeyRange(b"", b"\xff", -1)])),
    "start": ("snapshot_read", wire.encode_read([KeyRange(b"k" * 2050)])),
    "end": ("snapshot_read", wire.encode_read([KeyRange(b"k", b"k" * 2050, 2)])),
    "watched": ("watch", wire.encode_watch([KEY] * 11)),
    "nothing watched": ("watch", b""),
    "watched key": ("watch", wire.encode_watch([b"k" * 2050])),
    "messages": ("dequeue", wire.encode_dequeue(wire.Dequeue(1000, 1, 1))),
    "no messages": ("dequeue", b""),
    "lease": ("dequeue", wire.encode_dequeue(wire.Dequeue(1, 2**40, 1))),
    "wait": ("dequeue", wire.encode_dequeue(wire.Dequeue(1, 1, 2**40))),
    "checks": ("atomic_write", wire.encode_write(Commit([Check(KEY, None)] * 101, (), 0))),
    "mutations": ("atomic_write", wire.encode_write(Commit((), [Mutation(Action.DELETE, KEY)] * 1001, 0))),
    "value": ("atomic_write", wire.encode_write(Commit((), [put(("k",), b"x" * 65537)], 0))),
    "size": (
        "atomic_write",
        wire.encode_write(Commit((), [put(("k", n), b"x" * 65000) for n in range(13)], 0)),
    ),
    "key": ("atomic_write", wire.encode_write(Commit((), [put(("k" * 2050,))], 0))),
    "checked key": ("atomic_write", wire.encode_write(Commit([Check(b"k" * 2049, None)], (), 0))),
    "empty key": ("atomic_write", wire.encode_write(Commit((), [put(())], 0))),
    "memory of the server": (
        "atomic_write",
        wire.encode_write(Commit((), [Mutation(Action.DELETE, b"\xffonce\0" + b"x" * 16)], 0)),
    ),
    "encoding": ("atomic_write", wire.encode_write(Commit((), [put(("k",), b"x", 9)], 0))),
    "number": ("atomic_write", wire.encode_write(Commit((), [put(("k",), b"x", Encoding.U64)], 0))),
    "payload": ("atomic_write", wire.encode_write(Commit((), (), 0, [Enqueue(b"x" * 65537, 1, 1, ())]))),
    "due before 1970": ("atomic_write", wire.encode_write(Commit((), (), 0, [Enqueue(b"x", 1, -5, ())]))),
    "backoff": ("atomic_write", wire.encode_write(Commit((), (), 0, [Enqueue(b"x", 1, 1, [1] * 11)]))),
    "backoff step": (
        "atomic_write",
        wire.encode_write(Commit((), (), 0, [Enqueue(b"x", 1, 1, [3_600_001])])),
    ),
    "undelivered": (
        "atomic_write",
        wire.encode_write(Commit((), (), 0, [Enqueue(b"x", 1, 1, (), [KEY] * 11)])),
    ),
    "undelivered key": (
        "atomic_write",
        wire.encode_write(Commit((), (), 0, [Enqueue(b"x", 1, 1, (), [b"k" * 2049])])),
    ),
}


@pytest.mark.parametrize("what", TOO_MUCH)
async def test_limits(service: Service, kv: Kv, what: str) -> None:
    """The limits of the store hold for whoever does not apply them, and nothing is written beyond them."""
    name, body = TOO_MUCH[what]
    answer = await send(service, name, body)
    assert answer.status == 400
    assert dict(answer.headers)[wire.ERROR] in ("KvLimitError", "KvKeyError", "KvValueError")
    assert len(text(answer)) < 200
    assert [entry async for entry in kv.list(prefix=())] == []


async def test_malformed_bodies(service: Service) -> None:
    """A body that is no message is refused with the reason, for every operation."""
    for name in ("snapshot_read", "atomic_write", "watch", "dequeue"):
        answer = await send(service, name, b"\x0a\xff\xff\xff\xff\x0fabc")
        assert (answer.status, "malformed" in text(answer)) == (400, True)


async def test_failures_are_not_told(kv: Kv, caplog: pytest.LogCaptureFixture) -> None:
    """What goes wrong inside is logged here, and the client learns no more than that it did."""

    class Broken:
        values = "native"

        async def read(self, _ranges: Any) -> Any:
            raise KvStorageError("/secret/path: the disk is full")

        async def write(self, _commit: Any) -> Any:
            raise RuntimeError("secret")

    service = Service(Broken, ACCESS)  # type: ignore[arg-type]
    for name in ("snapshot_read", "atomic_write"):
        answer = await send(service, name, b"")
        assert answer.status == 500
        assert "secret" not in text(answer)
    assert "the disk is full" in caplog.text
    assert "RuntimeError: secret" in caplog.text
    await kv.close()
    assert (await send(Service(lambda: kv.backend, ACCESS), "snapshot_read", b"")).status == 503


# Once -------------------------------------------------------------------------------------------------------


async def test_once(service: Service, kv: Kv) -> None:
    """A commit that is sent again with its id is not applied again, and is answered as it was."""
    number = Mutation(Action.SUM, KEY, (1).to_bytes(8, "little"), Encoding.U64)
    body = Commit([Check(encode_key(("x",)), None)], [number, put(("x",))], 0)
    first = await write(service, body, x_echelon_request="ab" * 16)
    assert first.result.ok
    for _ in range(3):
        assert await write(service, body, x_echelon_request="ab" * 16) == first
    assert (await kv.get(("k",))).value == 1
    other = await write(service, body, x_echelon_request="cd" * 16)
    assert other.result.failed_checks == (0,)
    assert [entry.key async for entry in kv.list(prefix=())] == [("k",), ("x",)]
    assert await kv.check() == []
    for identity in ("ab", "zz" * 16, "AB" * 16, "ab" * 17):
        answer = await send(service, "atomic_write", b"", x_echelon_request=identity)
        assert answer.status == 400


async def test_once_across_processes(service: Service, kv: Kv) -> None:
    """Another server on the same store knows what was applied, and a commit that failed may be tried again."""
    other = Service(lambda: kv.backend, ACCESS)
    await kv.set(("x",), 1)
    body = Commit([Check(encode_key(("x",)), None)], [put(("y",))], 0)
    assert not (await write(service, body, x_echelon_request="ab" * 16)).result.ok
    await kv.delete(("x",))
    first = await write(other, body, x_echelon_request="ab" * 16)
    assert first.result.ok
    assert await write(service, body, x_echelon_request="ab" * 16) == first


# Watching and the queue -------------------------------------------------------------------------------------


async def test_watch(service: Service, kv: Kv, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each frame has the whole state, for Echelon's own client what changed; in between there are signs of life."""
    monkeypatch.setattr(server_module, "PING_SECONDS", 0.05)
    first = await kv.set(("a",), "text")
    keys = wire.encode_watch([encode_key(("a",)), encode_key(("b",))])
    answers = [await send(service, "watch", keys), await send(service, "watch", keys, x_echelon_kv="native")]
    (all_, own) = [answer.body for answer in answers]
    for frames in (all_, own):
        assert not isinstance(frames, bytes)
        (one, record), other = await changes(frames)
        assert one
        assert record is not None
        assert record.versionstamp == first.versionstamp
        assert record.encoding == (Encoding.MSGPACK if frames is own else Encoding.V8)
        assert other == (True, None)
        assert await anext(frames) == wire.frame(b"")
    await kv.set(("b",), b"x")
    for frames in (all_, own):
        assert not isinstance(frames, bytes)
        same, (changed, record) = await changes(frames)
        assert same == (False, None) if frames is own else same[0]
        assert changed
        assert record is not None
        assert record.value == b"x"
    service.stop()
    for frames in (all_, own):
        assert not isinstance(frames, bytes)
        assert [frame async for frame in frames if frame != wire.frame(b"")] == []


async def changes(frames: AsyncIterator[bytes]) -> list[tuple[bool, Any]]:
    """Return what the next frame says that is not a mere sign of life."""
    async for frame in frames:
        found = [message for message in wire.take_frames(bytearray(frame), 1000) if message]
        if found:
            return wire.decode_watch_output(found[0]).changes
    return []


async def take(
    service: Service, limit: int = 10, lease: int = 60_000, wait: int = 0, **headers: str
) -> Answer:
    return await send(service, "dequeue", wire.encode_dequeue(wire.Dequeue(limit, lease, wait)), **headers)


async def messages(answer: Answer) -> list[Any]:
    assert not isinstance(answer.body, bytes)
    return wire.decode_messages(b"".join([piece async for piece in answer.body]))


async def enqueue(service: Service, *payloads: bytes) -> None:
    due = [Enqueue(payload, Encoding.BYTES, 1, (5,), (KEY,)) for payload in payloads]
    assert (await write(service, Commit((), (), 0, due))).result.ok


async def test_queue(service: Service) -> None:
    """Messages are handed out with all they have, and settled by commits."""
    assert await messages(await take(service)) == []
    await enqueue(service, b"1", b"2")
    one, two = await messages(await take(service, wait=5000))
    assert (one.payload, one.encoding, one.backoff, one.undelivered, one.attempts) == (
        b"1",
        3,
        (5,),
        (KEY,),
        0,
    )
    assert await messages(await take(service)) == []
    settlements = [Settlement(one.lease, Fate.DONE), Settlement(two.lease, Fate.RETRY, 2)]
    assert (await write(service, Commit((), (), 0, (), settlements))).result.ok
    lost = Commit((), [put(("x",))], 0, (), [Settlement(Lease("1", "2"), Fate.DONE)])
    assert (await write(service, lost)).result == server_module.CommitResult(None)
    (again,) = await messages(await take(service, wait=5000))
    assert (again.payload, again.attempts) == (b"2", 1)


async def test_queue_payloads_for_javascript(service: Service, kv: Kv) -> None:
    """A payload that Python enqueued is converted as values are."""
    await kv.enqueue({"n": Decimal(5)})
    (got,) = await messages(await take(service, wait=5000))
    assert (got.encoding, v8.decode(got.payload)) == (Encoding.V8, {"n": "5"})
    await kv.enqueue({"n": Decimal(6)})
    (got,) = await messages(await take(service, wait=5000, x_echelon_kv="native"))
    assert got.encoding == Encoding.MSGPACK


async def test_nobody_takes_the_messages(service: Service) -> None:
    """Messages whose taker left before the answer was sent go to the next one, uncounted."""
    await enqueue(service, b"m")
    left = await take(service, wait=5000)
    assert not isinstance(left.body, bytes)
    await anext(left.body)
    await left.body.aclose()
    (got,) = await messages(await take(service, wait=5000))
    assert (got.payload, got.attempts) == (b"m", 0)


async def test_waiting_ends(service: Service) -> None:
    """A wait for messages ends when the client is in a hurry, or the server stops."""
    for end in ("hurry", "stop"):
        answer = await take(service, wait=20_000)
        waiting = asyncio.create_task(messages(answer))
        await asyncio.sleep(0.02)
        started = time.monotonic()
        if end == "hurry" and answer.hurry is not None:
            answer.hurry()
        else:
            service.stop()
        assert await waiting == []
        assert time.monotonic() - started < 5
