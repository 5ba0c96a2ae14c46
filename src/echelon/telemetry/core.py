"""The object through which every component tells what it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from echelon.errors import ConfigError, MissingExtra
from echelon.telemetry import names
from echelon.telemetry.logs import Notices
from echelon.telemetry.metrics import MOST, Metrics, render
from echelon.telemetry.spans import NO_SPAN, Attribute, Span

if TYPE_CHECKING:
    from echelon.config import TelemetryConfig
    from echelon.telemetry.shared import Shared
    from echelon.telemetry.tracing import GetHeader, Tracing

FLUSH_TIME = 3.0
"""Seconds that closing waits for a collector."""

DEFAULT_TARGET = "http://localhost:4318"


class _Export(Protocol):
    """Something that has to be sent before the end; both methods block."""

    def shutdown(self) -> None: ...
    def abandon(self) -> None: ...


class Telemetry:
    """Spans, counts, and their way out. `Telemetry()` is off, `Telemetry.start(config)` does what that says.

    One for each application. Counting is safe from any thread; a span belongs to the task that enters it.
    """

    __slots__ = ("_exports", "_metrics", "_notices", "_shared", "_tracing", "counting", "tracing")

    def __init__(self) -> None:
        self.tracing = False
        """Whether spans are exported: check it before doing any work for one."""
        self.counting = False
        """Whether numbers are kept: check it before reading a clock for one."""
        self._metrics: Metrics | None = None
        self._tracing: Tracing | None = None
        self._shared: Shared | None = None
        self._exports: list[_Export] = []
        self._notices: Notices | None = None

    @classmethod
    def start(cls, config: TelemetryConfig, state_dir: Path | None = None) -> Telemetry:
        """Begin to trace and count as configured.

        With a state directory the numbers of all worker processes of one server are summed up. Raises
        MissingExtra when an exporter is not installed, ConfigError when the directory cannot be written.
        """
        self = cls()
        if config.metrics != "none":
            self._metrics = Metrics()
            self.counting = True
        if config.metrics == "prometheus" and state_dir is not None:
            self._share(state_dir / "metrics")
        try:
            self._connect(config)
        except BaseException:
            if self._shared is not None:
                self._shared.close()
            raise
        return self

    def span(self, name: str, /, **attributes: Attribute) -> Span:
        """Return a span below the current one, to be used in a `with`."""
        if self._tracing is None:
            return NO_SPAN
        return self._tracing.span(name, attributes)

    def request_span(self, header: GetHeader, /, **attributes: Attribute) -> Span:
        """Return the span of an HTTP request, below the client's when its `traceparent` says so.

        `header` gives the value of a header by its lower-case name, or None.
        """
        if self._tracing is None:
            return NO_SPAN
        return self._tracing.request_span(names.HTTP_REQUEST, header, attributes)

    def count(self, name: str, value: float = 1, /, **labels: str) -> None:
        """Add to a counter; raises ValueError for a name or labels that are not registered."""
        metrics = self._metrics
        if metrics is None:
            return
        try:
            numbers = metrics.counters[name][tuple(labels.items())]
        except KeyError:
            numbers = metrics.find(name, "counter", labels)
        if not 0 <= value < MOST:
            raise ValueError(f"{name}: {value!r} cannot be added")
        numbers[0] += value

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add to a histogram, in seconds; raises ValueError for a name or labels that are not registered."""
        metrics = self._metrics
        if metrics is None:
            return
        try:
            numbers = metrics.histograms[name][tuple(labels.items())]
        except KeyError:
            numbers = metrics.find(name, "histogram", labels)
        if not 0 <= value < MOST:
            raise ValueError(f"{name}: {value!r} cannot be added")
        numbers[bisect_left(names.REGISTRY[name].buckets, value)] += 1
        numbers[-1] += value

    def bind_count(self, name: str, /, **labels: str) -> Callable[[float], None]:
        """Return a function that adds to one counter: half the cost of `count`."""
        return _nothing if self._metrics is None else self._metrics.bind_count(name, labels)

    def bind_observe(self, name: str, /, **labels: str) -> Callable[[float], None]:
        """Return a function that adds to one histogram: half the cost of `observe`."""
        return _nothing if self._metrics is None else self._metrics.bind_observe(name, labels)

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Read a gauge by calling `read`, which must be quick and safe from any thread."""
        if self._metrics is not None:
            self._metrics.gauge(name, read)

    def render(self) -> str:
        """Return the metrics as Prometheus text, summed over the workers; CONTENT_TYPE is its media type."""
        if self._metrics is None:
            return ""
        return render(self._shared.collect() if self._shared is not None else self._metrics.collect())

    async def close(self, within: float = FLUSH_TIME) -> None:
        """Send what is waiting, for at most `within` seconds, and stop. Closing twice is a no-op."""
        exports, self._exports = self._exports, []
        notices, self._notices = self._notices, None
        running = list(exports)

        def ended() -> None:
            running.pop()
            if not running and notices is not None:  # what was given up complains until its thread ends
                notices.remove()

        await asyncio.gather(*(_finish(export, within, ended) for export in exports))
        self.tracing = self.counting = False
        self._tracing = None
        if self._shared is not None:
            await asyncio.to_thread(self._shared.close)
            self._shared = None
        self._metrics = None

    def _share(self, folder: Path) -> None:
        from echelon.telemetry.shared import Shared

        if self._metrics is None:
            return
        try:
            self._shared = Shared(folder, self._metrics.collect)
        except OSError as exc:
            raise ConfigError(f"state: {folder} cannot be written: {exc.strerror}", key="state") from exc

    def _connect(self, config: TelemetryConfig) -> None:
        """Load OpenTelemetry, only if something is exported through it."""
        if config.traces == "none" and config.metrics != "otlp":
            return
        import uuid  # here, for they cost as much time to load as all the rest of this package
        from importlib.metadata import version

        try:
            from opentelemetry.sdk.resources import Resource

            from echelon.telemetry.tracing import Tracing
        except ImportError as exc:
            raise MissingExtra("opentelemetry-sdk", "telemetry") from exc
        # OTEL_SERVICE_NAME counts where nothing else was configured.
        default = config.service_name == "echelon"
        service = os.environ.get("OTEL_SERVICE_NAME") if default else None
        resource = Resource.create(
            {
                "service.name": service or config.service_name,
                "service.version": version("echelon"),
                "service.instance.id": str(uuid.uuid4()),
            }
        )
        try:
            if config.traces != "none":
                self._tracing = Tracing(config, resource)
                self._exports.append(self._tracing)
                self.tracing = True
            if config.metrics == "otlp" and self._metrics is not None:
                from echelon.telemetry.export import MetricExport

                self._exports.append(MetricExport(config, resource, self._metrics.collect))
        except ImportError as exc:
            raise MissingExtra("opentelemetry-exporter-otlp-proto-http", "telemetry") from exc
        environ = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        self._notices = Notices(config.endpoint or environ or DEFAULT_TARGET)
        self._notices.install()


OFF = Telemetry()
"""Does nothing, at nearly no cost."""


def _nothing(value: float) -> None:
    return None


async def _finish(export: _Export, within: float, ended: Callable[[], None]) -> None:
    """Let an export end by itself, and give it up after `within` seconds."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def work() -> None:
        try:
            export.shutdown()
        finally:
            ended()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

    # Not asyncio.to_thread: the interpreter would wait at its end for a thread that hangs in a send.
    threading.Thread(target=work, name="echelon-flush", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), within)
    except TimeoutError:
        export.abandon()
