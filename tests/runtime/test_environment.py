"""A guest knows what it was given, and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from echelon.errors import ConfigError, PermissionDenied
from echelon.runtime.clock import MILLISECOND, SECOND, SYSTEM, VirtualClock
from echelon.runtime.environment import LOCALE, MAX_BYTES, Environment, host_locale
from echelon.runtime.permissions import NONE, Permissions


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHELON_T_ONE", "1")
    monkeypatch.setenv("ECHELON_T_TWO", "2")


def test_nothing_granted_is_not_an_empty_environment() -> None:
    """Without a grant there is no environment at all; with an empty list there is one with the locale alone."""
    assert Environment.build(NONE).variables is None
    assert Environment.build(Permissions(env=[])).variables == LOCALE
    assert Environment.build(NONE, variables={}).variables == LOCALE


def test_granted_variables_of_the_host() -> None:
    """Only the host's variables that are granted are visible."""
    assert Environment.build(Permissions(env=["ECHELON_T_*"])).variables == {
        "ECHELON_T_ONE": "1",
        "ECHELON_T_TWO": "2",
        **LOCALE,
    }
    assert Environment.build(Permissions(env=["ECHELON_T_ONE", "MISSING_X"])).variables == {
        "ECHELON_T_ONE": "1",
        **LOCALE,
    }
    every = Environment.build(Permissions(env=True, deny=Permissions(env=["ECHELON_T_TWO"]))).variables
    assert every is not None
    assert "ECHELON_T_ONE" in every
    assert "ECHELON_T_TWO" not in every


def test_given_variables_win_and_denials_win_over_them() -> None:
    """What the caller gives replaces the host's value; a denial hides both."""
    permissions = Permissions(env=["ECHELON_T_ONE"], deny=Permissions(env=["B"]))
    built = Environment.build(permissions, variables={"ECHELON_T_ONE": "x", "A": "ä", "B": "hidden"})
    assert built.variables == {"ECHELON_T_ONE": "x", "A": "ä", **LOCALE}
    with pytest.raises(TypeError):
        built.variables["C"] = "no"  # type: ignore[index]


def test_lookup() -> None:
    """One variable: given, granted, granted but unset, and denied."""
    permissions = Permissions(env=["ECHELON_T_ONE", "UNSET_X"])
    built = Environment.build(permissions, variables={"GIVEN": "g"})
    assert built.lookup(permissions, "GIVEN") == "g"
    assert built.lookup(permissions, "ECHELON_T_ONE") == "1"
    assert built.lookup(permissions, "UNSET_X") is None
    with pytest.raises(PermissionDenied, match="--allow-env=ECHELON_T_TWO"):
        built.lookup(permissions, "ECHELON_T_TWO")


@pytest.fixture
def somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host in another language and time zone."""
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", "de_CH.UTF-8")
    monkeypatch.setenv("TZ", "Europe/Zurich")


@pytest.mark.usefixtures("somewhere")
def test_the_locale_is_the_same_everywhere() -> None:
    """Unless it is granted, a guest sees neither the language nor the time zone of the host."""
    assert LOCALE == {"LANG": "C.UTF-8", "TZ": "UTC"}
    for permissions in (NONE, Permissions(env=[], sys=["clock"]), Permissions(env=["ECHELON_T_*"])):
        built = Environment.build(permissions)
        assert [built.lookup(permissions, name) for name in LOCALE] == ["C.UTF-8", "UTC"]
    with pytest.raises(PermissionDenied):
        built.lookup(NONE, "LC_ALL")


@pytest.mark.usefixtures("somewhere")
def test_the_locale_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sys` grants both, `env` one of them; what the caller gives wins; a seeded call sees the same everywhere."""
    granted = Permissions(sys=["locale"], env=[])
    assert Environment.build(granted).variables == {"LANG": "de_CH.UTF-8", "TZ": "Europe/Zurich"}
    assert Environment.build(granted, seed=1).variables == LOCALE
    assert Environment.build(Permissions(env=["TZ"])).variables == {"LANG": "C.UTF-8", "TZ": "Europe/Zurich"}
    assert Environment.build(granted, variables={"LANG": "fr"}).variables == {
        "LANG": "fr",
        "TZ": "Europe/Zurich",
    }
    monkeypatch.setenv("LC_ALL", "it_CH.UTF-8")
    assert Environment.build(Permissions(sys=True)).lookup(NONE, "LANG") == "it_CH.UTF-8"
    for name in ("LC_ALL", "LANG", "TZ"):
        monkeypatch.delenv(name)
    zone = host_locale()
    assert zone["LANG"] == "C.UTF-8"
    assert zone["TZ"]
    assert not zone["TZ"].startswith("/")


@pytest.mark.usefixtures("somewhere")
def test_a_denied_locale() -> None:
    """A denial hides one of them, granted or not."""
    permissions = Permissions(env=[], sys=["locale"], deny=Permissions(env=["TZ"]))
    built = Environment.build(permissions)
    assert built.variables == {"LANG": "de_CH.UTF-8"}
    with pytest.raises(PermissionDenied, match="without --deny-env=TZ"):
        built.lookup(permissions, "TZ")
    refused = Permissions(env=[], sys=True, deny=Permissions(sys=["locale"]))
    assert Environment.build(refused).variables == LOCALE


@pytest.mark.parametrize(
    ("variables", "args"),
    [
        ({"": "x"}, ()),
        ({"A=B": "x"}, ()),
        ({"A": "x\0y"}, ()),
        ({"A\0": "x"}, ()),
        ({"A": 1}, ()),
        ({"A": "\ud800"}, ()),
        (None, ("x\0",)),
        (None, (1,)),
        (None, ("x" * (MAX_BYTES + 1),)),
        ({"A": "x" * MAX_BYTES}, ("y",)),
    ],
)
def test_what_cannot_be_passed_on_is_refused(variables: object, args: object) -> None:
    """A name, text or size that a guest could not be given is an error here, not in the guest."""
    with pytest.raises(ConfigError):
        Environment.build(NONE, variables=variables, args=args)  # type: ignore[arg-type]


def test_clocks_are_coarse_unless_granted() -> None:
    """Both clocks move in steps of a millisecond, and as finely as the host's when "clock" is granted."""
    coarse, fine = Environment.build(NONE), Environment.build(Permissions(sys=["clock"]))
    assert (coarse.resolution, fine.resolution) == (MILLISECOND, 1)
    for _ in range(50):
        assert coarse.wall() % MILLISECOND == 0
        assert coarse.monotonic() % MILLISECOND == 0
    assert any(fine.wall() % MILLISECOND for _ in range(50))
    before = time.time_ns()
    assert before - MILLISECOND <= coarse.wall() <= time.time_ns()
    assert coarse.monotonic() <= coarse.monotonic()


def test_random_is_random_unless_seeded() -> None:
    """Without a seed no two are alike; with one the bytes follow from the seed, its type and the calls."""
    assert Environment.build(NONE).random(16) != Environment.build(NONE).random(16)
    one, two = Environment.build(NONE, seed=7), Environment.build(NONE, seed=7)
    first = [one.random(n) for n in (0, 5, 100)]
    assert first == [two.random(n) for n in (0, 5, 100)]
    assert [len(part) for part in first] == [0, 5, 100]
    assert one.random(8) != one.random(8)
    streams = {Environment.build(NONE, seed=seed).random(16) for seed in (7, 8, "7", b"7", -7)}
    assert len(streams) == 5


def test_fresh_begins_again() -> None:
    """A seeded environment, or one with a clock of its own, starts over for each call; others are reused."""
    plain = Environment.build(NONE)
    assert plain.fresh() is plain
    seeded = Environment.build(NONE, seed="s", clock=VirtualClock(start=5 * SECOND))
    seen = []
    for _ in range(3):
        call = seeded.fresh()
        seen.append((call.random(8), call.wall(), call.monotonic(), call.wall()))
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][1] == 5 * SECOND


async def test_virtual_time_passes_only_when_used() -> None:
    """A sleep of an hour takes no time and moves both clocks by an hour."""
    clock = VirtualClock(start=0)
    before = clock.monotonic()
    await clock.sleep(3600 * SECOND)
    assert clock.monotonic() - before == 3600 * SECOND + MILLISECOND
    await clock.sleep(-5)
    assert clock.monotonic() > before


async def test_system_sleep_waits_and_can_be_cancelled() -> None:
    """A real sleep lasts at least as long as asked, and one of centuries can be started and cancelled."""
    start = time.monotonic_ns()
    await SYSTEM.sleep(20 * MILLISECOND)
    assert time.monotonic_ns() - start >= 20 * MILLISECOND
    task = asyncio.create_task(SYSTEM.sleep((1 << 64) - 1))
    await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_none_of_it_loads_the_engine() -> None:
    """Permissions, environment and WASI can be used without the native library."""
    code = (
        "import sys, echelon.runtime.wasi, echelon.runtime.environment, echelon.runtime.permissions;"
        "sys.exit(bool({'cffi', '_cffi_backend', 'wasmtime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
