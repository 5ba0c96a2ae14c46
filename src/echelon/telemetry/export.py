"""Sending metrics to an OTLP collector. Importing this module needs the `telemetry` extra."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from echelon.telemetry.metrics import Series
from echelon.telemetry.names import REGISTRY, Name

if TYPE_CHECKING:
    from echelon.config import TelemetryConfig

_log = logging.getLogger("echelon.telemetry")

INTERVAL = 15.0
"""Seconds between two exports."""


class MetricExport:
    """Sends this process's numbers now and then, from a thread of its own.

    The data points are built here instead of through observable instruments: OpenTelemetry has no
    observable histogram, and the buckets are counted already.
    """

    def __init__(
        self, config: TelemetryConfig, resource: Resource, collect: Callable[[], list[Series]]
    ) -> None:
        endpoint = f"{config.endpoint.rstrip('/')}/v1/metrics" if config.endpoint else None
        self._exporter = OTLPMetricExporter(endpoint=endpoint)
        self._resource = resource
        self._collect = collect
        self._began = time.time_ns()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="echelon-metrics-export", daemon=True)
        self._thread.start()

    def shutdown(self) -> None:
        """Send the last numbers; blocks, so call it on a thread of its own."""
        self._stop.set()
        self._thread.join()
        self._exporter.shutdown()

    def abandon(self) -> None:
        """Give up a send that is under way; what is waiting is lost."""
        self._exporter.shutdown()

    def _run(self) -> None:
        while True:
            stopping = self._stop.wait(INTERVAL)
            try:
                self._exporter.export(self._data())
            except Exception:
                _log.exception("metrics could not be exported")
            if stopping:
                return

    def _data(self) -> MetricsData:
        now = time.time_ns()
        series: dict[str, list[Series]] = {}
        for one in self._collect():
            series.setdefault(one.name, []).append(one)
        metrics = [self._metric(REGISTRY[name], members, now) for name, members in series.items()]
        scope = ScopeMetrics(InstrumentationScope("echelon"), metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _metric(self, item: Name, members: list[Series], now: int) -> Metric:
        always = AggregationTemporality.CUMULATIVE
        if item.kind == "histogram":
            data: Histogram | Sum | Gauge = Histogram(
                [self._histogram(item, s, now) for s in members], always
            )
        else:
            points = [
                NumberDataPoint(dict(zip(item.labels, s.labels, strict=True)), self._began, now, s.numbers[0])
                for s in members
            ]
            data = Sum(points, always, is_monotonic=True) if item.kind == "counter" else Gauge(points)
        return Metric(item.name, item.description, item.unit, data)

    def _histogram(self, item: Name, series: Series, now: int) -> HistogramDataPoint:
        counts = [int(number) for number in series.numbers[:-1]]
        return HistogramDataPoint(
            attributes=dict(zip(item.labels, series.labels, strict=True)),
            start_time_unix_nano=self._began,
            time_unix_nano=now,
            count=sum(counts),
            sum=series.numbers[-1],
            bucket_counts=counts,
            explicit_bounds=item.buckets,
            # The extremes are not kept; None leaves these two optional fields of OTLP out.
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
        )
