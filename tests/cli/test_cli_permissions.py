"""`echelon call` and permissions: questions at a terminal, named sets, traces, the store."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_samples import ECHELON, Cli, Write

from echelon.cli.prompt import Prompt
from echelon.cli.terminal import Terminal
from echelon.cli.trace import Trace
from echelon.kv import open_kv
from echelon.runtime.grants import Answer, Question
from echelon.runtime.permissions import Permissions, Use

GUEST = """
import { env, file, kv } from "echelon"
export function variable(name: string): string { const v = env.get(name); return v === null ? "unset" : v }
export function both(): string { return variable("ONE") + variable("TWO") }
export function read(path: string): string { const t = file.readText(path); return t === null ? "none" : t }
export function count(): u64 {
  const key = kv.key("visits").text("all");
  kv.atomic().sum(key, 1).commit();
  const entry = kv.get(key);
  return entry === null ? 0 : entry.number();
}
"""


@pytest.fixture
def guest(write: Write, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ONE", "1")
    monkeypatch.setenv("TWO", "2")
    write("guest.ts", GUEST)
    return "guest.ts"


class Session:
    """The installed program with a terminal as standard input and error, and somebody who types."""

    def __init__(self, argv: Sequence[str], answers: Sequence[bytes]) -> None:
        self._master, terminal = pty.openpty()
        process = subprocess.Popen(
            [ECHELON, *argv], stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, start_new_session=True
        )
        os.close(terminal)
        self.screen = ""
        for answer in answers:
            self._read_until("[n] ")
            time.sleep(0.2)  # what is typed before the question is dropped
            os.write(self._master, answer)
            self.screen += "<answered>"
        with process:
            self.out = process.stdout.read().decode() if process.stdout else ""
            self.status = process.wait(50)
        self._read_until(None)
        os.close(self._master)

    def _read_until(self, text: str | None) -> None:
        deadline = time.monotonic() + 40
        while text is None or not self.screen.endswith(text):
            left = 0.2 if text is None else deadline - time.monotonic()
            if not select.select([self._master], [], [], max(left, 0))[0]:
                if text is None:
                    return
                raise TimeoutError(self.screen)
            try:
                data = os.read(self._master, 4096)
            except OSError:  # the other side is closed
                return
            self.screen += data.decode()


# Questions ---------------------------------------------------------------------------------------------


def test_a_yes_allows_one_thing(guest: str) -> None:
    """Each thing is asked for once, a yes lets the call go on, and its time limit does not run meanwhile."""
    session = Session(["call", guest, "both", "--time", "300ms"], [b"y\n", b"yes\n"])
    assert (session.status, session.out) == (0, "12\n")
    assert 'guest.ts asks for env to "ONE"' in session.screen
    assert 'guest.ts asks for env to "TWO"' in session.screen
    assert "y allows it, a allows every env of this run, n refuses [n]" in session.screen


def test_always_allows_the_rest(guest: str) -> None:
    """After "a" nothing more of that kind is asked for."""
    session = Session(["call", guest, "both"], [b"a\n"])
    assert (session.status, session.out) == (0, "12\n")
    assert session.screen.count("asks for") == 1


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"what\n", b"\x04"])
def test_anything_else_refuses(guest: str, answer: bytes) -> None:
    """A no, an empty line, nonsense and the end of input are a no, and the denial says what to add."""
    session = Session(["call", guest, "both"], [answer])
    assert (session.status, session.out) == (1, "")
    assert 'env to "ONE" (grant it with --allow-env=ONE)' in session.screen


@pytest.mark.parametrize("options", [["--no-prompt"], ["--deny-env"]])
def test_nobody_is_asked(guest: str, options: list[str]) -> None:
    """Not with --no-prompt, and not for what is denied."""
    session = Session(["call", guest, "both", *options], [])
    assert session.status == 1
    assert "asks for" not in session.screen
    assert "permission denied" in session.screen


def test_nobody_is_asked_without_a_terminal(shell: Cli, guest: str) -> None:
    """In a script a missing grant is an error, at once."""
    result = shell("call", guest, "both", stdin=b"y\ny\n")
    assert (result.status, result.out) == (1, "")
    assert "asks for" not in result.err


def test_a_question_cannot_be_forged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control characters of a target are made harmless, and a long one is cut in the middle."""
    monkeypatch.setattr(sys, "stdin", open(os.devnull))  # noqa: SIM115 - closed below
    try:
        prompt = Prompt(Terminal.standard({"NO_COLOR": "1"}))
        assert prompt(Question("a\x1b[2J", "read", "x\r\x1b[1A\ny" + "z" * 500 + "end")) is Answer.NO
    finally:
        sys.stdin.close()
    shown = capsys.readouterr().err
    assert re.search(r"[\x00-\x09\x0b-\x1f]", shown) is None
    assert shown.count("\n") == 1  # the one after the target; the answer stands on the question's line
    assert "end (511 characters)" in shown
    assert len(shown) < 400


# Named sets --------------------------------------------------------------------------------------------


def test_named_sets(cli: Cli, guest: str, write: Write) -> None:
    """A set of echelon.toml is granted; options add to it, and denials of either hold."""
    write(
        "echelon.toml",
        '[permissions.some]\nenv = ["ONE"]\n[permissions.less]\nenv = true\ndeny.env = ["TWO"]\n',
    )
    assert cli("call", guest, "variable", "ONE", "--permissions", "some").out == "1\n"
    assert cli("call", guest, "both", "--permissions", "some").status == 1
    assert cli("call", guest, "both", "--permissions", "some", "--allow-env=TWO").out == "12\n"
    assert cli("call", guest, "both", "--permissions", "less", "--allow-env=TWO").status == 1
    unknown = cli("call", guest, "both", "--permissions", "none")
    assert (unknown.status, "there is no set 'none'; there are some, less" in unknown.err) == (2, True)
    write("other.toml", "")
    missing = cli("call", guest, "both", "--permissions", "some", "--config", "other.toml")
    assert (missing.status, "write [permissions.NAME] in echelon.toml" in missing.err) == (2, True)


# Traces ------------------------------------------------------------------------------------------------


def test_the_trace_of_a_run_grants_the_next_one(cli: Cli, guest: str, place: Path) -> None:
    """What --trace-permissions prints is enough to run again, and no more than was used."""
    (place / "notes.txt").write_text("hello")
    traced = cli("call", guest, "both", "--allow-env", "--allow-read", "--allow-net", "--trace-permissions")
    assert traced.err == "permissions used: --allow-env=ONE,TWO\n"
    again = traced.err.removeprefix("permissions used: ").split()
    assert cli("call", guest, "both", *again).out == "12\n"
    traced = cli("call", guest, "read", "notes.txt", "--allow-read", "--trace-permissions")
    option = traced.err.removeprefix("permissions used: ").strip()
    assert cli("call", guest, "read", "notes.txt", option).out == "hello\n"
    assert cli("call", guest, "read", "guest.ts", option).status == 1


def test_the_trace_of_a_failure_and_of_nothing(cli: Cli, guest: str) -> None:
    """A run that was stopped shows what it used until then; one that used nothing says so."""
    stopped = cli("call", guest, "both", "--allow-env=ONE", "--trace-permissions")
    assert stopped.status == 1
    assert "permissions used: --allow-env=ONE\n" in stopped.err
    assert "permissions used: none" in cli("call", guest, "variable", "X", "--trace-permissions").err


def test_traces_of_every_kind() -> None:
    """Hosts have their port, keys their beginning, a crowd of files is its folder, and everything is quoted."""
    trace, permissions = Trace(), Permissions(env=["A", "B*"], net=True)

    def use(kind: str, target: str, grant: str = "", allowed: bool = True) -> None:
        trace.note(Use(kind, target, grant or f"--allow-{kind}={target}", allowed))

    use("net", "a.org:443", "--allow-net=a.org")
    use("net", "denied.org:443", allowed=False)
    use("kv", "users/1", "--allow-kv=users")
    for n in range(9):
        use("read", f"/data/{n}")
    use("read", "/etc/hosts")
    use("write", "/tmp/a file")
    use("env", "*")
    use("env", "C")
    assert trace.options(permissions) == (
        "--allow-net=a.org:443 --allow-read=/data,/etc/hosts '--allow-write=/tmp/a file' '--allow-env=A,B*,C'"
        " --allow-kv=users"
    )
    use("read", "/a,b")
    use("kv", "1", "--allow-kv")
    assert "--allow-read '--allow-write" in trace.options(permissions)
    assert trace.options(permissions).endswith(" --allow-kv")
    assert "--allow-env " in trace.options(Permissions(env=True))


# The store ---------------------------------------------------------------------------------------------


def test_the_store(cli: Cli, guest: str, place: Path) -> None:
    """--store names the store, which is made; without it the project's has to be there."""
    for expected in ("1\n", "2\n"):
        assert cli("call", guest, "count", "--allow-kv=visits", "--store", "app.db").out == expected

    async def stored() -> object:
        async with open_kv(place / "app.db") as kv:
            return (await kv.get(("visits", "all"))).value

    assert asyncio.run(stored()) == 2
    missing = cli("call", guest, "count", "--allow-kv=visits")
    assert (missing.status, "name one with --store FILE" in missing.err) == (2, True)
    assert cli("call", guest, "count", "--allow-kv=x", "--store", "no/app.db").status == 2
    denied = cli("call", guest, "count", "--allow-kv=other", "--store", "app.db")
    assert (denied.status, "--allow-kv=visits" in denied.err) == (1, True)
    assert cli("call", guest, "variable", "ONE", "--allow-env").out == "1\n"
    assert "echelon.toml" not in os.listdir(place)


def test_inspect_knows_the_new_functions(cli: Cli, write: Write) -> None:
    """What the store and the network need follows from the imports."""
    write("net.ts", 'import { net, kv } from "echelon"\nexport function f(): i32 { kv.remove(kv.key("a")); '
          'return net.get("http://a.org").status }\n')  # fmt: skip
    shown = cli("inspect", "net.ts").out
    assert re.search(r"--allow-net +fetch", shown)
    assert re.search(r"--allow-kv +kv_delete", shown)
    assert "nothing provides it" not in shown
