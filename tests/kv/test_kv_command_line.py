"""`echelon kv` on stores that have a server: PostgreSQL, and KV Connect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ECHELON = Path(sys.executable).with_name("echelon")
TOKEN = "a-token-for-tests"


def echelon(*argv: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program."""
    environment = {**os.environ, **variables}
    return subprocess.run(
        [ECHELON, "kv", *argv],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=50,
        env=environment,
        check=False,
    )


def use(*store: str, **variables: str) -> None:
    """Do with a store what every kind of it can do."""
    assert echelon("set", "users/1", '{"n": {"$u64": "5"}}', *store, **variables).returncode == 0
    assert echelon("get", "users/1", *store, **variables).stdout == '{"n": {"$u64": "5"}}\n'
    lines = "".join(f'{{"key": ["n", {n}], "value": {{"$bytes": "AAE="}}}}\n' for n in range(600))
    imported = echelon("import", *store, stdin=lines, **variables)
    assert (imported.returncode, imported.stderr) == (0, "600 entries imported\n")
    assert echelon("delete", "n/7", *store, **variables).returncode == 0
    listed = echelon("list", "n", "--reverse", "--limit", "2", "--keys", *store, **variables)
    assert listed.stdout == '["n", 599]\n["n", 598]\n'
    exported = echelon("export", *store, **variables)
    assert len(exported.stdout.splitlines()) == 600
    watched = echelon("watch", "users/1", "n/7", "--limit", "2", *store, **variables)
    assert watched.stdout == '["users", 1]\t{"n": {"$u64": "5"}}\n["n", 7]\n'


def test_postgres(postgres_url: str, tmp_path: Path) -> None:
    """A store on PostgreSQL is used by its URL, checked and counted; its backup is the server's."""
    store = ("--store", postgres_url)
    use(*store)
    checked = echelon("check", *store)
    assert (checked.returncode, checked.stderr) == (0, "the store is sound\n")
    assert json.loads(echelon("stats", "--json", *store).stdout)["entries"] == 600
    backup = echelon("backup", str(tmp_path / "copy"), *store)
    assert backup.returncode == 2
    assert "pg_dump" in backup.stderr


@contextmanager
def serving(path: Path) -> Iterator[str]:
    """Serve a store over KV Connect by the command line; yields its URL."""
    process = subprocess.Popen(
        [ECHELON, "kv", "serve", str(path), "--port", "0", "--token", TOKEN],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        yield process.stderr.readline().split(" on ")[1].split(" ")[0]
    finally:
        process.terminate()
        process.communicate()


def test_connect(tmp_path: Path) -> None:
    """A served store is used by its URL, with the token of an option or a variable."""
    with serving(tmp_path / "app.db") as url:
        use("--store", url, ECHELON_KV_TOKEN=TOKEN)
        assert echelon("get", "users/1", "--store", url, "--token", TOKEN).returncode == 0
        refused = echelon("get", "users/1", "--store", url, "--token", "another-token")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "another-token" not in refused.stderr
        counted = echelon("stats", "--store", url, "--token", TOKEN)
        assert (counted.returncode, counted.stderr.count("\n")) == (2, 1)


def test_the_projects_server(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --store the URL of the configuration counts, for `kv serve` as well."""
    monkeypatch.chdir(tmp_path)
    assert echelon("set", "a", "1", ECHELON_KV_URL=postgres_url).returncode == 0
    assert echelon("get", "a", "--store", postgres_url).stdout == "1\n"
    monkeypatch.setenv("ECHELON_KV_URL", postgres_url)
    process = subprocess.Popen(
        [ECHELON, "kv", "serve", "--port", "0", "--token", TOKEN], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        url = said.split(" on ")[1].split(" ")[0]
        assert echelon("get", "a", "--store", url, "--token", TOKEN).stdout == "1\n"
    finally:
        process.terminate()
        process.communicate()


def test_passwords_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a failure nor `kv serve` shows the password in a URL."""
    monkeypatch.chdir(tmp_path)
    url = "postgres://ada:hunter2@127.0.0.1:1/db"
    for argv in (["get", "a", "--store", url], ["serve", url, "--port", "0"]):
        done = echelon(*argv)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "hunter2" not in done.stderr
