"""The program as a whole: help, mistakes, exit statuses, interruption, and what it loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_samples import ECHELON, NUMBERS, Cli, Write

import echelon
from echelon.cli import program
from echelon.cli.catalogue import ROOT
from echelon.cli.parser import HELP, Command
from echelon.cli.status import status_of
from echelon.errors import Busy, ConfigError, EchelonError, FunctionNotFound, KvKeyError, MissingExtra


def commands(group: Command = ROOT) -> list[Command]:
    """Return every command that can be run."""
    found = []
    for command in group.commands:
        found += commands(command) if command.commands else [command]
    return found


def test_the_overview_names_every_command(cli: Cli) -> None:
    """`echelon --help` is a page on standard output."""
    result = cli("--help")
    assert (result.status, result.err) == (0, "")
    for command in ROOT.commands:
        assert f"  {command.name}" in result.out
        assert command.summary in result.out
    assert cli("-h").out == result.out


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_the_page_of_a_command(cli: Cli, command: Command) -> None:
    """Every command explains each of its words and options, and fits into a terminal."""
    result = cli(*command.name.split(), "--help")
    assert (result.status, result.err) == (0, "")
    for option in (*command.options, HELP):
        assert option.shown in result.out
        assert option.help.split()[0] in result.out
    for word in command.words:
        assert word.shown in result.out
    assert max(map(len, result.out.splitlines())) <= 120
    assert cli(*command.name.split(), "-h").out == result.out


@pytest.mark.parametrize("group", ["kv", "toolchain"])
def test_the_page_of_a_group(cli: Cli, group: str) -> None:
    """A group explains its commands."""
    result = cli(group, "--help")
    found = ROOT.find(group)
    assert found is not None
    assert result.status == 0
    for command in found.commands:
        assert command.summary in result.out


def test_help_wins_over_mistakes(cli: Cli) -> None:
    """Help is shown wherever it is asked for, but not after --."""
    assert cli("call", "--nonsense", "--help").status == 0
    assert cli("call", "absent.wasm", "--", "--help").status == 2


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_every_command_exists(command: Command) -> None:
    """The module of a command has what runs it, and all it is described with is well formed."""
    module = __import__(command.module, fromlist=["run"])
    assert callable(module.run)
    assert command.summary[0].isupper()
    assert not command.summary.endswith(".")
    assert len({flag for option in command.options for flag in option.flags}) == sum(
        len(option.flags) for option in command.options
    )


def test_version(cli: Cli) -> None:
    """The version is one line."""
    assert cli("--version").out == cli("-V").out == f"echelon {echelon.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "name a command: run, build, call"),
        (["cal"], "there is no command cal; did you mean call?"),
        (["xyzzy"], "there is no command xyzzy; there are run, build, call"),
        (["--verbose"], "there is no command --verbose; "),
        (["config", "x"], "'x' is one argument too many; write: echelon config"),
        (["toolchain", "instal"], "there is no command toolchain instal; did you mean install?"),
    ],
)
def test_unknown_commands(cli: Cli, argv: list[str], message: str) -> None:
    """What is not a command gets a hint and exit status 2."""
    result = cli(*argv)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(f"echelon: {message}")


def test_the_installed_program(shell: Cli) -> None:
    """`echelon` is what pyproject.toml says it is."""
    assert shell("--version").out == f"echelon {echelon.__version__}\n"
    result = shell("call", "absent.ts", "f")
    assert (result.status, result.err) == (2, "echelon: there is no file absent.ts\n")


def test_as_a_module(place: Path) -> None:
    """`python -m echelon` is the same program."""
    done = subprocess.run([sys.executable, "-m", "echelon", "config", "--port"], capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"echelon: unknown option --port")


def test_help_loads_next_to_nothing(place: Path) -> None:
    """The first page needs neither the engine nor a server nor asyncio; that is what makes it quick."""
    code = (
        "import sys; from echelon.cli import main; main(['--help']); main(['call', '--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    heavy = {
        "asyncio", "wasmtime", "cffi", "msgspec", "granian", "opentelemetry", "apsw", "json", "typer", "rich",
        "echelon.app", "echelon.config", "echelon.kv", "echelon.http", "echelon.runtime.core", "subprocess",
    }  # fmt: skip
    assert loaded & heavy == set()


def test_colours_are_for_terminals(shell: Cli, write: Write) -> None:
    """Into a pipe goes plain text."""
    write("one.wat", NUMBERS)
    for argv in (["--help"], ["config"], ["call", "one.wat", "boom"], ["doctor", "--help"]):
        result = shell(*argv)
        assert "\x1b" not in result.out + result.err


def test_colours_on_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sees headings in bold, unless NO_COLOR is set."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "\x1b[1mCommands:\x1b[0m" in cli("--help").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in cli("--help").out


def test_a_reader_that_goes_away(place: Path) -> None:
    """`echelon … | head -1` ends without a word."""
    fill = subprocess.Popen(
        [ECHELON, "config", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert fill.stdout is not None
    fill.stdout.close()
    _, err = fill.communicate(timeout=30)
    assert err == ""
    assert fill.returncode == 141


@pytest.mark.parametrize("argv", [["--version"], ["config", "--json"], ["config"]])
def test_a_full_disk(place: Path, argv: list[str]) -> None:
    """Output that cannot be written is a failure in one line, be it short or long."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ECHELON, *argv], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "echelon: the output could not be written: No space left on device\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(write: Write, closed: str) -> None:
    """A process without its standard streams still does its work and ends with the right status."""
    write("one.wat", NUMBERS)
    for argv, status in (("call one.wat add 1 2", 0), ("call one.wat none", 2), ("nonsense", 2)):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{ECHELON} {argv} {closed}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, argv
        assert "Traceback" not in done.stderr


def test_ctrl_c(place: Path, write: Write) -> None:
    """An interrupted guest is dropped at once, without a traceback, with status 130."""
    write("one.wat", NUMBERS)
    warm = subprocess.run([ECHELON, "call", "one.wat", "add", "1", "2"], capture_output=True)
    assert warm.stdout == b"3\n"
    running = subprocess.Popen(
        [ECHELON, "call", "one.wat", "spin", "--time", "50s"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not _uses_processor(running.pid):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, "", "")


def _uses_processor(pid: int) -> bool:
    """Tell whether a process has computed for two seconds: longer than any start takes, so it is in the guest."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > 2.0


def test_an_interrupt_in_process(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """KeyboardInterrupt never leaves main()."""

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("echelon.cli.commands.config.run", interrupt)
    assert cli("config").status == 130


def test_an_unforeseen_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is one line as well; the traceback is there for whoever asks for it."""

    def fail(*_: object) -> int:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("echelon.cli.commands.config.run", fail)
    result = cli("config")
    assert result.status == 1
    assert result.err.startswith(
        "echelon: internal error: ZeroDivisionError: a b; ECHELON_DEBUG=1 shows where"
    )
    assert result.err.count("\n") == 1
    monkeypatch.setenv("ECHELON_DEBUG", "1")
    assert "Traceback" in cli("config").err


def test_an_error_of_the_system(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say, is one line that names the file."""

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device", "/x/y")

    monkeypatch.setattr("echelon.cli.commands.config.run", fail)
    result = cli("config")
    assert (result.status, result.err) == (1, "echelon: /x/y: No space left on device\n")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("x"), 2),
        (FunctionNotFound("x"), 2),
        (KvKeyError("x"), 2),
        (Busy("x"), 1),
        (MissingExtra("x", "y"), 1),
        (EchelonError("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_statuses(error: EchelonError, status: int) -> None:
    """Mistakes of the caller are 2, everything else is 1."""
    assert status_of(error) == status


def test_an_error_without_words(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even an empty error says what it is."""

    def fail(*_: object) -> int:
        raise EchelonError

    monkeypatch.setattr("echelon.cli.commands.config.run", fail)
    assert cli("config").err == "echelon: EchelonError\n"


def test_the_package_says_nothing_else() -> None:
    """What is public is main()."""
    assert echelon.cli.__all__ == ["main"]
    assert program.main is echelon.cli.main
