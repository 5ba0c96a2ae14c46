"""`echelon kv` on whole stores, on every kind of store, and on a terminal."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from cli_samples import ECHELON, Cli, Write

from echelon.kv import U64, open_kv
from echelon.kv.v8_format import JsError, JsRegExp


def fill(path: Path, entries: dict[Any, Any], **options: Any) -> None:
    """Store entries without the command line."""

    async def scenario() -> None:
        async with open_kv(path, **options) as kv:
            for key, value in entries.items():
                await kv.set(key, value)

    asyncio.run(scenario())


def content(path: Path, **options: Any) -> list[Any]:
    """Return everything in a store; not as a dict, to which 1 and 1.0 are one key."""

    async def scenario() -> list[Any]:
        async with open_kv(path, **options) as kv:
            return [(entry.key, entry.value) async for entry in kv.list(prefix=())]

    return asyncio.run(scenario())


JAVASCRIPT = {
    ("a", 1.0): {"n": 1.0, "big": 1, "list": [None, True, "x"]},
    ("error",): JsError("TypeError", "no", "at x", cause={"code": 5.0}),
    ("regexp",): JsRegExp("a+", "gi"),
    ("array",): array("d", [1.0, float("nan")]),
    ("u64",): U64(7),
    ("bytes",): b"\0\xff",
    ("set",): {1.0, "two"},
    ("map",): {1.0: "one", "two": 2},
}


def test_a_file_of_deno(cli: Cli, place: Path) -> None:
    """--format deno reads and writes it, and what is missed because of JavaScript's numbers is said."""
    fill(place / "deno.db", {("users", 1.0): {"name": "Ada"}}, format="deno")
    deno = ("--store", "deno.db", "--format", "deno")
    assert cli("kv", "get", '["users", 1.0]', *deno).out == '{"name": "Ada"}\n'
    missed = cli("kv", "get", "users/1", *deno)
    assert missed.status == 1
    assert missed.err == (
        'echelon: nothing is stored under ["users", 1]; there is ["users", 1.0], as JavaScript writes it\n'
    )
    assert cli("kv", "get", "users/2", *deno).err == 'echelon: nothing is stored under ["users", 2]\n'
    assert cli("kv", "set", "n", "1.0", *deno).status == 0
    assert content(place / "deno.db", format="deno")[0] == (("n",), 1.0)
    assert cli("kv", "list", "--store", "deno.db").status == 1


def test_between_formats(cli: Cli, place: Path) -> None:
    """Every kind of value goes from one kind of store to another and back as it is."""
    fill(place / "one.db", JAVASCRIPT, format="deno")
    lines = cli("kv", "export", "--store", "one.db", "--format", "deno").out
    assert cli("kv", "import", "--store", "two.db", stdin=lines.encode()).status == 0
    again = cli("kv", "export", "--store", "two.db").out
    assert [json.loads(line) for line in again.splitlines()] == [
        json.loads(line) for line in lines.splitlines()
    ]
    back = cli("kv", "import", "--store", "three.db", "--format", "deno", stdin=again.encode())
    assert (back.status, back.err) == (0, "8 entries imported\n")
    one, three = content(place / "one.db", format="deno"), content(place / "three.db", format="deno")
    assert repr(one) == repr(three)


def test_get_as_json(cli: Cli, place: Path) -> None:
    """--json has key and versionstamp too."""
    fill(place / "app.db", {("a", 1): U64(5)})
    found = json.loads(cli("kv", "get", "a/1", "--json", "--store", "app.db").out)
    assert found == {"key": ["a", 1], "value": {"$u64": "5"}, "versionstamp": found["versionstamp"]}


def test_large_values(cli: Cli, place: Path) -> None:
    """--max-value accepts what the default does not, from standard input as well as in lines."""
    value = json.dumps("x" * 3_000_000)
    refused = cli("kv", "set", "big", "-", "--store", "app.db", stdin=value.encode())
    assert (refused.status, "has more than 1048576 bytes" in refused.err) == (2, True)
    options = ("--store", "app.db", "--max-value", "4MiB")
    assert cli("kv", "set", "big", "-", *options, stdin=value.encode()).status == 0
    lines = cli("kv", "export", "--store", "app.db").out
    assert "too large" in cli("kv", "import", "--store", "new.db", stdin=lines.encode()).err
    assert cli("kv", "import", "--store", "new.db", "--max-value", "4MiB", stdin=lines.encode()).status == 0
    assert content(place / "new.db") == [(("big",), "x" * 3_000_000)]
    assert cli("kv", "set", "a", "1", "--store", "app.db", "--max-value", "lots").status == 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["get", "a", "--store", "ftp://x/y"], "is not a postgres://, http:// or https:// address"),
        (["get", "a", "--store", "app.db", "--token", "x"], "token= means nothing to a SQLite file"),
        (["get", "a", "--store", "app.db", "--format", "csv"], "--format: invalid choice: 'csv'"),
        (["watch", "--store", "app.db"], "KEY is missing; name the keys to watch"),
        (["watch", *"abcdefghijk", "--store", "app.db"], "watch() takes at most 10 keys, got 11"),
        (["watch", "a", "--limit", "x", "--store", "app.db"], "--limit: 'x' is not a whole number"),
    ],
)
def test_mistakes(cli: Cli, place: Path, argv: list[str], message: str) -> None:
    """What cannot be is one line and status 2."""
    fill(place / "app.db", {("x",): 1})
    result = cli("kv", *argv)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert message in result.err


def test_passwords_are_not_shown(cli: Cli, write: Write) -> None:
    """A URL that is wrong or cannot be reached is told without its password."""
    write("echelon.toml", '[kv]\nurl = "postgres://ada:hunter2@127.0.0.1:1/db"\n')
    shown = cli("config")
    assert "postgres://ada:********@127.0.0.1:1/db" in shown.out
    assert "hunter2" not in shown.out + cli("kv", "get", "a").err
    assert 'kv.url = "postgres://ada:hunter2@127.0.0.1:1/db"' in cli("config", "--show-secrets").out


@contextmanager
def watching(place: Path, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """Run `echelon kv watch` for as long as the test needs it."""
    process = subprocess.Popen(
        [ECHELON, "kv", "watch", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_watch(cli: Cli, place: Path) -> None:
    """Entries are printed as they are, and again when another process changes or deletes them."""
    fill(place / "app.db", {("a",): 1})
    with watching(place, "a", "b/1", "--store", "app.db") as process:
        assert [line(process), line(process)] == ['["a"]\t1\n', '["b", 1]\n']
        fill(place / "app.db", {("b", 1): {"x": U64(2)}})
        assert line(process) == '["b", 1]\t{"x": {"$u64": "2"}}\n'
        assert cli("kv", "delete", "a", "--store", "app.db").status == 0
        assert line(process) == '["a"]\n'
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_watch_for_some_lines(cli: Cli, place: Path) -> None:
    """--limit ends it, --json writes objects."""
    fill(place / "app.db", {("a",): 1})
    result = cli("kv", "watch", "a", "b", "--json", "--limit", "2", "--store", "app.db")
    first, second = map(json.loads, result.out.splitlines())
    assert result.status == 0
    assert first == {"key": ["a"], "value": 1, "versionstamp": first["versionstamp"]}
    assert second == {"key": ["b"], "value": None, "versionstamp": None}


def test_backup(cli: Cli, place: Path) -> None:
    """A store is copied whole; nothing is overwritten."""
    fill(place / "app.db", {("n", n): n for n in range(100)})
    done = cli("kv", "backup", "copy.db", "--store", "app.db")
    assert (done.status, done.out, done.err) == (0, "", "the store is copied to copy.db\n")
    assert content(place / "copy.db") == content(place / "app.db")
    again = cli("kv", "backup", "copy.db", "--store", "app.db")
    assert (again.status, again.err.count("\n")) == (2, 1)
    assert "exists already" in again.err


def test_check(cli: Cli, place: Path) -> None:
    """A sound store is said to be sound; a damaged one is told about, with status 1."""
    fill(place / "app.db", {("n", n): "x" * 500 for n in range(200)})
    sound = cli("kv", "check", "--store", "app.db")
    assert (sound.status, sound.out, sound.err) == (0, "", "the store is sound\n")
    connection = apsw.Connection(str(place / "app.db"))
    connection.execute("update kv set value = x'c1' where key = (select key from kv limit 1)")
    connection.close()
    damaged = cli("kv", "check", "--store", "app.db")
    assert damaged.status == 1
    assert "cannot be read" in damaged.out


def test_stats(cli: Cli, place: Path) -> None:
    """Entries, messages and bytes are counted."""

    async def scenario() -> None:
        async with open_kv(place / "app.db") as kv:
            await kv.set(("a",), 1)
            await kv.enqueue(1)

    asyncio.run(scenario())
    shown = cli("kv", "stats", "--store", "app.db")
    assert shown.status == 0
    assert "entries      1, " in shown.out
    assert "messages     1: 1 due, 0 being handled" in shown.out
    found = json.loads(cli("kv", "stats", "--json", "--store", "app.db").out)
    assert (found["entries"], found["messages"], found["due"]) == (1, 1, 1)


def on_a_terminal(place: Path, *argv: str) -> tuple[int, bytes, str]:
    """Run the program with a terminal for standard error; return status, output and what the terminal was sent."""
    master, terminal = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            seen.append(data)

    reader = threading.Thread(target=read)
    process = subprocess.Popen(
        [ECHELON, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal, cwd=place
    )
    os.close(terminal)
    reader.start()
    out, _ = process.communicate(timeout=60)
    reader.join()
    os.close(master)
    return process.returncode, out, b"".join(seen).decode()


def test_progress(place: Path) -> None:
    """Long work says how far it is on a terminal, on a line that is wiped at the end; elsewhere nothing."""
    lines = "".join(f'{{"key": ["n", {n}], "value": "{"x" * 200}"}}\n' for n in range(20_000))
    (place / "lines.jsonl").write_text(lines)
    status, out, screen = on_a_terminal(place, "kv", "import", "lines.jsonl", "--store", "app.db")
    assert (status, out) == (0, b"")
    assert "\r\x1b[Kimporting [" in screen
    assert "% " in screen
    assert screen.endswith("\r\x1b[K20000 entries imported\r\n")
    status, out, screen = on_a_terminal(place, "kv", "export", "--store", "app.db")
    assert (status, out.count(b"\n")) == (0, 20_000)
    assert "exporting" in screen
    done = subprocess.run(
        [ECHELON, "kv", "export", "--store", "app.db"], cwd=place, capture_output=True, check=True, timeout=60
    )
    assert done.stderr == b"20000 entries exported\n"
