"""The registry of every span and metric that Echelon emits; nothing else may be emitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SHORT_SECONDS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
"""Upper bounds for what usually takes microseconds: guest calls and store operations."""

LONG_SECONDS = (
    *(1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds for what usually takes milliseconds: requests and compilations."""


@dataclass(frozen=True, slots=True)
class Name:
    """One registered name; `kind` is span, counter, histogram or gauge, `buckets` are upper bounds."""

    name: str
    kind: str
    unit: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


HTTP_REQUEST = "http.request"
WASM_LOAD = "wasm.load"
WASM_CALL = "wasm.call"
GENERATOR_COMPILE = "generator.compile"
KV_OPERATION = "kv.operation"
KV_DELIVERY = "kv.delivery"
QUEUE_MESSAGE = "queue.message"
CRON_RUN = "cron.run"

HTTP_REQUESTS = "echelon_http_requests_total"
HTTP_REQUEST_SECONDS = "echelon_http_request_seconds"
GUEST_CALLS = "echelon_guest_calls_total"
GUEST_CALL_SECONDS = "echelon_guest_call_seconds"
GUEST_WAIT_SECONDS = "echelon_guest_wait_seconds"
MODULE_LOADS = "echelon_module_loads_total"
COMPILES = "echelon_compiles_total"
COMPILE_SECONDS = "echelon_compile_seconds"
KV_OPERATIONS = "echelon_kv_operations_total"
KV_OPERATION_SECONDS = "echelon_kv_operation_seconds"
KV_DELIVERIES = "echelon_kv_deliveries_total"
KV_DELIVERY_SECONDS = "echelon_kv_delivery_seconds"
KV_WATCH_WAKES = "echelon_kv_watch_wakes_total"
QUEUE_MESSAGES = "echelon_queue_messages_total"
QUEUE_MESSAGE_SECONDS = "echelon_queue_message_seconds"
QUEUE_WAIT_SECONDS = "echelon_queue_wait_seconds"
CRON_RUNS = "echelon_cron_runs_total"
CRON_RUN_SECONDS = "echelon_cron_run_seconds"
INSTANCES_LIVE = "echelon_instances_live"
CALLS_WAITING = "echelon_calls_waiting"
MODULES_LOADED = "echelon_modules_loaded"

_ALL = (
    Name(HTTP_REQUEST, "span", "", "One HTTP request, from its first line to the end of its answer"),
    Name(WASM_LOAD, "span", "", "Making a module callable: checking, compiling to native code, linking"),
    Name(WASM_CALL, "span", "", "One call of a guest, without the time it waited for a slot"),
    Name(GENERATOR_COMPILE, "span", "", "Compiling source to WebAssembly, or finding it in the cache"),
    Name(KV_OPERATION, "span", "", "One operation of the key-value store"),
    Name(KV_DELIVERY, "span", "", "One delivery of a message to a queue's handler"),
    Name(QUEUE_MESSAGE, "span", "", "One call of a queue handler of the application"),
    Name(CRON_RUN, "span", "", "One run of a cron job"),
    Name(HTTP_REQUESTS, "counter", "", "Requests answered", ("method", "route", "status")),
    Name(
        HTTP_REQUEST_SECONDS, "histogram", "s", "Time to answer a request", ("method", "route"), LONG_SECONDS
    ),
    Name(GUEST_CALLS, "counter", "", "Guest calls that ended", ("result",)),
    Name(GUEST_CALL_SECONDS, "histogram", "s", "Time a guest call ran", (), SHORT_SECONDS),
    Name(GUEST_WAIT_SECONDS, "histogram", "s", "Time a guest call waited for a slot", (), SHORT_SECONDS),
    Name(MODULE_LOADS, "counter", "", "Modules loaded, or refused", ("result",)),
    Name(COMPILES, "counter", "", "Compilations that ended", ("language", "result")),
    Name(COMPILE_SECONDS, "histogram", "s", "Time a compilation took", ("language",), LONG_SECONDS),
    Name(KV_OPERATIONS, "counter", "", "Operations of the key-value store", ("operation",)),
    Name(KV_OPERATION_SECONDS, "histogram", "s", "Time of a store operation", ("operation",), SHORT_SECONDS),
    Name(KV_DELIVERIES, "counter", "", "Messages that were delivered", ("result",)),
    Name(KV_DELIVERY_SECONDS, "histogram", "s", "Time a message was being handled", (), LONG_SECONDS),
    Name(KV_WATCH_WAKES, "counter", "", "Changes of watched keys that watches were given"),
    Name(QUEUE_MESSAGES, "counter", "", "Calls of queue handlers that ended", ("queue", "result")),
    Name(QUEUE_MESSAGE_SECONDS, "histogram", "s", "Time a queue handler ran", ("queue",), LONG_SECONDS),
    Name(
        QUEUE_WAIT_SECONDS,
        "histogram",
        "s",
        "Time a message was due before its handler",
        ("queue",),
        LONG_SECONDS,
    ),
    Name(CRON_RUNS, "counter", "", "Slots of cron jobs, by what became of them", ("job", "result")),
    Name(CRON_RUN_SECONDS, "histogram", "s", "Time a cron job ran", ("job",), LONG_SECONDS),
    Name(INSTANCES_LIVE, "gauge", "", "Instances in use now"),
    Name(CALLS_WAITING, "gauge", "", "Guest calls waiting for a slot now"),
    Name(MODULES_LOADED, "gauge", "", "Modules that can be called now"),
)

REGISTRY: Mapping[str, Name] = MappingProxyType({item.name: item for item in _ALL})
"""Every name by itself."""
