"""Named queues in the one queue of the store: each message says which handler of the application it is for."""

from __future__ import annotations

import inspect
import logging
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from echelon.jobs.handlers import Call, Delivery
from echelon.kv import Atomic, CommitResult, Key, Kv
from echelon.kv.backend import Message
from echelon.kv.codec import convert_value, decode_value
from echelon.kv.layout import new_id
from echelon.kv.queue import Postponed
from echelon.telemetry.names import (
    QUEUE_MESSAGE,
    QUEUE_MESSAGE_SECONDS,
    QUEUE_MESSAGES,
    QUEUE_WAIT_SECONDS,
)

if TYPE_CHECKING:
    from echelon.telemetry import Telemetry

NAME: Final = "$queue"
"""The name in a message under which that of its queue stands."""

UNNAMED: Final = ""
"""The queue of messages that `kv.enqueue()` sent as they are."""

POSTPONE_SECONDS: Final = (10.0, 20.0)
"""When a message comes again for which no handler is here: another process may have one, or a new version."""

_log = logging.getLogger("echelon.jobs")


@dataclass(frozen=True, slots=True)
class QueueHandler:
    """What handles the messages of one queue, and how these are sent."""

    name: str
    call: Call
    backoff_schedule: Sequence[timedelta] | None = None
    undelivered: Key | None = None

    def read(self, value: Any, encoding: int) -> Any:
        """Return a message as the type that the handler takes; raises KvValueError."""
        wanted = self.call.message.type if self.call.message is not None else Any
        if wanted in (Any, inspect.Parameter.empty):
            return value
        return convert_value(value, wanted, encoding, "the message")


class QueueRunner:
    """Handles messages in one worker."""

    def __init__(
        self, kv: Kv, handlers: Mapping[str, QueueHandler], concurrency: int, telemetry: Telemetry
    ) -> None:
        self._handlers = handlers
        self._telemetry = telemetry
        self._unknown: set[str] = set()
        self._listener = kv.listener(lambda message: message, self._deliver, concurrency)

    async def serve(self) -> None:
        """Take messages until `stop()`."""
        await self._listener.run()

    async def stop(self, grace: float) -> None:
        """Take no more messages; after `grace` seconds give back those whose handlers still run."""
        await self._listener.stop(grace)

    async def _deliver(self, message: Message) -> None:
        name, value = _open(decode_value(message.payload, message.encoding))
        handler = self._handlers.get(name)
        if handler is None:
            self._postpone(name)
        else:
            await self._handle(handler, message, value)

    def _postpone(self, name: str) -> None:
        self._telemetry.count(QUEUE_MESSAGES, queue=name, result="unknown")
        if name not in self._unknown and len(self._unknown) < 1000:
            self._unknown.add(name)
            _log.warning(
                "there are messages for the queue %r, which has no handler here; they are kept", name
            )
        raise Postponed(random.uniform(*POSTPONE_SECONDS))  # noqa: S311 - jitter, not a secret

    async def _handle(self, handler: QueueHandler, message: Message, value: Any) -> None:
        telemetry, name = self._telemetry, handler.name
        telemetry.observe(QUEUE_WAIT_SECONDS, max(0.0, time.time() - message.due / 1000), queue=name)
        due = datetime.fromtimestamp(message.due / 1000, UTC)
        result, started = "stopped", time.perf_counter()
        try:
            with telemetry.span(QUEUE_MESSAGE, queue=name, attempt=message.attempts + 1):
                await handler.call.run(
                    Delivery(name, message.attempts + 1, due), handler.read(value, message.encoding)
                )
            result = "done"
        except Exception as exc:
            result = "failed"
            exc.add_note(f"(while a message of the queue {name!r} was handled)")
            raise
        finally:
            telemetry.count(QUEUE_MESSAGES, queue=name, result=result)
            telemetry.observe(QUEUE_MESSAGE_SECONDS, time.perf_counter() - started, queue=name)


async def send(
    kv: Kv,
    queue: str,
    handler: QueueHandler | None,
    value: Any,
    *,
    delay: timedelta | None,
    backoff_schedule: Sequence[timedelta] | None,
    keys_if_undelivered: Iterable[Key],
    into: Atomic | None,
) -> CommitResult | None:
    """Send a message to a queue, as its handler says where the call does not."""
    keys = [*keys_if_undelivered]
    if handler is not None:
        backoff_schedule = handler.backoff_schedule if backoff_schedule is None else backoff_schedule
        keys += [] if keys or handler.undelivered is None else [(*handler.undelivered, new_id())]
    commit = kv.atomic() if into is None else into
    commit.enqueue(
        {NAME: queue, "value": value},
        delay=delay,
        backoff_schedule=backoff_schedule,
        keys_if_undelivered=keys,
    )
    return await commit.commit() if into is None else None


def _open(value: Any) -> tuple[str, Any]:
    """Return the queue that a message is for, and what it says."""
    if isinstance(value, dict) and value.keys() == {NAME, "value"} and isinstance(value[NAME], str):
        return value[NAME], value["value"]
    return UNNAMED, value
