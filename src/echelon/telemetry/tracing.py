"""Traces through OpenTelemetry. Importing this module needs the `telemetry` extra."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry import context, trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from echelon.telemetry.spans import Attribute, Span

if TYPE_CHECKING:
    from echelon.config import TelemetryConfig

MAX_ATTRIBUTE = 1024
"""Characters of one attribute; the rest is cut off."""
MAX_STACK = 50
"""Levels of the stack that a recorded exception carries."""

GetHeader = Callable[[str], str | None]


class Tracing:
    """Makes spans and sends them; not the process's global provider, so another library may set that."""

    def __init__(self, config: TelemetryConfig, resource: Resource) -> None:
        self.provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(config.sample)),
            resource=resource,
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_attribute_length=MAX_ATTRIBUTE),
        )
        self._exporter, processor = _exporter(config)
        self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer("echelon")
        self._propagator = TraceContextTextMapPropagator()

    def span(self, name: str, attributes: Mapping[str, Attribute]) -> Span:
        """Begin a span below the current one."""
        return RecordedSpan(self._tracer.start_span(name, attributes=attributes))

    def request_span(self, name: str, header: GetHeader, attributes: Mapping[str, Attribute]) -> Span:
        """Begin the span of a request, below the client's if a valid `traceparent` came with it."""
        parent = (
            self._propagator.extract(header, context.Context(), _GETTER) if header("traceparent") else None
        )
        span = self._tracer.start_span(
            name, parent or context.Context(), kind=SpanKind.SERVER, attributes=attributes
        )
        return RecordedSpan(span)

    def shutdown(self) -> None:
        """Send what is waiting; blocks, so call it on a thread of its own."""
        self.provider.shutdown()

    def abandon(self) -> None:
        """Give up a send that is under way; what is waiting is lost."""
        self._exporter.shutdown()


class RecordedSpan:
    """A span that is exported."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[context.Context] | None = None

    def set(self, **attributes: Attribute) -> None:
        self._span.set_attributes(attributes)

    def fail(self, error: BaseException) -> None:
        if not self._span.is_recording():
            return
        # The message is left out: it may hold a key or a value of the user's.
        name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        stack = "".join(traceback.format_tb(error.__traceback__, -MAX_STACK))
        self._span.add_event("exception", {"exception.type": name, "exception.stacktrace": stack})
        self._span.set_attribute("error.type", name)
        self._span.set_status(Status(StatusCode.ERROR, name))

    def __enter__(self) -> RecordedSpan:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._span.set_attribute("echelon.cancelled", True)
        elif error is not None:
            self.fail(error)
        if self._token is not None:
            context.detach(self._token)
            self._token = None
        self._span.end()


class _Headers(Getter[GetHeader]):
    """Reads the headers of a carrier that is a function."""

    def get(self, carrier: GetHeader, key: str) -> list[str] | None:
        value = carrier(key)
        return None if value is None else [value]

    def keys(self, carrier: GetHeader) -> list[str]:
        return []


_GETTER = _Headers()


def _exporter(config: TelemetryConfig) -> tuple[SpanExporter, SpanProcessor]:
    if config.traces == "console":
        console = ConsoleSpanExporter(out=sys.stderr, formatter=_line)
        return console, SimpleSpanProcessor(console)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    endpoint = f"{config.endpoint.rstrip('/')}/v1/traces" if config.endpoint else None
    exporter = OTLPSpanExporter(endpoint=endpoint)
    return exporter, BatchSpanProcessor(exporter)


def _line(span: ReadableSpan) -> str:
    return str(span.to_json(indent=None)) + "\n"
