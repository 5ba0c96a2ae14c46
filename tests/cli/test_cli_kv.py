"""`echelon kv`: a real store, entry by entry and as a whole."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_samples import Cli, Write

from echelon.cli import main
from echelon.kv import U64, open_kv


def fill(path: Path, entries: dict[Any, Any]) -> None:
    """Store entries without the command line."""

    async def scenario() -> None:
        async with open_kv(path) as kv:
            for key, value in entries.items():
                await kv.set(key, value)

    asyncio.run(scenario())


def content(path: Path) -> dict[Any, Any]:
    """Return everything in a store."""

    async def scenario() -> dict[Any, Any]:
        async with open_kv(path) as kv:
            return {entry.key: entry.value async for entry in kv.list(prefix=())}

    return asyncio.run(scenario())


def test_set_and_get(cli: Cli, place: Path) -> None:
    """A value goes in and comes out as JSON; both ways of writing the key mean the same."""
    stored = cli("kv", "set", "users/1", '{"name": "Ada"}', "--store", "app.db")
    assert (stored.status, stored.out) == (0, "")
    assert '["users", 1] is stored, versionstamp ' in stored.err
    got = cli("kv", "get", '["users", 1]', "--store", "app.db")
    assert (got.status, got.out, got.err) == (0, '{"name": "Ada"}\n', "")
    assert content(place / "app.db") == {("users", 1): {"name": "Ada"}}


def test_a_value_from_standard_input(cli: Cli, place: Path) -> None:
    """ "-" reads the value."""
    assert cli("kv", "set", "big", "-", "--store", "app.db", stdin=b"[1, 2]\n").status == 0
    assert content(place / "app.db") == {("big",): [1, 2]}


def test_negative_numbers(cli: Cli, place: Path) -> None:
    """A value that begins with a minus is a value."""
    assert cli("kv", "set", "n", "-5", "--store", "app.db").status == 0
    assert content(place / "app.db") == {("n",): -5}


def test_an_entry_that_expires(cli: Cli) -> None:
    """--expire-in forgets the entry; a time that is over at once shows that."""
    assert cli("kv", "set", "soon", "1", "--store", "app.db", "--expire-in", "1ms").status == 0
    assert cli("kv", "set", "later", "1", "--store", "app.db", "--expire-in", "1h").status == 0
    assert cli("kv", "list", "--store", "app.db").out == '["later"]\t1\n'


def test_what_is_not_there(cli: Cli, place: Path) -> None:
    """Getting nothing is a failure, deleting nothing is not; reading makes no store."""
    fill(place / "app.db", {("a",): 1})
    got = cli("kv", "get", "b", "--store", "app.db")
    assert (got.status, got.out, got.err) == (1, "", 'echelon: nothing is stored under ["b"]\n')
    assert "nothing was stored" in cli("kv", "delete", "b", "--store", "app.db").err
    for verb in (["get", "a"], ["list"], ["export"], ["delete", "a"]):
        result = cli("kv", *verb, "--store", "absent.db")
        assert (result.status, result.err) == (2, "echelon: there is no store absent.db\n")
    assert not (place / "absent.db").exists()


def test_a_stored_null(cli: Cli, place: Path) -> None:
    """A stored None is something."""
    fill(place / "app.db", {("a",): None})
    assert cli("kv", "get", "a", "--store", "app.db").out == "null\n"


def test_delete(cli: Cli, place: Path) -> None:
    """What was deleted is gone."""
    fill(place / "app.db", {("a",): 1, ("b",): 2})
    assert cli("kv", "delete", "a", "--store", "app.db").status == 0
    assert content(place / "app.db") == {("b",): 2}


def test_list(cli: Cli, place: Path) -> None:
    """Entries come in the order of their keys, all or a part of them."""
    fill(place / "app.db", {("a",): 0, ("u", 1): "one", ("u", 2): U64(2), ("u", "x"): [3]})

    def keys(*argv: str) -> list[Any]:
        out = cli("kv", "list", *argv, "--keys", "--store", "app.db").out
        return [tuple(json.loads(line)) for line in out.splitlines()]

    assert keys() == [("a",), ("u", "x"), ("u", 1), ("u", 2)]
    assert keys("u") == [("u", "x"), ("u", 1), ("u", 2)]
    assert keys("u", "--reverse", "--limit", "2") == [("u", 2), ("u", 1)]
    assert keys("u", "--start", "u/1") == [("u", 1), ("u", 2)]
    assert keys("--start", "a", "--end", "u/2") == [("a",), ("u", "x"), ("u", 1)]
    assert cli("kv", "list", "u/2", "--store", "app.db").out == ""
    lines = cli("kv", "list", "u", "--store", "app.db").out.splitlines()
    assert lines[-1] == '["u", 2]\t{"$u64": "2"}'


def test_list_as_json(cli: Cli, place: Path) -> None:
    """--json has the versionstamp too, one entry a line."""
    fill(place / "app.db", {("a",): 0})
    found = json.loads(cli("kv", "list", "--json", "--store", "app.db").out)
    assert found == {"key": ["a"], "value": 0, "versionstamp": found["versionstamp"]}
    assert len(found["versionstamp"]) == 20


def test_export_and_import(cli: Cli, place: Path) -> None:
    """A store goes through JSON lines into another one and is the same."""
    entries = {
        ("a", 1): {"deep": [U64(5), {1, 2}]},
        ("a", 1.5): b"\xff",
        (b"\0", True): "text\nwith lines",
        **{("n", n): n for n in range(700)},
    }
    fill(place / "old.db", entries)
    exported = cli("kv", "export", "--store", "old.db")
    assert exported.err == "703 entries exported\n"
    assert len(exported.out.splitlines()) == 703
    assert (
        cli("kv", "export", "out.ndjson", "--store", "old.db").err
        == '0 entries under ["out.ndjson"] exported\n'
    )
    imported = cli("kv", "import", "--store", "new.db", stdin=exported.out.encode())
    assert (imported.status, imported.out, imported.err) == (0, "", "703 entries imported\n")
    assert content(place / "new.db") == entries


def test_export_of_a_part(cli: Cli, place: Path, write: Write) -> None:
    """A prefix exports what begins with it; import reads a file, too, and passes over empty lines."""
    fill(place / "app.db", {("a", 1): 1, ("b", 1): 2})
    lines = cli("kv", "export", "b", "--store", "app.db").out
    assert lines == '{"key": ["b", 1], "value": 2}\n'
    write("lines.jsonl", f"\n{lines}\n")
    assert cli("kv", "import", "lines.jsonl", "--store", "new.db").status == 0
    assert content(place / "new.db") == {("b", 1): 2}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "line 3 is not JSON"),
        ("[1]", 'line 3 is not an entry; write {"key": ["users", 1], "value": …}'),
        ('{"key": ["a"]}', "line 3 is not an entry"),
        ('{"key": "a", "value": 1}', "line 3: a key is a JSON array"),
        ('{"key": [null], "value": 1}', "line 3: [null] is not a key"),
        ('{"key": ["a"], "value": {"$u64": 1}}', 'line 3: {"$u64": 1} is not a $u64'),
    ],
)
def test_a_bad_line(cli: Cli, place: Path, line: str, message: str) -> None:
    """The line is named; what came before it was imported, and that is said."""
    lines = f'{{"key": [1], "value": 1}}\n{{"key": [2], "value": 2}}\n{line}\n{{"key": [3], "value": 3}}\n'
    result = cli("kv", "import", "--store", "app.db", stdin=lines.encode())
    assert result.status == 2
    assert result.err.startswith(f"echelon: {message}")
    assert result.err.endswith("; 2 entries imported before it\n")
    assert content(place / "app.db") == {(1,): 1, (2,): 2}


def test_lines_that_are_not_text(cli: Cli) -> None:
    """Bytes that are no UTF-8 are refused in one line."""
    lines = b'{"key": [1], "value": 1}\n"\xff"\n'
    result = cli("kv", "import", "--store", "app.db", stdin=lines)
    assert result.status == 2
    assert result.err == "echelon: line 2 is not UTF-8; 1 entry imported before it\n"
    value = cli("kv", "set", "a", "-", "--store", "app.db", stdin=b"\xff")
    assert (value.status, value.err) == (2, "echelon: the value on standard input is not UTF-8\n")


def test_input_that_is_too_long(cli: Cli) -> None:
    """What cannot be stored is not read to its end."""
    lines = cli("kv", "import", "--store", "app.db", stdin=b"[" * (5 << 20))
    assert lines.err == "echelon: line 1 is longer than 4194304 bytes; 0 entries imported before it\n"
    value = cli("kv", "set", "a", "-", "--store", "app.db", stdin=b"1" * (2 << 20))
    assert value.err == "echelon: the value on standard input has more than 1048576 bytes\n"


def test_without_standard_input(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without standard input is told so."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["kv", "set", "a", "-", "--store", "app.db"]) == 2


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["set", "a", "Ada"], "VALUE: 'Ada' is not JSON"),
        (["set", "a//b", "1"], "KEY: 'a//b' has an empty part"),
        (["set", "", "1"], "a key"),
        (["set", "a", "1", "--expire-in", "soon"], "--expire-in: 'soon' is not a time"),
        (["set", "a", "1", "--expire-in", "999999999999h"], "--expire-in"),
        (["set", "a", "1", "--store", "none/app.db"], "there is no folder none to make the store"),
        (["list", "--limit", "0"], "--limit: '0' is not a whole number greater than zero"),
        (["list", "--start", "z", "--end", "a"], "the start key of a list lies after its end key"),
        (["list", "a", "--start", "b"], "the start key of a list must begin with its prefix"),
        (["import", "absent.jsonl"], "absent.jsonl cannot be read: No such file"),
        (["get"], "KEY is missing; write: echelon kv get KEY"),
        (["got", "a"], "there is no command kv got; did you mean get?"),
        ([], "name a command: get, set, delete, list, watch, export, import, backup, check, stats"),
    ],
)
def test_usage_mistakes(cli: Cli, place: Path, argv: list[str], message: str) -> None:
    """A mistake is one line and exit status 2."""
    fill(place / "app.db", {("x",): 1})
    if argv and argv[0] != "got" and "--store" not in argv:
        argv = [*argv, "--store", "app.db"]
    result = cli("kv", *argv)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("echelon: ")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_a_file_that_is_no_store(cli: Cli, write: Write) -> None:
    """Some other file is left alone."""
    path = write("notes.txt", "hello " * 1000)
    result = cli("kv", "list", "--store", "notes.txt")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert path.read_text("utf-8") == "hello " * 1000


def test_the_projects_store(cli: Cli, write: Write, place: Path) -> None:
    """Without --store it is the store that the configuration names; writing makes it."""
    write("echelon.toml", 'state = "state"\n')
    missing = cli("kv", "list")
    assert missing.status == 2
    assert missing.err.endswith("state/kv.db; name another with --store WHERE\n")
    assert cli("kv", "set", "a", "1").status == 0
    assert content(place / "state/kv.db") == {("a",): 1}
    write("echelon.toml", "stat = 1\n")
    assert cli("kv", "get", "a").status == 2
