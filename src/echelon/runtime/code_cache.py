"""Native code on disk: owner-only, keyed by digest and engine settings, authenticated.

A file is `magic · HMAC-SHA256 · code`. The key of the HMAC is made once per directory and readable by its owner
only, so a file that was truncated, written by another engine, or put there by somebody else is never mapped: it is
rebuilt.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

from echelon.errors import ConfigError
from echelon.runtime.limits import GIB

log = logging.getLogger("echelon.runtime")

_MAGIC: Final = b"echelon-code-1\0\0"
_MAC: Final = hashlib.sha256().digest_size
_LOCKS: Final = 4096
_LOCK_RETRY: Final = 0.02
"""Seconds between two attempts to take a lock that another process, or another call, holds."""
_WRITES_BETWEEN_SWEEPS: Final = 32


def private_directory(path: Path) -> Path:
    """Make a directory that only its owner may enter; raises ConfigError when it is somebody else's."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise ConfigError(f'the directory "{path}" cannot be made: {exc.strerror}') from exc
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(f'the directory "{path}" belongs to another user; name one of your own')
    if stat.S_IMODE(found.st_mode) & 0o077:
        path.chmod(0o700)
    return path


class CodeCache:
    """The directory of compiled modules, at most `size` bytes of them; what was not used for longest goes first."""

    def __init__(self, directory: Path, size: int = 4 * GIB) -> None:
        self._directory = private_directory(directory)
        self._size = size
        self._writes = 0
        self._key = self._read_key()

    def _read_key(self) -> bytes:
        path = self._directory / "key"
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_MAC))
        key = path.read_bytes()
        if len(key) < _MAC:  # another process is between creating and writing it, or it was damaged
            replacement = path.with_suffix(f".{secrets.token_hex(4)}")
            replacement.write_bytes(secrets.token_bytes(_MAC))
            replacement.chmod(0o600)
            replacement.replace(path)
            key = path.read_bytes()
        return key

    def path(self, code_key: str, digest: str) -> Path:
        return private_directory(self._directory / code_key) / f"{digest.removeprefix('sha256:')}.cwasm"

    def read(self, code_key: str, digest: str) -> bytes | None:
        """Return the native code of a module, or None when there is none that can be trusted."""
        path = self.path(code_key, digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        code = content[len(_MAGIC) + _MAC :]
        found = content[len(_MAGIC) : len(_MAGIC) + _MAC]
        if content[: len(_MAGIC)] == _MAGIC and hmac.compare_digest(found, self._mac(code_key, digest, code)):
            with contextlib.suppress(OSError):  # another process may drop it just now
                os.utime(path)
            return code
        log.warning("native code of %s failed its check and is built again", digest)
        self.discard(code_key, digest)
        return None

    def write(self, code_key: str, digest: str, code: bytes) -> None:
        """Keep the native code of a module; it appears whole or not at all."""
        path = self.path(code_key, digest)
        draft = path.with_suffix(f".{secrets.token_hex(6)}")
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + self._mac(code_key, digest, code))
                file.write(code)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        if self._writes % _WRITES_BETWEEN_SWEEPS == 0:
            self._sweep()
        self._writes += 1

    def _sweep(self) -> None:
        """Drop what was used longest ago until the rest fits; a module in use has its code in memory."""
        found = []
        for folder in self._directory.iterdir():
            with contextlib.suppress(OSError):  # the folder of a compilation that ends just now
                for path in [path for path in folder.iterdir() if path.suffix == ".cwasm"]:
                    with contextlib.suppress(OSError):
                        entry = path.stat()
                        found.append((entry.st_mtime, entry.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._size:
                break
            path.unlink(missing_ok=True)
            total -= size

    def discard(self, code_key: str, digest: str) -> None:
        self.path(code_key, digest).unlink(missing_ok=True)

    def _mac(self, code_key: str, digest: str, code: bytes) -> bytes:
        mac = hmac.new(self._key, f"{code_key}\0{digest}\0".encode(), hashlib.sha256)
        mac.update(code)
        return mac.digest()

    @contextlib.asynccontextmanager
    async def lock(self, digest: str) -> AsyncIterator[None]:
        """Hold the right to compile `digest`, across processes.

        Waits on no thread: modules that compile slowly would hold all there are, and with them everybody else.
        """
        name = int(hashlib.sha256(digest.encode()).hexdigest()[:8], 16) % _LOCKS
        path = private_directory(self._directory / "locks") / f"{name:04}"
        with path.open("wb") as file:
            while not _try_lock(file):  # noqa: ASYNC110 - what is waited for may be in another process
                await asyncio.sleep(_LOCK_RETRY)
            yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
