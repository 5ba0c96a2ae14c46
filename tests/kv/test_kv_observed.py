"""What telemetry is told: names, counts and sizes, never keys or values."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from echelon.errors import KvValueError
from echelon.kv import open_kv
from echelon.telemetry import KV_DELIVERIES, KV_DELIVERY_SECONDS, KV_WATCH_WAKES, OFF, REGISTRY


class Span:
    """Collects its attributes."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.attributes = attributes
        self.errors: list[Any] = []

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            self.errors.append(error[0])

    def set(self, **attributes: Any) -> None:
        self.attributes |= attributes


class Recorder:
    """A telemetry that keeps what it is told."""

    def __init__(self, tracing: bool) -> None:
        self.tracing = tracing
        self.spans: list[Span] = []
        self.counts: list[str] = []
        self.observed: list[str] = []

    def span(self, name: str, **attributes: Any) -> Span:
        assert REGISTRY[name].kind == "span"
        self.spans.append(Span(attributes))
        return self.spans[-1]

    def count(self, name: str, value: float = 1, **labels: str) -> None:
        assert set(REGISTRY[name].labels) == set(labels)
        self.counts.append(labels.get("operation") or f"{name} {labels.get('result', '')}".strip())

    def observe(self, name: str, value: float, **labels: str) -> None:
        assert set(REGISTRY[name].labels) == set(labels)
        assert value > 0
        self.observed.append(labels.get("operation", name))


async def work(path: Path, telemetry: Any) -> None:
    async with open_kv(path, telemetry=telemetry) as kv:
        await kv.set(("secret-key",), "secret-value")
        await kv.get(("secret-key",))
        await kv.get_many([("secret-key",), ("b",)])
        async for _ in kv.list(prefix=()):
            pass
        await kv.delete(("secret-key",))
        await kv.atomic().check(key=("k",), versionstamp="0" * 20).set(("k",), 1).commit()
        await kv.set(("k",), 1)
        with pytest.raises(KvValueError):
            await kv.atomic().sum(("k",), 1).commit()


EXPECTED = ["set", "get", "get_many", "list", "delete", "atomic", "set", "atomic"]


async def test_counts_without_tracing(path: Path) -> None:
    """Every operation is counted and timed, failed ones too; no span is made when nobody traces."""
    telemetry = Recorder(tracing=False)
    await work(path, telemetry)
    assert [name for name in telemetry.counts if name != "sweep"] == EXPECTED
    assert telemetry.observed == telemetry.counts
    assert telemetry.spans == []


async def test_spans(path: Path) -> None:
    """With tracing every operation is a span with sizes, and neither keys nor values are in it."""
    telemetry = Recorder(tracing=True)
    await work(path, telemetry)
    assert [span.attributes["operation"] for span in telemetry.spans] == EXPECTED
    assert telemetry.spans[1].attributes == {"operation": "get", "ranges": 1, "entries": 1}
    failed_check = telemetry.spans[5].attributes
    assert failed_check == {"operation": "atomic", "checks": 1, "mutations": 1, "bytes": 10, "ok": False}
    assert [len(span.errors) for span in telemetry.spans] == [0] * 7 + [1]
    assert "secret" not in repr([span.attributes for span in telemetry.spans])


async def serve(path: Path, telemetry: Any) -> None:
    done = asyncio.Event()

    async def handle(value: str) -> None:
        if value == "secret-good":
            done.set()
        else:
            raise ValueError

    async with open_kv(path, telemetry=telemetry) as kv:
        watching = kv.watch([("secret-key",)])
        await anext(watching)
        listening = asyncio.create_task(kv.listen_queue(handle, concurrency=1))
        schedule = [timedelta(0)]
        await kv.enqueue("secret-bad", backoff_schedule=schedule, keys_if_undelivered=[("secret-key",)])
        await anext(watching)
        await watching.aclose()
        await kv.enqueue("secret-good")
        await done.wait()
    await listening


async def test_queue_and_watch(path: Path) -> None:
    """Deliveries are counted by what became of them and timed; wakes of watches are counted."""
    telemetry = Recorder(tracing=True)
    await serve(path, telemetry)
    deliveries = [name for name in telemetry.counts if "deliveries" in name]
    results = ["retried", "undelivered", "done"]
    assert deliveries == [f"{KV_DELIVERIES} {result}" for result in results]
    assert telemetry.counts.count(KV_WATCH_WAKES) == 1
    assert telemetry.counts.count("enqueue") == 2
    assert telemetry.counts.count("settle") == 3
    assert telemetry.observed.count(KV_DELIVERY_SECONDS) == 3
    spans = [span.attributes for span in telemetry.spans if "attempts" in span.attributes]
    assert [span["attempts"] for span in spans] == [0, 1, 0]
    assert "secret" not in repr([span.attributes for span in telemetry.spans])


async def test_real_telemetry(path: Path) -> None:
    """The telemetry that is off is accepted like any other."""
    await work(path, OFF)
    await serve(path, OFF)
