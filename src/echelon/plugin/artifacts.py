"""The store of compiled modules: files in one private directory, found by digest or by their source's key.

    <directory>/<sha256 of the module>.wasm      the module
    <directory>/<sha256 of the module>.json      its record
    <directory>/key-<key>.json                   the record again, under the key of its source
    <directory>/<sha256 of the module>.pin       keeps the module from being dropped

Several processes may use one directory: files appear by rename, and are checked against their digest when
read, so a torn or altered file is as good as none. The least recently used files go when the store is full.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from echelon.errors import ConfigError, Diagnostic, EchelonError
from echelon.runtime import signature as signatures
from echelon.runtime.signature import Signature

DEFAULT_SIZE = 1 << 30
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_KEEP = 0.9  # of the size, after old files were dropped
_SCAN_EVERY = 256  # puts; other processes write too


@dataclass(frozen=True, slots=True)
class Artifact:
    """A compiled module and where it came from.

    `digest` is of the module's bytes. `cached` says that nothing was compiled for this answer, and
    `compile_ms` is what this answer took. `optimizing` says that a better one is being made, which the same
    question brings later. `compiler` and what follows is its provenance.
    """

    wasm: bytes = field(repr=False)
    digest: str
    language: str
    diagnostics: tuple[Diagnostic, ...] = ()
    cached: bool = False
    compile_ms: float = 0.0
    optimizing: bool = False
    signature: Signature | None = None
    compiler: str = ""
    optimize: str = "none"
    optimizer: str = ""
    source_digest: str = ""
    names: bool = True
    debug: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    made: datetime | None = None

    def provenance(self) -> dict[str, Any] | None:
        """Return how the module was made, as data; None for one that was not compiled here."""
        if not self.compiler:
            return None
        return {
            "compiler": self.compiler,
            "optimize": self.optimize,
            "optimizer": self.optimizer,
            "names": self.names,
            "debug": self.debug,
            "options": dict(self.options),
            "source": self.source_digest,
            "made": None if self.made is None else self.made.isoformat(timespec="seconds"),
        }


class _Record(msgspec.Struct):
    digest: str
    language: str
    diagnostics: tuple[Diagnostic, ...]
    signature: str | None
    compiler: str
    optimize: str
    source_digest: str
    names: bool = True
    debug: bool = False
    options: dict[str, str] = {}
    made: datetime | None = None
    optimizer: str = ""


_decoder = msgspec.json.Decoder(_Record)


def digest_of(wasm: bytes) -> str:
    """Return the name of a module: "sha256:…"."""
    return "sha256:" + hashlib.sha256(wasm).hexdigest()


class ArtifactStore:
    """Compiled modules on disk, at most `size` bytes of them. Methods block for one small file."""

    def __init__(self, directory: str | Path, size: int = DEFAULT_SIZE) -> None:
        self.directory = Path(directory)
        self.size = size
        self._puts = 0
        self._bytes = -1  # unknown until the first scan

    def open(self) -> None:
        """Make the directory, for this user alone; raises ConfigError when it cannot be trusted."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise ConfigError(
                f"{self.directory}: cannot keep compiled modules there: {exc.strerror}"
            ) from exc
        if not self.trusted():
            raise ConfigError(
                f"{self.directory}: others may write here, so nothing in it can be trusted;"
                f" make it yours alone: chmod 700 {self.directory}"
            )

    def trusted(self) -> bool:
        """Tell whether the directory is there, and no other user may write to it."""
        try:
            found = self.directory.stat()
        except OSError:
            return False
        return os.name != "posix" or (
            found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o022
        )

    def get(self, digest: str) -> Artifact | None:
        """Return the module of that digest ("sha256:…"), or None when it is not (or no longer) here."""
        match = _DIGEST.fullmatch(digest)
        found = self._read(match[1]) if match else None
        return found if found is not None and found.digest == digest else None

    def find(self, key: str) -> Artifact | None:
        """Return what was stored under the key of its source, or None."""
        return self._read(f"key-{key}")

    def put(self, artifact: Artifact, key: str | None = None) -> None:
        """Store a module for good (it survives a power failure), also under the key of its source."""
        name = _name(artifact.digest)
        record = _encode(artifact)
        try:
            self._write(f"{name}.wasm", artifact.wasm)
            self._write(f"{name}.json", record)
            if key is not None:
                self._write(f"key-{key}.json", record, durable=False)
        except OSError as exc:
            raise EchelonError(f"{self.directory}: cannot store a compiled module: {exc.strerror}") from exc
        self._account(len(artifact.wasm) + 2 * len(record))

    def pin(self, digest: str) -> None:
        """Keep a module until `unpin`, however full the store gets; raises KeyError when it is not here."""
        name = _name(digest)
        pin = self.directory / f"{name}.pin"
        pin.touch(mode=0o600)
        if not (self.directory / f"{name}.wasm").exists():
            pin.unlink(missing_ok=True)
            raise KeyError(digest)

    def unpin(self, digest: str) -> None:
        """Let a module go when the store needs the room."""
        (self.directory / f"{_name(digest)}.pin").unlink(missing_ok=True)

    def delete(self, digest: str) -> bool:
        """Remove a module and its pin; returns whether it was here."""
        name = _name(digest)
        found = (self.directory / f"{name}.wasm").exists()
        for suffix in (".pin", ".wasm", ".json"):
            (self.directory / f"{name}{suffix}").unlink(missing_ok=True)
        return found

    def evict(self) -> int:
        """Drop the least recently used files until the store fits; returns how many went."""
        files = self._scan()
        self._bytes = sum(size for _, size, _ in files)
        if self._bytes <= self.size:
            return 0
        dropped = 0
        for _, size, name in sorted(files):
            if self._bytes <= self.size * _KEEP:
                break
            if not (self.directory / f"{name.partition('.')[0]}.pin").exists():
                with suppress(OSError):
                    (self.directory / name).unlink()
                    self._bytes -= size
                    dropped += 1
        return dropped

    def _scan(self) -> list[tuple[int, int, str]]:
        """Return (last use, size, name) of every file that may be dropped."""
        files: list[tuple[int, int, str]] = []
        with os.scandir(self.directory) as entries:
            for entry in entries:
                if entry.name.endswith((".wasm", ".json", ".tmp")):
                    with suppress(FileNotFoundError):  # another process dropped it
                        found = entry.stat(follow_symlinks=False)
                        files.append((found.st_mtime_ns, found.st_size, entry.name))
        return files

    def _account(self, written: int) -> None:
        self._puts += 1
        if self._bytes >= 0:
            self._bytes += written
        if self._bytes < 0 or self._bytes > self.size or self._puts % _SCAN_EVERY == 0:
            self.evict()

    def _read(self, stem: str) -> Artifact | None:
        path = self.directory / f"{stem}.json"
        try:
            artifact = _decode(path.read_bytes())
            module = self.directory / f"{_name(artifact.digest)}.wasm"
            wasm = module.read_bytes()
        except (OSError, ValueError):  # absent, torn or altered: all the same, it is made anew
            return None
        if digest_of(wasm) != artifact.digest:
            return None
        for used in (path, module):
            with suppress(OSError):
                os.utime(used)
        return replace(artifact, wasm=wasm)

    def _write(self, name: str, content: bytes, durable: bool = True) -> None:
        temporary = self.directory / f"{secrets.token_hex(8)}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(self.directory / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _name(digest: str) -> str:
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise ValueError(f'"{digest}" is not a digest; it reads "sha256:" and 64 hexadecimal digits')
    return match[1]


def _encode(artifact: Artifact) -> bytes:
    """Return the record of an artifact: a checksum, a line feed, JSON."""
    body = msgspec.json.encode(
        _Record(
            artifact.digest,
            artifact.language,
            artifact.diagnostics,
            None if artifact.signature is None else signatures.encode(artifact.signature).decode(),
            artifact.compiler,
            artifact.optimize,
            artifact.source_digest,
            artifact.names,
            artifact.debug,
            dict(artifact.options),
            artifact.made,
            artifact.optimizer,
        )
    )
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _decode(content: bytes) -> Artifact:
    """Read a record; the module itself is still missing. Raises ValueError when it is torn or altered."""
    checksum, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError("the record does not match its checksum")
    record = _decoder.decode(body)
    return Artifact(
        wasm=b"",
        digest=record.digest,
        language=record.language,
        diagnostics=record.diagnostics,
        cached=True,
        signature=None if record.signature is None else signatures.decode(record.signature.encode()),
        compiler=record.compiler,
        optimize=record.optimize,
        optimizer=record.optimizer,
        source_digest=record.source_digest,
        names=record.names,
        debug=record.debug,
        options=record.options,
        made=record.made,
    )
