"""Telemetry: counting, the Prometheus text, worker processes, traces, logs, and the registry of names."""

from __future__ import annotations

import ast
import asyncio
import gzip
import io
import json
import logging
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from echelon import telemetry as names
from echelon.config import TelemetryConfig
from echelon.errors import ConfigError, MissingExtra
from echelon.telemetry import NO_SPAN, OFF, REGISTRY, Telemetry, configure_logging
from echelon.telemetry.metrics import MAX_LABEL, MAX_SERIES, Series, render
from echelon.telemetry.shared import FOREIGN_AGE

SOURCE = Path(__file__).parent.parent / "src/echelon"
CALLS = "echelon_guest_calls_total"
SECONDS = "echelon_guest_call_seconds"


# --- reading the Prometheus text --------------------------------------------------------------------------

_SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)'
)
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"')
_UNESCAPE = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Read the text format strictly: every line must be what the format allows, in an order it allows."""
    assert text.endswith("\n")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    types: dict[str, str] = {}
    helped: set[str] = set()
    family = ""
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            family, description = line.removeprefix("# HELP ").split(" ", 1)
            assert family not in helped
            assert description
            helped.add(family)
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name == family
            assert kind in ("counter", "gauge", "histogram")
            types[name] = kind
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            suffixes = ("_bucket", "_sum", "_count") if types[family] == "histogram" else ("",)
            assert match[1] in [family + suffix for suffix in suffixes], line
            labels = tuple(
                (name, re.sub(r"\\.", lambda escaped: _UNESCAPE[escaped[0]], value))
                for name, value in _LABEL.findall(match[2] or "")
            )
            assert labels not in found.get(match[1], {}), f"twice: {line}"
            found.setdefault(match[1], {})[labels] = float(match[3])
    assert set(types) == helped
    return found


def value(source: Telemetry | str, name: str, **labels: str) -> float:
    """Return one sample, 0 when it is not there."""
    text = source if isinstance(source, str) else source.render()
    return parse(text).get(name, {}).get(tuple(labels.items()), 0.0)


@pytest.fixture
def counting() -> Telemetry:
    return Telemetry.start(TelemetryConfig())


# --- off --------------------------------------------------------------------------------------------------


async def test_off_does_nothing():
    """Every method of OFF can be called, and OFF stays what it is."""
    assert not OFF.tracing
    assert not OFF.counting
    with OFF.span("kv.operation", operation="get") as span:
        span.set(rows=1)
        span.fail(ValueError("x"))
    assert OFF.span("wasm.call") is NO_SPAN
    assert OFF.request_span(lambda name: None) is NO_SPAN
    OFF.count(CALLS, result="ok")
    OFF.observe(SECONDS, 1.0)
    OFF.bind_count(CALLS, result="ok")(1)
    OFF.bind_observe(SECONDS)(1)
    OFF.gauge("echelon_instances_live", lambda: 1)
    assert OFF.render() == ""
    await OFF.close()


def test_a_span_that_is_off_lets_exceptions_pass():
    """The shared no-op span swallows nothing."""
    with pytest.raises(ZeroDivisionError), OFF.span("wasm.call"):
        _ = 1 / 0


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, **environ},
    )


def test_opentelemetry_is_not_loaded_until_something_is_exported(tmp_path):
    """Importing, counting and logging with trace ids do without it."""
    done = run(f"""
import sys, logging, pathlib
from echelon.config import Config, TelemetryConfig
from echelon.telemetry import Telemetry, configure_logging
telemetry = Telemetry.start(TelemetryConfig(), pathlib.Path({str(tmp_path)!r}))
configure_logging(TelemetryConfig(logs="json"))
logging.getLogger("echelon").error("hello")
telemetry.count("{CALLS}", result="ok")
assert 'result="ok"' in telemetry.render()
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
""")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr)["message"] == "hello"


@pytest.mark.parametrize(
    ("blocked", "config", "package"),
    [
        ("opentelemetry.sdk", 'traces="console"', "opentelemetry-sdk"),
        ("opentelemetry", 'metrics="otlp"', "opentelemetry-sdk"),
        ("opentelemetry.exporter", 'traces="otlp"', "opentelemetry-exporter-otlp-proto-http"),
        ("opentelemetry.exporter", 'metrics="otlp"', "opentelemetry-exporter-otlp-proto-http"),
    ],
)
def test_a_missing_extra_says_what_to_install(blocked, config, package):
    """Asking for an exporter that is not installed is one sentence with the pip command."""
    done = run(f"""
import sys
sys.modules[{blocked!r}] = None
from echelon.config import TelemetryConfig
from echelon.errors import MissingExtra
from echelon.telemetry import Telemetry
try:
    Telemetry.start(TelemetryConfig({config}))
except MissingExtra as exc:
    print(exc)
""")
    assert done.stdout.strip() == str(MissingExtra(package, "telemetry")), done.stderr


# --- counting ---------------------------------------------------------------------------------------------


def test_counters_add_up(counting):
    """Each label set is a series of its own."""
    counting.count(CALLS, result="ok")
    counting.count(CALLS, 2.5, result="ok")
    counting.count(CALLS, result="trap")
    assert value(counting, CALLS, result="ok") == 3.5
    assert value(counting, CALLS, result="trap") == 1


def test_the_order_of_labels_does_not_matter(counting):
    """Keyword arguments have no order."""
    counting.count("echelon_http_requests_total", method="GET", route="/", status="200")
    counting.count("echelon_http_requests_total", status="200", route="/", method="GET")
    counting.bind_count("echelon_http_requests_total", route="/", status="200", method="GET")(1)
    assert value(counting, "echelon_http_requests_total", method="GET", route="/", status="200") == 3
    assert len(parse(counting.render())["echelon_http_requests_total"]) == 1


def test_histograms_count_into_buckets(counting):
    """A bucket holds what is at most its bound, buckets are cumulative, sum and count agree."""
    bounds = REGISTRY[SECONDS].buckets
    bound = counting.bind_observe(SECONDS)
    observed = [0, bounds[0], bounds[0] * 1.01, bounds[3], 1e6]
    for index, seconds in enumerate(observed):
        if index % 2:
            counting.observe(SECONDS, seconds)
        else:
            bound(seconds)
    samples = parse(counting.render())
    buckets = {dict(labels)["le"]: count for labels, count in samples[f"{SECONDS}_bucket"].items()}
    assert buckets["+Inf"] == samples[f"{SECONDS}_count"][()] == len(observed)
    assert samples[f"{SECONDS}_sum"][()] == pytest.approx(sum(observed))
    for le, count in buckets.items():
        assert count == sum(seconds <= float(le) for seconds in observed), le
    assert [float(le) for le in buckets] == [*bounds, math.inf]


def test_gauges_are_read_when_asked(counting, caplog):
    """A gauge is whatever its function says at that moment; one that fails is left out and logged."""
    level = [1.5]
    counting.gauge("echelon_instances_live", lambda: level[0])
    counting.gauge("echelon_calls_waiting", lambda: 1 / 0)
    counting.gauge("echelon_modules_loaded", lambda: math.nan)
    assert value(counting, "echelon_instances_live") == 1.5
    level[0] = 3
    assert value(counting, "echelon_instances_live") == 3
    assert "echelon_calls_waiting" not in parse(counting.render())
    assert "echelon_modules_loaded" not in parse(counting.render())
    assert "the gauge echelon_calls_waiting cannot be read" in caplog.text


@pytest.mark.parametrize("bad", [-1, -0.001, math.nan, math.inf])
def test_nothing_can_make_a_counter_go_down(counting, bad):
    """A negative or senseless number is refused, bound or not."""
    counting.count(CALLS, 5, result="ok")
    with pytest.raises(ValueError, match="cannot be added"):
        counting.count(CALLS, bad, result="ok")
    with pytest.raises(ValueError, match="cannot be added"):
        counting.bind_count(CALLS, result="ok")(bad)
    with pytest.raises(ValueError, match="cannot be added"):
        counting.observe(SECONDS, bad)
    with pytest.raises(ValueError, match="cannot be added"):
        counting.bind_observe(SECONDS)(bad)
    assert value(counting, CALLS, result="ok") == 5


def test_what_is_not_registered_is_refused(counting):
    """A name, a kind or a label that the registry does not have is a mistake in the program."""
    for wrong in (
        lambda: counting.count("echelon_nonsense_total"),
        lambda: counting.count(SECONDS, 1),
        lambda: counting.observe(CALLS, 1, result="ok"),
        lambda: counting.bind_count("echelon_nonsense_total"),
        lambda: counting.gauge(CALLS, lambda: 1),
        lambda: counting.count("wasm.call"),
    ):
        with pytest.raises(ValueError, match="is not a registered"):
            wrong()
    with pytest.raises(ValueError, match="has the labels reslt; registered are result"):
        counting.count(CALLS, reslt="ok")
    with pytest.raises(ValueError, match="has the labels none; registered are result"):
        counting.count(CALLS)


def test_threads_lose_no_count(counting):
    """Eight threads that switch as often as possible count exactly."""
    bound = counting.bind_count(CALLS, result="bound")

    def work() -> None:
        for _ in range(20_000):
            counting.count(CALLS, result="ok")
            counting.observe(SECONDS, 0.25)
            bound(1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    text = counting.render()
    assert value(text, CALLS, result="ok") == value(text, CALLS, result="bound") == 160_000
    assert value(text, f"{SECONDS}_count") == 160_000
    assert value(text, f"{SECONDS}_sum") == 40_000


def test_series_are_bounded(counting, caplog):
    """A thousand label sets are kept apart; all further ones are counted together, and none is lost."""
    for index in range(MAX_SERIES + 500):
        counting.count(CALLS, result=f"r{index}")
    counting.count(CALLS, result="r0")
    series = parse(counting.render())[CALLS]
    assert len(series) == MAX_SERIES + 1
    assert series[(("result", "other"),)] == 500
    assert series[(("result", "r0"),)] == 2
    assert caplog.text.count("further ones count as 'other'") == 1


def test_metrics_none_counts_nothing():
    """Without metrics there is nothing to render, and nothing is checked."""
    silent = Telemetry.start(TelemetryConfig(metrics="none"))
    silent.count(CALLS, result="ok")
    assert not silent.counting
    assert silent.render() == ""


# --- the text ---------------------------------------------------------------------------------------------


def test_fresh_metrics_are_valid_text(counting):
    """Series without labels begin at zero, so that a first increase is seen; every metric is described."""
    text = counting.render()
    samples = parse(text)
    assert samples[f"{SECONDS}_count"][()] == 0
    for name, item in REGISTRY.items():
        assert (f"# TYPE {name} {item.kind}\n" in text) == (item.kind != "span")


@pytest.mark.parametrize("nasty", ['a"b', "a\\b", "a\nb", "\\n", "ä → 😀", "", 'x"} 1\necho 1', "a,b={}"])
def test_label_values_are_escaped(counting, nasty):
    """Whatever a label holds, it comes back as it was and breaks no line."""
    counting.count(CALLS, result=nasty)
    assert value(counting, CALLS, result=nasty) == 1


def test_label_values_are_cut_and_made_valid(counting):
    """A long value is cut, half a surrogate pair is replaced: the text can always be sent as UTF-8."""
    counting.count(CALLS, result="x" * 10_000)
    counting.count(CALLS, result="\ud800")
    assert value(counting, CALLS, result="x" * MAX_LABEL) == 1
    assert value(counting, CALLS, result="?") == 1
    counting.render().encode()


def test_numbers_are_written_exactly():
    """Whole numbers have no fraction, others lose no digit, series of unknown names are left out."""
    series = [
        Series(CALLS, ("whole",), [2.0**53]),
        Series(CALLS, ("large",), [1e18]),
        Series(CALLS, ("small",), [0.1 + 0.2]),
        Series("echelon_future_total", (), [1.0]),
        Series(SECONDS, (), [1.0, 2.0]),
    ]
    text = render(series)
    assert f'{CALLS}{{result="whole"}} 9007199254740992' in text
    assert value(text, CALLS, result="large") == 1e18
    assert value(text, CALLS, result="small") == 0.1 + 0.2
    assert "future" not in text
    assert f"{SECONDS}_sum" not in parse(text)


# --- worker processes -------------------------------------------------------------------------------------


def worker(folder: Path, calls: int, pipe, gauge: float) -> None:
    """Count, say so, and live until the other end of the pipe is closed."""
    counting = Telemetry.start(TelemetryConfig(), folder)
    counting.gauge("echelon_instances_live", lambda: gauge)
    counting.count(CALLS, calls, result="ok")
    counting.observe(SECONDS, 0.5)
    counting.render()
    pipe.send("ready")
    pipe.poll(None)
    asyncio.run(counting.close())


@contextmanager
def workers(folder: Path, *calls: int, gauge: float = 0) -> Iterator[list]:
    """Run one worker process for each number of calls."""
    context = multiprocessing.get_context("spawn")
    started = []
    for number in calls:
        here, there = context.Pipe()
        process = context.Process(target=worker, args=(folder, number, there, gauge))
        process.start()
        there.close()
        started.append((process, here))
    try:
        for _, here in started:
            assert here.recv() == "ready"
        yield [process for process, _ in started]
    finally:
        for process, here in started:
            here.close()
            process.join(30)
            process.close()


async def test_workers_are_summed(tmp_path):
    """Any worker answers for all, also for those that were killed; gauges are those of the living."""
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    mine.count(CALLS, 1, result="ok")
    with workers(tmp_path, 10, 100, gauge=7) as processes:
        assert value(mine, CALLS, result="ok") == 111
        assert value(mine, f"{SECONDS}_count") == 2
        assert value(mine, f"{SECONDS}_sum") == 1
        assert value(mine, "echelon_instances_live") == 14
        os.kill(processes[0].pid, signal.SIGKILL)
        processes[0].join()
        assert value(mine, CALLS, result="ok") == 111
        assert value(mine, "echelon_instances_live") == 7
    assert value(mine, CALLS, result="ok") == 111
    assert value(mine, "echelon_instances_live") == 0
    await mine.close()


async def test_a_new_worker_folds_the_dead_into_the_totals(tmp_path):
    """Replaced workers leave one file, not one each, and their counts stay."""
    for _ in range(3):
        with workers(tmp_path, 10) as (process,):
            os.kill(process.pid, signal.SIGKILL)
            process.join()
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    assert value(mine, CALLS, result="ok") == 30
    files = sorted(
        file.name.rpartition(".")[0].partition(".")[2] for file in (tmp_path / "metrics").glob("*.json")
    )
    assert len(files) == 2
    assert "totals" in files
    await mine.close()


async def test_a_crash_between_folding_and_deleting_counts_nothing_twice(tmp_path):
    """A file that is part of the totals already is left out, by readers and by the next worker."""
    folder = tmp_path / "metrics"
    with workers(tmp_path, 10) as (process,):
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    (left,) = folder.glob("*.json")
    content = left.read_bytes()
    first = Telemetry.start(TelemetryConfig(), tmp_path)
    assert not left.exists()
    left.write_bytes(content)
    assert value(first, CALLS, result="ok") == 10
    second = Telemetry.start(TelemetryConfig(), tmp_path)
    assert value(second, CALLS, result="ok") == 10
    assert not left.exists()
    third = Telemetry.start(TelemetryConfig(), tmp_path)
    assert value(third, CALLS, result="ok") == 10
    for one in (first, second, third):
        await one.close()


async def test_counters_never_go_down_while_workers_come_and_go(tmp_path):
    """A reader that looks all the time while files are folded never sees less than before."""
    reader = Telemetry.start(TelemetryConfig(), tmp_path)
    seen, stop = [0.0], threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(value(reader, CALLS, result="ok"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(60):
            one = Telemetry.start(TelemetryConfig(), tmp_path)
            one.count(CALLS, result="ok")
            await one.close()
    finally:
        stop.set()
        thread.join()
    assert seen == sorted(seen)
    assert value(reader, CALLS, result="ok") == 60
    await reader.close()


async def test_an_earlier_boot_is_forgotten(tmp_path):
    """A server that starts anew begins at zero and deletes what its predecessor left."""
    for ending in ("os._exit(1)", "asyncio.run(old.close())"):
        done = run(f"""
import asyncio, os, pathlib
from echelon.config import TelemetryConfig
from echelon.telemetry import Telemetry
old = Telemetry.start(TelemetryConfig(), pathlib.Path({str(tmp_path)!r}))
old.count("{CALLS}", 1000, result="ok")
old.render()
{ending}
""")
        assert not done.stderr
    assert len(list((tmp_path / "metrics").glob("*.json"))) == 1
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    assert value(mine, CALLS, result="ok") == 0
    assert len(list((tmp_path / "metrics").glob("*.json"))) == 1
    await mine.close()


async def test_files_of_another_host_are_left_alone_until_they_are_old(tmp_path):
    """Two machines may share the folder: what cannot be seen from here is not counted, nor deleted soon."""
    first = Telemetry.start(TelemetryConfig(), tmp_path)
    first.count(CALLS, 5, result="ok")
    await first.close()
    (mine,) = (tmp_path / "metrics").glob("*.json")
    document = json.loads(mine.read_bytes())
    document["boot"]["host"] = document["worker"]["host"] = "elsewhere"
    mine.unlink()
    foreign = tmp_path / "metrics/elsewhere-1-2-3.x.json"
    foreign.write_text(json.dumps(document))
    second = Telemetry.start(TelemetryConfig(), tmp_path)
    assert value(second, CALLS, result="ok") == 0
    assert foreign.exists()
    old = time.time() - FOREIGN_AGE - 1
    os.utime(foreign, (old, old))
    third = Telemetry.start(TelemetryConfig(), tmp_path)
    assert not foreign.exists()
    await second.close()
    await third.close()


async def test_a_damaged_file_is_left_out_and_said(tmp_path, caplog):
    """One bad file costs its own numbers only."""
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    mine.count(CALLS, result="ok")
    (own,) = (tmp_path / "metrics").glob("*.json")
    boot = own.name.partition(".")[0]
    for index, content in enumerate([b"", b"{", b"[]", b'{"boot": 1}', b"\xff"]):
        (tmp_path / f"metrics/{boot}.bad{index}.json").write_bytes(content)
    assert value(mine, CALLS, result="ok") == 1
    assert caplog.text.count("are left out") == 5
    await mine.close()


async def test_numbers_reach_the_file_without_being_asked(tmp_path):
    """A worker that is killed without a warning has written what it counted a moment ago."""
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    (own,) = (tmp_path / "metrics").glob("*.json")
    mine.count(CALLS, 77, result="ok")
    while b"[77.0]" not in own.read_bytes():  # noqa: ASYNC110 - a file has no event to wait for
        await asyncio.sleep(0.05)
    written = own.stat().st_mtime_ns
    await asyncio.sleep(1.5)
    assert own.stat().st_mtime_ns == written, "nothing changed, nothing is written"
    await mine.close()


async def test_a_full_disk_stops_nothing(tmp_path, caplog):
    """When its file cannot be written, a worker still answers with its own numbers, and says so."""
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    folder = tmp_path / "metrics"
    folder.rename(tmp_path / "gone")
    mine.count(CALLS, 3, result="ok")
    assert value(mine, CALLS, result="ok") == 3
    assert "cannot be written" in caplog.text
    await mine.close()
    assert "are lost" in caplog.text


def test_a_state_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    """The error names the folder and the key."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state: .*/file/metrics cannot be written") as caught:
        Telemetry.start(TelemetryConfig(), tmp_path / "file")
    assert caught.value.key == "state"


async def test_the_folder_is_private(tmp_path):
    """Nobody else reads or writes the metrics of a server."""
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    assert (tmp_path / "metrics").stat().st_mode & 0o777 == 0o700
    await mine.close()


async def test_closing_twice_is_a_no_op(tmp_path):
    """And nothing may be lost or raised by counting afterwards."""
    mine = Telemetry.start(TelemetryConfig(), tmp_path)
    bound = mine.bind_count(CALLS, result="ok")
    await mine.close()
    await mine.close()
    mine.count(CALLS, result="ok")
    bound(1)
    assert mine.render() == ""
    assert mine.span("wasm.call") is NO_SPAN


# --- traces -----------------------------------------------------------------------------------------------


class Collector:
    """A real OTLP/HTTP collector: it keeps every request it receives."""

    def __init__(self, answer: int = 200) -> None:
        received: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                received.append((self.path, body))
                self.send_response(answer)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> dict:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = {}
        for path, body in self.received:
            assert path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        found[span.name] = (span, attributes(resource.resource))
        return found

    def metrics(self) -> dict:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        path, body = self.received[-1]
        assert path == "/v1/metrics"
        (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}


def attributes(holder) -> dict:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in holder.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    yield one
    one.close()


def tracing(collector: Collector, **settings) -> Telemetry:
    return Telemetry.start(TelemetryConfig(traces="otlp", endpoint=collector.url, **settings))


async def test_spans_reach_the_collector(collector):
    """Spans nest, carry attributes, and belong to the service that was named."""
    live = tracing(collector, service_name="shop")
    assert live.tracing
    with live.span("http.request", route="/"), live.span("kv.operation", operation="get", rows=3) as span:
        span.set(cached=True)
    await live.close()
    spans = collector.spans()
    inner, resource = spans["kv.operation"]
    outer, _ = spans["http.request"]
    assert inner.parent_span_id == outer.span_id
    assert inner.trace_id == outer.trace_id
    assert attributes(inner) == {"operation": "get", "rows": 3, "cached": True}
    assert resource["service.name"] == "shop"
    assert resource["service.version"]
    assert not live.tracing


async def test_tasks_do_not_mix_their_spans(collector):
    """Two requests at once have two traces, each with its own child."""
    live = tracing(collector)
    both = asyncio.Barrier(2)

    async def request(outer: str, inner: str) -> None:
        with live.request_span(lambda name: None, which=outer), live.span(inner):
            await both.wait()

    await asyncio.gather(request("a", "wasm.call"), request("b", "wasm.load"))
    await live.close()
    spans = collector.spans()
    assert spans["wasm.call"][0].trace_id != spans["wasm.load"][0].trace_id


async def test_a_request_continues_the_clients_trace(collector):
    """A valid traceparent is followed, with its tracestate."""
    live = tracing(collector)
    headers = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "congo=t61rcWkgMzE",
    }
    with live.request_span(headers.get, method="GET"):
        pass
    await live.close()
    span, _ = collector.spans()["http.request"]
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert span.trace_state == "congo=t61rcWkgMzE"
    assert span.kind == 2
    assert attributes(span) == {"method": "GET"}


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "nonsense"},
        {"traceparent": "00-00000000000000000000000000000000-b7ad6b7169203331-01"},
        {"traceparent": "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"traceparent": "00-" + "a" * 100_000},
        {"traceparent": ""},
    ],
)
async def test_a_malformed_traceparent_is_ignored(collector, headers, caplog):
    """A client can neither break a request nor fill the log with its headers."""
    live = tracing(collector)
    with live.request_span(headers.get):
        pass
    await live.close()
    span, _ = collector.spans()["http.request"]
    assert not span.parent_span_id
    assert not caplog.records


async def test_a_malformed_tracestate_is_ignored(collector, caplog):
    """The trace goes on without it, and the log says nothing."""
    live = tracing(collector)
    for state in ("===", "a" * 10_000, "a=1," * 200, "\n\n"):
        headers = {
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "tracestate": state,
        }
        with live.request_span(headers.get):
            pass
    await live.close()
    span, _ = collector.spans()["http.request"]
    assert span.parent_span_id
    assert not caplog.records


async def test_an_exception_marks_its_span_but_its_message_stays_here(collector):
    """Type and stack are recorded; the message is not, it may hold a value of the user's."""
    live = tracing(collector)
    secret = "-".join(["secret", "key"])  # not as it stands in this file, whose lines are in the stack
    with pytest.raises(KeyError), live.span("kv.operation"):
        raise KeyError(secret)
    with live.span("wasm.call") as span:
        span.fail(ValueError(secret))
    await live.close()
    left, _ = collector.spans()["kv.operation"]
    told, _ = collector.spans()["wasm.call"]
    assert left.status.code == told.status.code == 2
    assert left.status.message == "KeyError"
    (event,) = left.events
    assert attributes(event)["exception.type"] == "KeyError"
    assert "test_telemetry.py" in attributes(event)["exception.stacktrace"]
    assert secret.encode() not in b"".join(body for _, body in collector.received)


async def test_a_cancelled_span_is_no_failure(collector):
    """A client that went away is not an error of the server."""
    live = tracing(collector)
    with pytest.raises(asyncio.CancelledError), live.span("wasm.call"):
        raise asyncio.CancelledError
    await live.close()
    span, _ = collector.spans()["wasm.call"]
    assert span.status.code == 0
    assert attributes(span) == {"echelon.cancelled": True}


async def test_sampling(collector):
    """With a share of zero only traces that the client keeps are kept."""
    live = tracing(collector, sample=0.0)
    with live.request_span(lambda name: None), live.span("wasm.call") as span:
        span.fail(ValueError())
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with live.request_span({"traceparent": parent}.get), live.span("kv.operation"):
        pass
    await live.close()
    assert set(collector.spans()) == {"http.request", "kv.operation"}


async def test_long_attributes_are_cut(collector):
    """No attribute is longer than a kilobyte."""
    live = tracing(collector)
    with live.span("wasm.call", function="f" * 100_000):
        pass
    await live.close()
    span, _ = collector.spans()["wasm.call"]
    assert len(attributes(span)["function"]) == 1024


async def test_the_global_provider_is_left_alone(collector):
    """A program that embeds Echelon may set its own."""
    from opentelemetry import trace

    before = trace.get_tracer_provider()
    live = tracing(collector)
    assert trace.get_tracer_provider() is before
    await live.close()


async def test_console_traces_go_to_standard_error(capsys):
    """One JSON line for each span."""
    live = Telemetry.start(TelemetryConfig(traces="console"))
    with live.span("wasm.call", function="f"):
        pass
    await live.close()
    out, err = capsys.readouterr()
    assert not out
    assert json.loads(err)["attributes"] == {"function": "f"}


async def test_the_service_name_may_come_from_opentelemetrys_variable(collector, monkeypatch):
    """OTEL_SERVICE_NAME counts only where nothing was configured."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-otel")
    for configured, expected in (("echelon", "from-otel"), ("mine", "mine")):
        live = tracing(collector, service_name=configured)
        with live.span("wasm.call"):
            pass
        await live.close()
        assert collector.spans()["wasm.call"][1]["service.name"] == expected


# --- collectors that are not there ------------------------------------------------------------------------


@contextmanager
def silence() -> Iterator[str]:
    """A collector that accepts connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "settings", [{"traces": "otlp"}, {"metrics": "otlp"}, {"traces": "otlp", "metrics": "otlp"}]
)
async def test_a_silent_collector_does_not_hold_up_the_end(settings):
    """close() gives up after its time."""
    with silence() as url:
        live = Telemetry.start(TelemetryConfig(endpoint=url, **settings))
        with live.span("wasm.call"):
            live.count(CALLS, result="ok")
        async with asyncio.timeout(8):  # OpenTelemetry by itself would take ten seconds or more
            await live.close(0.2)


async def test_a_process_ends_although_its_collector_is_silent():
    """No thread keeps the interpreter from ending."""
    with silence() as url:
        done = run(f"""
import asyncio
from echelon.config import TelemetryConfig
from echelon.telemetry import Telemetry, configure_logging
async def main():
    live = Telemetry.start(TelemetryConfig(traces="otlp", metrics="otlp", endpoint={url!r}))
    with live.span("wasm.call"):
        pass
    await live.close(0.2)
asyncio.run(main())
print("ended")
""")
    assert (done.stdout, done.returncode) == ("ended\n", 0)


async def test_an_unreachable_collector_is_mentioned_once(caplog):
    """Many failed sends are one warning of ours and nothing of OpenTelemetry's own."""
    with silence() as url:
        closed = url
    live = Telemetry.start(TelemetryConfig(traces="otlp", metrics="otlp", endpoint=closed))
    for _ in range(5000):  # several batches, more than the queue holds
        with live.span("wasm.call"):
            pass
    await live.close(0.5)
    for thread in threading.enumerate():
        if thread.name == "echelon-flush":
            await asyncio.to_thread(thread.join)
    ours = [record for record in caplog.records if record.name == "echelon.telemetry"]
    assert Counter(record.name for record in caplog.records) == {"echelon.telemetry": 1}
    assert closed in ours[0].getMessage()


async def test_a_collector_that_refuses_is_mentioned(caplog):
    """The status of the answer is in the log."""
    refusing = Collector(answer=401)
    live = tracing(refusing)
    with live.span("wasm.call"):
        pass
    await live.close()
    refusing.close()
    assert "401" in caplog.text
    assert len(caplog.records) == 1


async def test_opentelemetrys_loggers_are_given_back(collector):
    """After close() its messages go where they went before."""
    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    before = list(logger.filters)
    live = tracing(collector)
    assert logger.filters != before
    await live.close()
    assert logger.filters == before


# --- metrics to a collector -------------------------------------------------------------------------------


async def test_metrics_reach_the_collector(collector):
    """Counters are sums, histograms keep their buckets, gauges are gauges; render() works as well."""
    live = Telemetry.start(TelemetryConfig(metrics="otlp", endpoint=collector.url))
    live.count(CALLS, 3, result="ok")
    live.observe(SECONDS, 0.02)
    live.observe(SECONDS, 1e9)
    live.gauge("echelon_instances_live", lambda: 4)
    assert value(live, CALLS, result="ok") == 3
    await live.close()
    metrics = collector.metrics()
    (point,) = metrics[CALLS].sum.data_points
    assert (point.as_double, attributes(point)) == (3, {"result": "ok"})
    assert metrics[CALLS].sum.is_monotonic
    (point,) = metrics[SECONDS].histogram.data_points
    bounds = list(point.explicit_bounds)
    assert bounds == list(REGISTRY[SECONDS].buckets)
    assert point.count == 2
    assert point.bucket_counts[bounds.index(0.025)] == 1
    assert point.bucket_counts[-1] == 1
    assert not point.HasField("min")
    assert metrics[SECONDS].unit == "s"
    assert metrics["echelon_instances_live"].gauge.data_points[0].as_double == 4


# --- logs -------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("echelon")
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield logger
    assert (list(root.handlers), root.level) == before, "the root logger is the host's"
    configure_logging(TelemetryConfig(logs="none"))
    assert logger.propagate
    assert logger.level == logging.NOTSET


def test_text_lines(log, capsys):
    """Time, level, logger and message on one line, the traceback below."""
    configure_logging(TelemetryConfig(logs="text"))
    log.getChild("http").warning("slow: %d ms", 12)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("broken")
    log.debug("not shown")
    out, err = capsys.readouterr()
    first, second, *rest = err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING echelon\.http: slow: 12 ms", first)
    assert second.endswith("ERROR   echelon: broken")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ZeroDivisionError: division by zero"
    assert not out


def test_json_lines(log, capsys):
    """One JSON object for each record, with what was passed as `extra`."""
    configure_logging(TelemetryConfig(logs="json", log_level="debug"))
    log.debug("hello %s", "Ada", extra={"route": "/x", "odd": {1, 2}.__class__})
    try:
        raise KeyError("\ud800")
    except KeyError:
        log.error("bad \ud800", exc_info=True, stack_info=True)
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert {key: first[key] for key in ("level", "logger", "message", "route", "odd")} == {
        "level": "debug",
        "logger": "echelon",
        "message": "hello Ada",
        "route": "/x",
        "odd": "<class 'set'>",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert second["exception"].startswith("Traceback")
    assert "Stack (most recent call last)" in second["exception"]
    assert "trace_id" not in second


def test_a_message_cannot_forge_a_line(log, capsys):
    """Control characters of a request's path are written as escapes."""
    configure_logging(TelemetryConfig(logs="text"))
    log.warning("path %s", "/a\n2026-01-01 00:00:00 ERROR fake\x1b[31m\u2028\x9b")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert r"/a\n2026" in err
    assert not set(err) & set("\x1b\u2028\x9b")


def test_a_log_call_with_wrong_arguments_keeps_its_line(log, capsys):
    """A mistake in a log call neither raises nor loses the message."""
    for form in ("text", "json"):
        configure_logging(TelemetryConfig(logs=form))
        log.warning("value %d", "x")
        err = capsys.readouterr().err
        assert "value %d" in err
        assert "Traceback" not in err


def test_a_secret_in_a_log_call_stays_hidden(log, capsys):
    """A Secret hides itself in every form of line."""
    from echelon.config import Secret

    for form in ("text", "json"):
        configure_logging(TelemetryConfig(logs=form))
        log.warning("token %s %r", Secret("sesame"), Secret("sesame"), extra={"token": Secret("sesame")})
        assert "sesame" not in capsys.readouterr().err


async def test_lines_inside_a_span_carry_its_ids(log, capsys, collector):
    """Logs and traces can be joined."""
    live = tracing(collector)
    configure_logging(TelemetryConfig(logs="json"))
    with live.span("wasm.call"):
        log.info("inside")
    log.info("outside")
    configure_logging(TelemetryConfig(logs="text"))
    with live.span("wasm.load"):
        log.info("text")
    await live.close()
    inside, outside, text = capsys.readouterr().err.splitlines()
    spans = collector.spans()
    call, load = spans["wasm.call"][0], spans["wasm.load"][0]
    assert json.loads(inside)["trace_id"] == call.trace_id.hex()
    assert json.loads(inside)["span_id"] == call.span_id.hex()
    assert "trace_id" not in json.loads(outside)
    assert text.endswith(f"trace={load.trace_id.hex()} span={load.span_id.hex()}")


def test_configuring_again_replaces(log, capsys):
    """A line appears once however often logging is configured, and foreign handlers stay."""
    stream = io.StringIO()
    foreign = logging.StreamHandler(stream)
    log.addHandler(foreign)
    try:
        for _ in range(3):
            configure_logging(TelemetryConfig(logs="text"))
        log.info("once")
    finally:
        log.removeHandler(foreign)
    assert capsys.readouterr().err.count("once") == 1
    assert stream.getvalue() == "once\n"


def test_logs_none_leaves_logging_to_the_host(log, capsys, caplog):
    """Records go to the root logger's handlers and nowhere else."""
    configure_logging(TelemetryConfig(logs="none"))
    log.warning("to the host")
    assert caplog.messages == ["to the host"]
    assert not capsys.readouterr().err


# --- the registry -----------------------------------------------------------------------------------------

METHODS = {
    "span": "span",
    "count": "counter",
    "observe": "histogram",
    "gauge": "gauge",
    "bind_count": "counter",
    "bind_observe": "histogram",
}


def emissions(source: str, file: str = "<test>") -> list[tuple[str, str, set[str] | None, str]]:
    """Return (method, name, labels, place) of every emission; labels are None when some are `**computed`.

    A call counts as one when its receiver is called telemetry, or its first argument looks like a name.
    """
    found = []
    for node in ast.walk(ast.parse(source, file)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        place = f"{file}:{node.lineno}"
        receiver = ast.unparse(node.func.value).rpartition(".")[2].lower()
        if node.func.attr == "request_span":
            found.append(("span", "http.request", None, place))
            continue
        if node.func.attr not in METHODS or not node.args:
            continue
        for name in resolve(node.args[0]):
            known = name is not None and (name in REGISTRY or name.startswith("echelon_"))
            if known or "telemetry" in receiver or receiver == "off":
                dynamic = any(keyword.arg is None for keyword in node.keywords)
                labels = None if dynamic else {keyword.arg for keyword in node.keywords if keyword.arg}
                found.append((node.func.attr, name or ast.unparse(node.args[0]), labels, place))
    return found


def resolve(node: ast.expr) -> list[str | None]:
    """Return the names an argument can be: a text, a constant of the registry, or one of two."""
    if isinstance(node, ast.IfExp):
        return [*resolve(node.body), *resolve(node.orelse)]
    if isinstance(node, ast.Constant):
        return [node.value if isinstance(node.value, str) else None]
    name = getattr(node, "id", None) or getattr(node, "attr", "")
    constant = getattr(names, name, None) if name.isupper() else None
    return [constant if isinstance(constant, str) else None]


def problems(found: list[tuple[str, str, set[str] | None, str]]) -> list[str]:
    """Say what is wrong with emissions."""
    wrong = []
    for method, name, labels, place in found:
        item = REGISTRY.get(name)
        if item is None or item.kind != METHODS[method]:
            wrong.append(f"{place}: {method}({name}) is not a registered {METHODS[method]}")
        elif item.kind != "span" and labels is not None and labels != set(item.labels):
            wrong.append(f"{place}: {name} has labels {sorted(labels)}, registered are {sorted(item.labels)}")
    return wrong


def all_emissions() -> list[tuple[str, str, set[str] | None, str]]:
    return [
        emission
        for file in sorted(SOURCE.rglob("*.py"))
        if "telemetry" not in file.relative_to(SOURCE).parts[0]
        for emission in emissions(file.read_text(), str(file.relative_to(SOURCE)))
    ]


def test_nothing_is_emitted_that_is_not_registered():
    """Every name, its kind and its labels are in the registry."""
    assert problems(all_emissions()) == []


def test_nothing_is_registered_that_is_never_emitted():
    """The registry has no name without a place in the source."""
    assert sorted(set(REGISTRY) - {name for _, name, _, _ in all_emissions()}) == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('self._telemetry.count("echelon_nonsense_total")', 1),
        ("telemetry.span(NONSENSE)", 1),
        ('x.observe("echelon_guest_calls_total", 1)', 1),
        ('telemetry.count(GUEST_CALLS, reslt="ok")', 1),
        ('telemetry.count(names.GUEST_CALLS, result="ok")', 0),
        ('telemetry.count("echelon_guest_calls_total", **labels)', 0),
        ('telemetry.count(GUEST_CALLS if a else "echelon_b_total", result="ok")', 1),
        ('text.count("a"); [].count(1); text.count(sub)', 0),
        ("telemetry.request_span(headers.get)", 0),
    ],
)
def test_the_search_for_emissions_finds_mistakes(source, count):
    """The two tests above can fail."""
    assert len(problems(emissions(source))) == count


def test_the_registry_is_well_formed():
    """Names follow Prometheus, counters end in _total, histograms in their unit with rising buckets."""
    constants = {
        getattr(names, name)
        for name in dir(names)
        if name.isupper() and isinstance(getattr(names, name), str)
    }
    assert set(REGISTRY) <= constants
    for name, item in REGISTRY.items():
        assert item.name == name
        assert item.description
        assert "\n" not in item.description
        if item.kind == "span":
            assert re.fullmatch(r"[a-z]+\.[a-z]+", name)
            continue
        assert re.fullmatch(r"echelon_[a-z_]+", name)
        assert name.endswith("_total") == (item.kind == "counter")
        assert (item.kind == "histogram") == bool(item.buckets) == name.endswith("_seconds")
        assert list(item.buckets) == sorted(set(item.buckets))
        assert "le" not in item.labels


def test_every_name_is_documented():
    """docs/telemetry.md has a row for each name, with kind, labels and description, and for no other."""
    page = (SOURCE.parent.parent / "docs/telemetry.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    documented = {cells[0].strip("`"): cells[1:] for cells in rows}
    assert documented == {
        item.name: [item.kind, ", ".join(f"`{label}`" for label in item.labels), item.description]
        for item in REGISTRY.values()
    }
