"""The log on standard error, as text or as JSON lines."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from echelon.config import TelemetryConfig

LOGGER = "echelon"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class EchelonHandler(logging.StreamHandler[Any]):
    """The handler that `configure_logging` installs; it follows `sys.stderr` when that is replaced."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


def configure_logging(config: TelemetryConfig) -> None:
    """Send the log of Echelon to standard error in the configured form; again replaces what was before.

    Only the logger "echelon" is touched, never the root logger. It stops handing records on to the root
    logger, so that a line appears once. With logs = "none" it is left as it was: records go where the
    program that embeds Echelon sends them.
    """
    logger = logging.getLogger(LOGGER)
    for handler in [handler for handler in logger.handlers if isinstance(handler, EchelonHandler)]:
        logger.removeHandler(handler)
        handler.close()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    if config.logs == "none":
        return
    handler = EchelonHandler()
    handler.setFormatter(JsonFormatter() if config.logs == "json" else TextFormatter())
    logger.addHandler(handler)
    logger.setLevel(config.log_level.upper())
    logger.propagate = False


class TextFormatter(logging.Formatter):
    """One line for people: time, level, logger, message, trace; a traceback follows on lines of its own.

    Control characters in the message are written as escapes: a request must not be able to forge a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        message = escape(_message(record))
        ids = current_ids()
        trace = f"  trace={ids[0]} span={ids[1]}" if ids else ""
        line = f"{when}.{record.msecs:03.0f} {record.levelname:<7} {record.name}: {message}{trace}"
        exception = _exception(self, record)
        return f"{line}\n{exception}" if exception else line


class JsonFormatter(logging.Formatter):
    """One JSON object: time (UTC), level, logger, message, trace_id, span_id, exception, and each `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {
            "time": f"{when}.{min(int(record.msecs), 999):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        ids = current_ids()
        if ids:
            fields["trace_id"], fields["span_id"] = ids
        exception = _exception(self, record)
        if exception:
            fields["exception"] = exception
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in fields:
                fields[name] = value
        return json.dumps(fields, default=str, skipkeys=True)


def current_ids() -> tuple[str, str] | None:
    """Return the ids of the current trace and span as hexadecimal text, None outside a span."""
    # Not imported here: a program without traces must not pay for OpenTelemetry.
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    current = trace.get_current_span().get_span_context()
    return (f"{current.trace_id:032x}", f"{current.span_id:016x}") if current.is_valid else None


def escape(text: str) -> str:
    """Write control characters as escapes."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # a log call with wrong arguments must not lose the line
        return f"{record.msg} {record.args!r}"


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [record.exc_text or ""]
    if record.exc_info and not record.exc_text:
        parts = [formatter.formatException(record.exc_info)]
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(part for part in parts if part)


class Notices(logging.Filter):
    """Turns the complaints of OpenTelemetry's own loggers into one line of ours a minute.

    An unreachable collector fails every few seconds, and a client's malformed `tracestate` is no news for
    the operator at all.
    """

    EXPORTERS = (
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        "opentelemetry.exporter.otlp.proto.http.metric_exporter",
        "opentelemetry.sdk._shared_internal",
        "opentelemetry.sdk.trace.export",
    )
    CLIENTS = ("opentelemetry.trace.span", "opentelemetry.trace.propagation.tracecontext")
    PAUSE = 60.0

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target
        self._silent_until = 0.0
        self._log = logging.getLogger("echelon.telemetry")

    def install(self) -> None:
        """Listen to the loggers until `remove` is called."""
        for name in (*self.EXPORTERS, *self.CLIENTS):
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """Leave the loggers as they were."""
        for name in (*self.EXPORTERS, *self.CLIENTS):
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if record.name in self.EXPORTERS and record.levelno >= logging.WARNING and now >= self._silent_until:
            self._silent_until = now + self.PAUSE
            self._log.warning("telemetry does not reach %s: %s", self._target, _message(record))
        return False
