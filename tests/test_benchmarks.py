"""What the benchmarks say must be right: statistics, rounds, servers, the report, exit statuses."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as program
from benchmarks import report, rounds, servers, statistics
from benchmarks.apps import bare_rsgi
from benchmarks.row import CannotRun, Comparison, Row, Settings
from benchmarks.rows import json_route
from benchmarks.statistics import Series, Summary

linux = pytest.mark.skipif(sys.platform != "linux", reason="servers are pinned with Linux's taskset")


def series(name: str, *samples: float, unit: statistics.Unit = "µs") -> Series:
    return Series(name, unit, samples)


def comparison(target: float, subject: Series, *peers: Series) -> Comparison:
    return Comparison("a thing", target, subject, peers)


# --- statistics ---


def test_a_summary_is_the_median_with_its_range() -> None:
    """The median, the extremes, and the distance of the quartiles as a share of the median."""
    assert Summary.of([4.0, 1.0, 3.0, 2.0, 10.0]) == Summary(3.0, 1.0, 10.0, 2 / 3)


def test_one_sample_has_no_spread() -> None:
    """A single sample is its own median and range."""
    assert Summary.of([7.0]) == Summary(7.0, 7.0, 7.0, 0.0)


def test_ratios_are_taken_round_by_round() -> None:
    """A slow phase of the machine that hits both in one round does not change the ratio."""
    assert statistics.paired_ratios(series("a", 1, 10), series("b", 3, 30)) == [3, 3]


def test_more_requests_are_better() -> None:
    """For rates the subject is above the line, for times below it."""
    fast, slow = series("a", 200, unit="req/s"), series("b", 100, unit="req/s")
    assert statistics.paired_ratios(fast, slow) == [2]


def test_times_and_rates_are_not_compared() -> None:
    """Series of different units have no ratio."""
    with pytest.raises(ValueError, match="a is in µs, b in req/s"):
        statistics.paired_ratios(series("a", 1), series("b", 1, unit="req/s"))


def test_percentiles_are_samples() -> None:
    """Percentiles come by nearest rank and never leave the samples."""
    values = [float(n) for n in range(100, 0, -1)]
    assert statistics.percentiles(values, (50, 99, 100)) == ((50, 51.0), (99, 100.0), (100, 100.0))


# --- comparisons ---


def test_the_fastest_peer_counts() -> None:
    """The ratio is against the peer with the best median, whatever the order."""
    found = comparison(2.0, series("us", 10), series("slow", 90), series("fast", 30), series("middle", 50))
    assert found.against.name == "fast"
    assert found.ratio.median == 3
    assert found.reached


def test_the_fastest_server_has_the_highest_rate() -> None:
    """For rates the fastest is the highest."""
    peers = [series("slow", 10, unit="req/s"), series("fast", 50, unit="req/s")]
    found = comparison(2.0, series("us", 60, unit="req/s"), *peers)
    assert found.against.name == "fast"
    assert found.ratio.median == pytest.approx(1.2)
    assert not found.reached


def test_a_framework_stands_for_its_better_server() -> None:
    """Of two servers the better one represents a framework, and the fastest comes first."""
    tried = [
        series("A on x", 10, unit="req/s"),
        series("A on y", 30, unit="req/s"),
        series("B on x", 20, unit="req/s"),
        series("B on y", 40, unit="req/s"),
    ]
    assert [one.name for one in json_route.fastest(tried)] == ["B on y", "A on y"]


# --- rounds ---


def recorder(log: list[str], name: str, values: list[float]) -> rounds.Measure:
    async def measure() -> float:
        log.append(name)
        return values[min(log.count(name), len(values)) - 1]

    return measure


async def test_rounds_are_interleaved_and_alternate() -> None:
    """Nobody is always first: A B, B A, A B."""
    log: list[str] = []
    measures = {name: recorder(log, name, [1.0]) for name in "AB"}
    found = await rounds.interleave(measures, "µs", 3)
    assert "".join(log) == "ABBAAB"
    assert [(one.name, one.samples) for one in found] == [("A", (1.0,) * 3), ("B", (1.0,) * 3)]


async def test_a_restless_machine_gets_more_rounds() -> None:
    """Rounds are repeated, up to a limit, while the ratio jumps; all samples count."""
    log: list[str] = []
    measures = {"A": recorder(log, "A", [1.0]), "B": recorder(log, "B", [1, 9, 2, 8, 3, 7, 4, 6, 5])}
    found = await rounds.interleave(measures, "µs", 3, batches=3)
    assert [len(one.samples) for one in found] == [9, 9]


async def test_work_is_done_as_often_as_it_says() -> None:
    """The time is for one operation, and the warm-up is not in it."""
    done: list[int] = []

    async def spin(count: int) -> None:
        done.append(count)
        for _ in range(count):
            end = time.perf_counter_ns() + 20_000
            while time.perf_counter_ns() < end:
                pass

    (found,) = await rounds.compare([rounds.Work("spin", 40, spin)], 3, singles=5)
    assert done[0] == 10
    assert set(done[1:-5]) == {40}
    assert done[-5:] == [1] * 5
    assert found.summary.low >= 20
    assert [percent for percent, _ in found.latency] == [50, 99]


async def test_a_disturbed_sample_is_taken_again() -> None:
    """Work that did not have a whole processor is repeated, but not for ever."""
    runs = 0

    async def wait(_count: int) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0.002)

    (found,) = await rounds.compare([rounds.Work("wait", 1, wait)], 1)
    assert len(found.samples) == 1
    assert runs == 1 + rounds._TRIES


# --- the load generator and the servers ---

WRK = """Running 2s test @ http://127.0.0.1:8000/items/42
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.57ms  405.11us  10.14ms   91.87%
  Latency Distribution
     50%    1.49ms
     75%    1.60ms
     90%  987.00us
     99%    1.20s
  81432 requests in 2.00s, 13.90MB read
Requests/sec:  40710.55
Transfer/sec:      6.95MB
"""


def test_the_load_generator_is_read() -> None:
    """Its rate and its percentiles, in microseconds whatever unit it chose."""
    load = servers.read_wrk(WRK, 0, "x")
    assert load == servers.Load(40710.55, ((50, 1490.0), (99, 1_200_000.0)))


@pytest.mark.parametrize(
    "complaint",
    ["  Non-2xx or 3xx responses: 81432", "  Socket errors: connect 0, read 3, write 0, timeout 0"],
)
def test_failed_requests_are_no_result(complaint: str) -> None:
    """A server that answers errors fast has not won."""
    with pytest.raises(CannotRun, match=complaint.strip().split(":")[0]):
        servers.read_wrk(WRK.replace("Requests/sec", f"{complaint}\nRequests/sec"), 0, "x")


def test_a_failed_load_generator_says_why() -> None:
    """Its own message is passed on."""
    with pytest.raises(CannotRun, match="unable to connect"):
        servers.read_wrk("unable to connect to 127.0.0.1:1 Connection refused\n", 1, "x")


def test_a_rate_is_extended_to_a_whole_core() -> None:
    """A server that had half of its core would have answered twice as much with all of it."""
    assert servers.Load(1000.0, (), share=0.5).full_rate == 2000


def test_a_missing_load_generator_names_the_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wrk the row cannot run, and the message says what to type."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotRun, match="wrk is not installed: run benchmarks/setup"):
        servers.cores()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@linux
def test_a_server_runs_paused_until_it_is_measured(tmp_path: Path) -> None:
    """A bare application answers through Echelon's server, stands still afterwards, and can be stopped."""
    core = min(os.sched_getaffinity(0))
    server = servers.Server("bare", servers.echelon("benchmarks.apps.bare_rsgi:app"), core, tmp_path)
    try:
        server.wait()
        deadline = time.monotonic() + 5
        while _state(server._process.pid) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)  # a signal takes effect when its process is next scheduled
        assert _state(server._process.pid) == "T"
        assert server._processor_time() > 0
    finally:
        server.stop()
    assert server._process.returncode is not None


def is_gone(group: int) -> bool:
    """Tell whether a process group ends; its orphans are collected by the system a moment after their death."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@linux
def test_every_server_ends_with_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a later one does not start, none is left behind."""
    core = min(os.sched_getaffinity(0))
    monkeypatch.setattr(servers, "cores", lambda: (core, core))
    bare = servers.echelon("benchmarks.apps.bare_rsgi:app")
    processes = []
    start = servers.Server.__init__

    def note(self: servers.Server, *arguments: Any) -> None:
        start(self, *arguments)
        processes.append(self._process)

    monkeypatch.setattr(servers.Server, "__init__", note)
    with servers.running([("one", bare), ("two", bare)]) as started:
        assert list(started) == ["one", "two"]
    with (
        pytest.raises(CannotRun, match="broken did not start"),
        servers.running([("three", bare), ("broken", lambda _port: ["-c", "raise SystemExit(3)"])]),
    ):
        pass
    assert len(processes) == 4
    assert all(process.returncode is not None for process in processes)
    assert all(is_gone(process.pid) for process in processes)


@linux
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (lambda _port: ["-c", "raise SystemExit('no such peer')"], "no such peer"),
        (lambda port: ["-m", "http.server", str(port), "--bind", "127.0.0.1"], "wrong answers 404"),
    ],
)
def test_a_server_that_does_not_do_its_work_is_named(
    command: servers.Command, said: str, tmp_path: Path
) -> None:
    """One that ends, or answers something else, stops the row with its name and its last words."""
    server = servers.Server("wrong", command, min(os.sched_getaffinity(0)), tmp_path)
    try:
        with pytest.raises(CannotRun, match=said):
            server.wait()
    finally:
        server.stop()


def test_the_floor_answers_what_the_frameworks_answer() -> None:
    """The ready bytes are the same object."""
    assert json.loads(bare_rsgi.BODY) == servers.ITEM


# --- rows, report and program ---


@pytest.mark.timeout(300)  # a peer compiles on its own, without a cache
def test_the_live_call_row_measures_both_ways(tmp_path: Path) -> None:
    """The program runs a row with real guests, compares by name and fetched once, and writes the results."""
    results = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--only", "live-call", "--quick", "--output", str(results)]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[1])
    [row] = json.loads(results.read_text())["rows"]
    assert [(one["what"], one["target"], one["against"]) for one in row["comparisons"]] == [
        ("live.function, fetched once", 10.0, "wasmtime package"),
        ("live.call, by name", 10.0, "wasmtime package"),
    ]
    assert all(one["ratio"]["min"] > 0 for one in row["comparisons"])


def test_every_row_has_a_name_of_its_own() -> None:
    """Rows are found by their files; names and places are unique, names are fit for --only."""
    found = program.find_rows()
    assert len(found) >= 4
    assert len({row.name for row in found}) == len({row.order for row in found}) == len(found)
    assert all(row.name.replace("-", "").isalnum() for row in found)


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.7, "70%"), (0.996, "100%"), (1.2, "1.20x"), (9.97, "9.97x"), (19.12, "19.1x")]
)
def test_ratios_are_written_like_their_targets(ratio: float, text: str) -> None:
    """Shares as percent, multiples with as many digits as mean something."""
    assert report.ratio_text(ratio) == text


def test_an_absent_package_is_said_to_be_absent() -> None:
    """Versions name what is installed, and what is not."""
    assert report.versions(["no-such-package", "pytest"]) == {
        "no-such-package": "absent",
        "pytest": pytest.__version__,
    }


def run_program(
    monkeypatch: pytest.MonkeyPatch, output: Path, rows: list[Row], *arguments: str
) -> tuple[int, dict[str, object]]:
    monkeypatch.setattr(program, "find_rows", lambda: rows)
    status = program.main(["--output", str(output), *arguments])
    return status, json.loads(output.read_text(encoding="utf-8"))


def row(order: int, name: str, *found: Comparison, error: Exception | None = None) -> Row:
    async def run(_settings: Settings) -> list[Comparison]:
        if error is not None:
            raise error
        return list(found)

    return Row(order, name, f"The row {name}", run, ("pytest",))


MISSED = comparison(10.0, series("us", 2, 2), series("them", 4, 6))


def test_a_missed_target_is_a_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is 0, and both the table and the file say that it was missed."""
    status, found = run_program(monkeypatch, tmp_path / "r.json", [row(1, "one", MISSED)])
    assert status == 0
    assert "MISSED" in capsys.readouterr().out
    assert found["failed"] == {}
    (measured,) = found["rows"]  # type: ignore[misc]  # JSON
    (one,) = measured["comparisons"]
    assert (one["target"], one["reached"], one["against"]) == (10.0, False, "them")
    assert one["ratio"] == {"median": 2.5, "min": 2.0, "max": 3.0, "spread": 0.2}
    assert one["subject"]["unit"] == "µs"
    assert found["versions"]["pytest"] == pytest.__version__  # type: ignore[index]
    assert {"processor", "cores", "memory_gib", "system", "python", "load"} == found["machine"].keys()  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [CannotRun("no wrk: run benchmarks/setup"), OSError("a peer broke")])
def test_a_row_that_cannot_run_fails_the_run_but_not_the_others(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is 1, the reason is told without a traceback, and the next row is measured."""
    rows = [row(1, "broken", error=error), row(2, "fine", MISSED)]
    status, found = run_program(monkeypatch, tmp_path / "r.json", rows)
    out = capsys.readouterr().out
    assert status == 1
    assert str(error) in out
    assert "COULD NOT RUN" in out
    assert "Traceback" not in out
    assert list(found["failed"]) == ["broken"]  # type: ignore[call-overload]
    assert [one["name"] for one in found["rows"]] == ["fine"]  # type: ignore[attr-defined]


def test_only_some_rows_can_be_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """--only takes a row, and may be given again."""
    rows = [row(n, name, MISSED) for n, name in enumerate(("one", "two", "three"))]
    _, found = run_program(monkeypatch, tmp_path / "r.json", rows, "--only", "three", "--only", "one")
    assert [one["name"] for one in found["rows"]] == ["one", "three"]  # type: ignore[attr-defined]


def test_an_unknown_row_is_a_usage_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 2, and the rows that exist are named."""
    with pytest.raises(SystemExit) as stop:
        program.main(["--only", "nothing"])
    assert stop.value.code == 2
    assert "live-call" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told_before_measuring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits minutes to learn that the folder is missing."""
    monkeypatch.setattr(program, "find_rows", lambda: [row(1, "one", error=AssertionError("measured"))])
    assert program.main(["--output", str(tmp_path / "no" / "r.json")]) == 2
    captured = capsys.readouterr()
    assert "no/r.json cannot be written" in captured.err
    assert captured.out == ""
