"""The store of compiled modules, on a real directory."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from echelon.errors import ConfigError, Diagnostic, EchelonError
from echelon.plugin.artifacts import Artifact, ArtifactStore, digest_of
from echelon.runtime.signature import Function, Signature, Value

KEY = "ab" * 32
SIGNATURE = Signature("core", "test", {"f": Function("f", (Value("i32", "a"),), (Value("str"),))})


def make(content: bytes = b"\0asm\x01\0\0\0", **fields: object) -> Artifact:
    return Artifact(content, digest_of(content), "test", **fields)  # type: ignore[arg-type]  # any field


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "store")
    store.open()
    return store


def test_what_was_put_is_found_by_digest_and_by_key(store: ArtifactStore) -> None:
    """Every field comes back, from either door, marked as cached."""
    put = make(
        diagnostics=(Diagnostic(1, 2, "warning", "odd", "a.ts"),),
        signature=SIGNATURE,
        compiler="test 1",
        optimize="size",
        optimizer="binaryen 132",
        source_digest="sha256:00",
        options={"standard": "c99"},
        made=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    store.put(put, KEY)
    for found in (store.get(put.digest), store.find(KEY)):
        assert found is not None
        assert found.cached
        assert found.wasm == put.wasm
        assert found.signature == SIGNATURE
        assert found.diagnostics == put.diagnostics
        assert (found.digest, found.language, found.compiler) == (put.digest, "test", "test 1")
        assert (found.optimize, found.source_digest) == ("size", "sha256:00")
        assert found.provenance() == {
            "compiler": "test 1",
            "optimize": "size",
            "optimizer": "binaryen 132",
            "names": True,
            "debug": False,
            "options": {"standard": "c99"},
            "source": "sha256:00",
            "made": "2026-01-02T03:04:05+00:00",
        }
    assert make().provenance() is None


def test_what_was_never_put_is_not_found(store: ArtifactStore) -> None:
    """A miss is None, also for what is not a digest at all."""
    assert store.find(KEY) is None
    assert store.get("sha256:" + "0" * 64) is None
    for odd in ("", "sha256:", "../../etc/passwd", "sha256:" + "Z" * 64, "md5:" + "0" * 64):
        assert store.get(odd) is None


def test_a_key_is_no_digest(store: ArtifactStore) -> None:
    """The key of a source does not open the door for digests."""
    store.put(make(), KEY)
    assert store.get(f"sha256:{KEY}") is None


@pytest.mark.parametrize("damage", [b"", b"\0asm", b"\0asm\x01\0\0\1", b"\0asm\x01\0\0\0more"])
def test_an_altered_module_is_as_good_as_none(store: ArtifactStore, damage: bytes) -> None:
    """The digest is checked on every read."""
    put = make()
    store.put(put, KEY)
    (store.directory / f"{put.digest[7:]}.wasm").write_bytes(damage)
    assert store.find(KEY) is None
    assert store.get(put.digest) is None
    store.put(put, KEY)
    assert store.find(KEY) is not None


def test_an_altered_record_is_as_good_as_none(store: ArtifactStore) -> None:
    """Flipping any one byte of a record, or cutting it anywhere, makes it a miss."""
    store.put(make(signature=SIGNATURE), KEY)
    path = store.directory / f"key-{KEY}.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert store.find(KEY) is None
        path.write_bytes(whole[:at])
        assert store.find(KEY) is None
    path.write_bytes(whole)
    assert store.find(KEY) is not None


def test_the_directory_is_private(store: ArtifactStore) -> None:
    """Directory and files are for their owner alone."""
    store.put(make(), KEY)
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    for path in store.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_directory_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """Modules that a stranger could have put there are never used."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match="chmod 700"):
        ArtifactStore(tmp_path / "open").open()


def test_a_file_in_the_place_of_the_directory_is_one_error(tmp_path: Path) -> None:
    """The message names the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file: cannot keep compiled modules there"):
        ArtifactStore(tmp_path / "file").open()


def test_a_disk_that_refuses_is_one_error(store: ArtifactStore) -> None:
    """A put that cannot be written says so and leaves no half file behind."""
    store.directory.rename(store.directory.with_name("gone"))
    with pytest.raises(EchelonError, match="cannot store a compiled module"):
        store.put(make(), KEY)


def test_a_full_store_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    """Reading counts as use, and the store stays below its size."""
    store = ArtifactStore(tmp_path / "store", size=40_000)
    store.open()
    modules = [make(bytes([index]) * 8_000) for index in range(8)]
    store.put(modules[0], "0" * 64)
    for index in range(1, 8):
        time.sleep(0.01)  # so that times of use differ
        store.put(modules[index], f"{index}" * 64)
        assert store.get(modules[0].digest) is not None, "used again and again, so it stays"
    assert store.get(modules[7].digest) is not None
    assert store.get(modules[1].digest) is None
    assert sum(path.stat().st_size for path in store.directory.iterdir()) <= 40_000 + 9_000


def test_a_pinned_module_stays_however_full_the_store_is(tmp_path: Path) -> None:
    """A deployed module survives every eviction until it is unpinned."""
    store = ArtifactStore(tmp_path / "store", size=20_000)
    store.open()
    kept = make(b"k" * 8_000)
    store.put(kept)
    store.pin(kept.digest)
    for index in range(6):
        time.sleep(0.01)
        store.put(make(bytes([index]) * 8_000))
    assert store.get(kept.digest) is not None
    store.unpin(kept.digest)
    old = time.time_ns() - 10**12
    for path in store.directory.glob(f"{kept.digest[7:]}.*"):
        os.utime(path, ns=(old, old))
    store.put(make(b"z" * 8_000))
    store.evict()
    assert store.get(kept.digest) is None


def test_only_a_stored_module_can_be_pinned(store: ArtifactStore) -> None:
    """Pinning what is not there raises, and leaves no pin behind."""
    with pytest.raises(KeyError):
        store.pin("sha256:" + "1" * 64)
    assert list(store.directory.iterdir()) == []
    with pytest.raises(ValueError, match="not a digest"):
        store.pin("../x")


def test_deleting_says_whether_it_was_there(store: ArtifactStore) -> None:
    """A deleted module is gone with its pin; deleting again is False."""
    put = make()
    store.put(put, KEY)
    store.pin(put.digest)
    assert store.delete(put.digest)
    assert not store.delete(put.digest)
    assert store.get(put.digest) is None
    assert store.find(KEY) is None
    assert not list(store.directory.glob("*.pin"))


WRITER = """
import sys
from echelon.plugin.artifacts import Artifact, ArtifactStore, digest_of
store = ArtifactStore(sys.argv[1], size=200_000)
store.open()
for index in range(150):
    content = bytes([index % 20]) * 5_000
    store.put(Artifact(content, digest_of(content), "test"), f"{index % 20:064x}")
    found = store.find(f"{index % 20:064x}")
    if found is not None and found.wasm != content:
        sys.exit("a foreign module under this key")
"""


def test_processes_share_a_store(tmp_path: Path) -> None:
    """Three processes that put, find and evict at once see whole modules or none, and never fail."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "store")]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, said = process.communicate(timeout=50)
        assert process.returncode == 0, said.decode()
    assert not list((tmp_path / "store").glob("*.tmp"))


def test_a_killed_writer_leaves_nothing_that_is_read(tmp_path: Path) -> None:
    """After kill -9 in the middle of writing, every module found is whole."""
    command = [sys.executable, "-c", WRITER.replace("range(150)", "range(10**9)"), str(tmp_path / "store")]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 30
    while len(list((tmp_path / "store").glob("*.wasm"))) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    store = ArtifactStore(tmp_path / "store")
    store.open()
    found = [store.find(f"{index:064x}") for index in range(20)]
    assert any(found)
    assert all(item.digest == digest_of(item.wasm) for item in found if item)


async def test_puts_from_threads_at_once(store: ArtifactStore) -> None:
    """The generator stores from worker threads: many at once are all kept."""
    artifacts = [make(bytes([index]) * 100) for index in range(40)]
    await asyncio.gather(*(asyncio.to_thread(store.put, item, item.digest[7:]) for item in artifacts))
    assert all(store.get(item.digest) is not None for item in artifacts)
