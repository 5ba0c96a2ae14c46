"""Queue handlers of an application: what they get, and what becomes of messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from jobs_samples import MakeApp, until

from echelon import Application, Kv, Runtime
from echelon.errors import RouteError
from echelon.http import blocking
from echelon.jobs import Delivery
from echelon.kv import open_kv


class Mail(msgspec.Struct):
    to: str
    copies: int = 1


async def test_a_message_is_handled(make: MakeApp) -> None:
    """A handler gets the message as its type, components and the delivery by theirs."""
    app, seen = make(), []

    @app.queue("emails")
    async def send(mail: Mail, kv: Kv, wasm: Runtime, delivery: Delivery) -> None:
        seen.append((mail, kv is app.kv, wasm is app.wasm, delivery))

    async with app:
        before = datetime.now(UTC)
        result = await app.enqueue("emails", Mail("ada@example.com"))
        assert result is not None
        assert result.ok
        await until(lambda: seen)
    mail, has_kv, has_wasm, delivery = seen[0]
    assert (mail, has_kv, has_wasm) == (Mail("ada@example.com"), True, True)
    assert (delivery.queue, delivery.attempt) == ("emails", 1)
    assert abs(delivery.due - before) < timedelta(seconds=1)


async def test_queues_by_function(make: MakeApp) -> None:
    """Without a name a queue has that of its function, and the function sends to it."""
    app, seen = make(), []

    @app.queue
    async def resize(image: str) -> None:
        seen.append(("resize", image))

    @app.queue("other", timeout=timedelta(seconds=5))
    async def anything(message: Any) -> None:
        seen.append(("other", message))

    async with app:
        await app.enqueue(resize, "a.png")
        await app.enqueue("resize", "b.png")
        await app.enqueue(anything, {"x": {1, 2}})
        await until(lambda: len(seen) == 3)
        with pytest.raises(RouteError, match=r"until\(\) is the handler of no queue"):
            await app.enqueue(until, 1)
    assert sorted(seen, key=str) == [("other", {"x": {1, 2}}), ("resize", "a.png"), ("resize", "b.png")]


async def test_plain_functions(make: MakeApp) -> None:
    """A function that is not async is called, too, and in a thread when it is marked as blocking."""
    app, seen = make(), []

    @app.queue("quick")
    def quick(message: int) -> None:
        seen.append((message, asyncio.get_running_loop() is not None))

    @app.queue("slow")
    @blocking
    def slow(message: int) -> None:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        seen.append((message, False))

    async with app:
        await app.enqueue("quick", 1)
        await app.enqueue("slow", 2)
        await until(lambda: len(seen) == 2)
    assert sorted(seen) == [(1, True), (2, False)]


async def test_messages_of_others(make: MakeApp) -> None:
    """What was enqueued without a name goes to the handler of the queue ""."""
    app, seen = make(), []

    @app.queue("")
    async def plain(message: Any, delivery: Delivery) -> None:
        seen.append((message, delivery.queue))

    async with app:
        await app.kv.enqueue({"$queue": "x"})
        await until(lambda: seen)
    assert seen == [({"$queue": "x"}, "")]


async def test_a_message_in_a_commit(make: MakeApp) -> None:
    """`into` sends the message if its commit is made."""
    app, seen = make(), []

    @app.queue("emails")
    async def send(mail: Mail) -> None:
        seen.append(mail.to)

    async with app:
        commit = app.kv.atomic().set(("order", 1), "new")
        assert await app.enqueue("emails", Mail("a"), into=commit) is None
        assert await commit.commit()
        lost = app.kv.atomic().check(key=("order", 1), versionstamp=None)
        await app.enqueue("emails", Mail("b"), into=lost)
        assert not await lost.commit()
        await app.enqueue("emails", Mail("c"))
        await until(lambda: len(seen) == 2)
    assert seen == ["a", "c"]


async def test_delay(make: MakeApp) -> None:
    """A message waits for its time."""
    app, seen = make(), []

    @app.queue("later")
    async def later(name: str) -> None:
        seen.append(name)

    async with app:
        await app.enqueue("later", "second", delay=timedelta(milliseconds=80))
        await app.enqueue("later", "first")
        await until(lambda: len(seen) == 2)
    assert seen == ["first", "second"]


async def test_failures_are_repeated(make: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that raises gets the message again, as often as its schedule says; the log names the queue."""
    app, seen = make(), []

    @app.queue("flaky", backoff_schedule=[timedelta(0), timedelta(milliseconds=20)])
    async def flaky(message: str, delivery: Delivery) -> None:
        seen.append(delivery.attempt)
        if delivery.attempt < 3:
            raise ValueError("not yet")

    async with app:
        await app.enqueue("flaky", "secret-content")
        await until(lambda: len(seen) == 3)
    assert seen == [1, 2, 3]
    assert "while a message of the queue 'flaky' was handled" in caplog.text
    assert "secret-content" not in caplog.text


async def test_undelivered_messages(make: MakeApp) -> None:
    """In the end a message is kept where its handler says, or its sender."""
    app = make()

    @app.queue("bad", backoff_schedule=[], undelivered=("failed", "bad"))
    async def bad(message: Any) -> None:
        raise ValueError

    async def kept() -> list[Any]:
        return [(entry.key, entry.value) async for entry in app.kv.list(prefix=("failed",))]

    async with app:
        await app.enqueue(bad, 1)
        await app.enqueue(bad, 2)
        await app.enqueue(bad, 3, keys_if_undelivered=[("failed", "mine")])
        async with asyncio.timeout(10):
            while len(await kept()) < 3:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        found = await kept()
    assert sorted(value["value"] for _, value in found) == [1, 2, 3]
    assert {value["$queue"] for _, value in found} == {"bad"}
    assert found[-1][0] == ("failed", "mine")
    assert {len(key) for key, _ in found[:2]} == {3}


async def test_a_message_of_another_type(make: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """What does not fit the handler's type is a failure that says where."""
    app, seen = make(), []

    @app.queue("emails", backoff_schedule=[])
    async def send(mail: Mail) -> None:
        seen.append(mail)

    async with app:
        await app.enqueue("emails", {"to": 5})
        await until(lambda: "the message is not a Mail" in caplog.text)
        await app.enqueue("emails", {"to": "ada"})
        await until(lambda: seen)
    assert seen == [Mail("ada")]


async def test_a_timeout(make: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that takes too long is cut off, which is a failure."""
    app, seen = make(), []

    @app.queue("slow", timeout=timedelta(milliseconds=30), backoff_schedule=[timedelta(0)])
    async def slow(message: Any, delivery: Delivery) -> None:
        if delivery.attempt == 1:
            await asyncio.sleep(60)
        seen.append(delivery.attempt)

    async with app:
        await app.enqueue("slow", None)
        await until(lambda: seen)
    assert seen == [2]
    assert "TimeoutError" in caplog.text


async def test_unknown_queues_are_kept(
    make: MakeApp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message for a queue without a handler here stays for a process that has one, however long that takes."""
    monkeypatch.setattr("echelon.jobs.queue.POSTPONE_SECONDS", (0.01, 0.02))
    old, seen = make(), []

    @old.queue("known")
    async def known(message: Any) -> None:
        raise AssertionError

    async with old:
        await old.enqueue("new", 1, backoff_schedule=[])
        await asyncio.sleep(0.2)
    assert caplog.text.count("the queue 'new', which has no handler here") == 1
    new = make()

    @new.queue("new")
    async def handle(message: Any, delivery: Delivery) -> None:
        seen.append((message, delivery.attempt))

    async with new:
        await until(lambda: seen)
    assert seen == [(1, 1)]


async def test_concurrency(make: MakeApp) -> None:
    """No more handlers run at once than the configuration allows."""
    app = make(**{"kv.queue_concurrency": 3})
    running = most = done = 0

    @app.queue("work")
    async def work(message: Any) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        done += 1

    async with app:
        for number in range(12):
            await app.enqueue("work", number)
        await until(lambda: done == 12)
    assert most == 3


async def test_a_process_that_takes_none(make: MakeApp) -> None:
    """With a concurrency of 0 messages are sent and left to others."""
    app = make(**{"kv.queue_concurrency": 0})

    @app.queue("work")
    async def work(message: Any) -> None:
        raise AssertionError

    async with app:
        await app.enqueue("work", 1)
        await asyncio.sleep(0.1)


async def test_stopping_lets_handlers_finish(make: MakeApp) -> None:
    """At the end a handler that runs has its time, and no new one begins."""
    app, seen = make(), []
    began = asyncio.Event()

    @app.queue("work")
    async def work(message: Any, kv: Kv) -> None:
        began.set()
        await asyncio.sleep(0.1)
        await kv.set(("done",), message)
        seen.append(message)

    async with app:
        await app.enqueue("work", 1)
        await began.wait()
    assert seen == [1]
    async with open_kv(app.config.kv.path) as kv:
        assert (await kv.get(("done",))).value == 1


async def test_stopping_gives_back(make: MakeApp) -> None:
    """A handler that does not end in time is cancelled, and its message is handled by whoever comes next."""
    app, seen = make(**{"server.shutdown_time": 0.05}), []
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def work(message: Any, delivery: Delivery) -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    app.queue("work")(work)
    async with app:
        await app.enqueue("work", 1)
        await began.wait()
    assert cancelled.is_set()
    other = make()

    @other.queue("work")
    async def again(message: Any, delivery: Delivery) -> None:
        seen.append((message, delivery.attempt))

    async with other:
        await until(lambda: seen, 2)
    assert seen == [(1, 1)]


async def test_no_handlers_no_listener(make: MakeApp) -> None:
    """An application without handlers leaves the queue alone."""
    app, seen = make(), []

    async def take(message: Any) -> None:
        seen.append(message)

    async with app:
        listening = asyncio.create_task(app.kv.listen_queue(take))
        await app.enqueue("x", 1)
        await app.kv.enqueue(2)
        await until(lambda: len(seen) == 2)
        listening.cancel()
    assert seen == [{"$queue": "x", "value": 1}, 2]


async def nothing() -> None: ...
async def two(a: Any, b: Any) -> None: ...
async def unknown(message: Any, app: Application) -> None: ...
async def positional(message: Any, /) -> None: ...


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (lambda app: app.queue("q")(nothing), r"queue 'q': nothing\(\) has no parameter for the message"),
        (
            lambda app: app.queue("q")(two),
            r"queue 'q': parameter \"b\" of two\(\) cannot be filled: a job gets the mess",
        ),
        (lambda app: app.queue("q")(unknown), r"components \(Delivery, Kv, Runtime\)"),
        (lambda app: app.queue("q")(positional), "take parameters by name only"),
        (lambda app: app.queue("a\nb")(two), "printable characters"),
        (lambda app: app.queue("q", timeout=5)(two), "timeout is a positive timedelta, got 5"),
        (
            lambda app: [app.queue("q")(unknown_free), app.queue("q")(unknown_free)],
            "there is one of that name",
        ),
    ],
)
def test_mistakes(make: MakeApp, register: Callable[[Application], Any], message: str) -> None:
    """A handler that cannot be called is an error where it is registered."""
    with pytest.raises(RouteError, match=message):
        register(make())


async def unknown_free(message: Any, limit: int = 5) -> None: ...


async def test_after_the_start(make: MakeApp) -> None:
    """Handlers are registered before the application starts."""
    app = make()
    async with app:
        with pytest.raises(RouteError, match="the application has started"):
            app.queue("q")(unknown_free)


async def test_telemetry(make: MakeApp) -> None:
    """Each queue is counted by name and result, with the time its handlers took; never what messages say."""
    app = make()
    seen = []

    @app.queue("good")
    async def good(message: Any) -> None:
        seen.append(message)

    @app.queue("bad", backoff_schedule=[])
    async def bad(message: Any) -> None:
        seen.append(message)
        raise ValueError(message)

    async with app:
        await app.enqueue("good", "secret-1")
        await app.enqueue("bad", "secret-2")
        await until(lambda: len(seen) == 2)
        await asyncio.sleep(0.05)
        text = app.telemetry.render()
    assert 'echelon_queue_messages_total{queue="good",result="done"} 1' in text
    assert 'echelon_queue_messages_total{queue="bad",result="failed"} 1' in text
    assert 'echelon_queue_message_seconds_count{queue="good"} 1' in text
    assert 'echelon_queue_wait_seconds_count{queue="good"} 1' in text
    assert "secret" not in text


async def test_what_nobody_expects(
    make: MakeApp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in the machinery itself is logged, and taking messages goes on."""
    monkeypatch.setattr("echelon.jobs.registry._PAUSE_SECONDS", 0.01)
    app, seen = make(), []

    @app.queue("q")
    async def handle(message: Any) -> None:
        seen.append(message)

    from echelon.jobs.queue import QueueRunner

    serve: Callable[[QueueRunner], Awaitable[None]] = QueueRunner.serve
    failures = [RuntimeError("broken")]

    async def fail_once(self: QueueRunner) -> None:
        if failures:
            raise failures.pop()
        await serve(self)

    monkeypatch.setattr(QueueRunner, "serve", fail_once)
    with caplog.at_level(logging.ERROR):
        async with app:
            await app.enqueue("q", 1)
            await until(lambda: seen)
    assert "the queue stopped; it goes on" in caplog.text
