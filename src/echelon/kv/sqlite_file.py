"""Opening the SQLite file below a store: what is accepted, how it is laid out, what its errors mean."""

from __future__ import annotations

import os
import random
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import apsw

from echelon.errors import KvStorageError, KvUsageError
from echelon.kv import limits
from echelon.kv.sqlite_layout import Layout

T = TypeVar("T")

MEMORY: Final = ":memory:"
_MIN_FILE_BYTES: Final = 512
_IO_ATTEMPTS: Final = 50
"""How often a file that cannot be read is tried again, a few milliseconds apart."""

_CAUSES: Final[tuple[tuple[type[apsw.Error], str], ...]] = (
    (apsw.FullError, "the disk is full; nothing was written: free some space and try again"),
    (apsw.ReadOnlyError, "the file cannot be written; check its permissions and the file system"),
    (apsw.NotADBError, "it is not a SQLite database; choose another path or move the file away"),
    (apsw.CorruptError, "the file is damaged; restore it from a backup"),
    (apsw.CantOpenError, "the file cannot be opened; check that its folder exists and can be written"),
    (
        apsw.BusyError,
        f"another process held it locked for {limits.MAX_LOCK_SECONDS:.0f} s; stop that process",
    ),
    (apsw.LockedError, "the file is locked by this process"),
    (apsw.IOError, "the disk failed to read or write"),
    (apsw.SQLError, "its tables are not those of a store; restore it from a backup"),
)


def storage_error(exc: apsw.Error, path: str) -> KvStorageError:
    """Return the one error that says what `exc` means for the file at `path`."""
    cause = next((text for kind, text in _CAUSES if isinstance(exc, kind)), "SQLite failed")
    return KvStorageError(f"{path}: {cause} ({exc})")


@dataclass(slots=True)
class Patience:
    """How a connection waits for other processes: random short sleeps, so that waiters keep out of step."""

    waits: bool = True
    """False makes the connection give up at once: for use on the event loop."""

    _since: float = field(default=0.0, init=False)

    def __call__(self, attempts: int) -> bool:
        """Sleep a little and return True to try again: SQLite's busy handler."""
        if not self.waits:
            return False
        now = time.monotonic()
        if attempts == 0:
            self._since = now
        if now - self._since > limits.MAX_LOCK_SECONDS:
            return False
        time.sleep(pause(attempts))
        return True


def pause(attempts: int) -> float:
    """Return how many seconds to wait before trying a locked file again."""
    return random.uniform(0.0002, min(0.001 * (attempts + 1), 0.008))  # noqa: S311 - jitter, not a secret


@dataclass(frozen=True, slots=True)
class Connections:
    """Two connections to one file; the same one twice in memory."""

    path: str
    writer: apsw.Connection
    reader: apsw.Connection
    patience: Patience

    def close(self) -> None:
        """Close both; the last connection of all processes folds the write-ahead log into the file."""
        self.reader.close()
        self.writer.close()


def check_path(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a file a store can live in, or ":memory:"; creates nothing.

    Raises KvUsageError for what is no path at all and KvStorageError for what cannot hold a store.
    """
    try:
        name = os.fsdecode(path)
    except TypeError as exc:
        raise KvUsageError(f"a store's path is a str or a Path, got {type(path).__name__}") from exc
    if name == MEMORY:
        return name
    if not name or "\0" in name:
        raise KvUsageError('a store\'s path cannot be empty or hold a NUL; write "app.db" or ":memory:"')
    if name.startswith(":"):
        raise KvUsageError(f'a store\'s path cannot start with ":"; write "./{name}" or ":memory:"')
    if "://" in name:
        raise KvUsageError(
            f"a store's path is a file, not a URL of {name.partition('://')[0]!r:.60}; "
            'write "app.db", "postgres://…" or "https://…"'
        )
    absolute = os.path.abspath(name)
    try:
        found = Path(absolute).stat()
    except (FileNotFoundError, NotADirectoryError):
        if not Path(absolute).parent.is_dir():
            raise KvStorageError(f"{absolute}: its folder does not exist; make it first") from None
        return absolute
    except OSError as exc:
        raise KvStorageError(f"{absolute}: cannot be used for a store: {exc.strerror}") from exc
    if not stat.S_ISREG(found.st_mode):
        raise KvStorageError(f"{absolute}: is a folder or a device; a store needs a file")
    if 0 < found.st_size < _MIN_FILE_BYTES:  # SQLite takes such a file for an empty one and overwrites it
        raise KvStorageError(
            f"{absolute}: it is not a SQLite database; choose another path or move the file away"
        )
    return absolute


def open_connections(path: str, durability: str, layout: Layout) -> Connections:
    """Open or create the store at a checked path; blocks on the disk and on others that open it too.

    A new file can be read by its owner only; the files that SQLite puts beside it have the same mode.
    """
    try:
        if path != MEMORY:
            with suppress(OSError):  # SQLite says better what is wrong with a path
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        if path == MEMORY:
            memory = apsw.Connection(MEMORY)
            _migrate(memory, path, layout)
            return Connections(path, memory, memory, Patience(waits=False))
        return _retry(lambda: _open_file(path, durability, layout))
    except apsw.Error as exc:
        raise storage_error(exc, path) from exc


def _retry(attempt: Callable[[], T]) -> T:
    """Call `attempt` until the file is free: no busy handler is asked while the log mode changes.

    Who changes it removes files that another process is about to read, which SQLite calls a disk I/O error there.
    """
    deadline = time.monotonic() + limits.MAX_LOCK_SECONDS
    attempts = 0
    while True:
        try:
            return attempt()
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
        except apsw.IOError:
            if attempts >= _IO_ATTEMPTS:
                raise
        time.sleep(pause(attempts))
        attempts += 1


def _open_file(path: str, durability: str, layout: Layout) -> Connections:
    patience = Patience()
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    writer = apsw.Connection(path, flags=flags)
    try:
        writer.set_busy_handler(patience)
        _prepare(writer, path, layout)
        writer.execute(f"pragma synchronous = {durability}")
        writer.execute(f"pragma journal_size_limit = {limits.MAX_KEPT_WAL_BYTES}").fetchall()
        writer.wal_autocheckpoint(0)  # done by the writer thread after it has answered
        reader = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        reader.execute("pragma trusted_schema = off; pragma query_only = on")
        reader.wal_autocheckpoint(0)
    except BaseException:
        writer.close()
        raise
    return Connections(path, writer, reader, patience)


def _prepare(writer: apsw.Connection, path: str, layout: Layout) -> None:
    """Make sure that the file is of this layout and version, creating the tables in an empty file."""
    writer.execute("pragma trusted_schema = off; pragma cell_size_check = on")
    writer.execute("begin")  # another process may be making the store right now
    try:
        version = layout.read_schema(writer, path)
    finally:
        writer.execute("rollback")
    if writer.readonly("main"):
        raise KvStorageError(f"{path}: the file cannot be written; check its permissions")
    mode = writer.execute("pragma journal_mode = wal").get
    if mode != "wal":
        raise KvStorageError(
            f"{path}: this file system cannot share a store (log mode {mode}); use a local disk"
        )
    if version < len(layout.migrations):
        _migrate(writer, path, layout)
    for probe in layout.probes:
        writer.execute(probe).fetchall()
    if writer.execute(layout.read_version).get is None:
        raise KvStorageError(
            f"{path}: the file is damaged, its commit number is gone; restore it from a backup"
        )


def _migrate(connection: apsw.Connection, path: str, layout: Layout) -> None:
    """Bring a file to the newest schema version, or fill an empty one, in one transaction."""
    connection.execute("begin immediate")
    try:
        for statements in layout.migrations[layout.read_schema(connection, path) :]:
            connection.execute(statements)
        connection.execute(layout.mark)
        connection.execute("commit")
    finally:
        if connection.in_transaction:
            connection.execute("rollback")
