"""The modules that clients have stored: their records in the key-value store, their bytes in files.

    ("echelon", "modules", "records", label)           the record; the label is the name, or the digest without one
    ("echelon", "modules", "digests", digest, label)   which labels a digest has
    <state>/modules/<digest>.wasm                      the bytes, never dropped, checked against the digest when read

Every worker reads the records anew for each request, so what one of them stores or deletes is so for all.
Changes are made under a lock on the directory, so that no file goes while another process gives it a name.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import re
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from echelon.console.problems import bad_request
from echelon.errors import HTTPError, KvUsageError, KvValueError
from echelon.kv import Key, Kv
from echelon.plugin.artifacts import Artifact, ArtifactStore
from echelon.runtime import binary, exports
from echelon.runtime.limits import Limits
from echelon.runtime.permissions import Permissions

log = logging.getLogger("echelon.console")

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
MAX_DESCRIPTIONS: Final = 512

_RECORDS: Final[Key] = ("echelon", "modules", "records")
_DIGESTS: Final[Key] = ("echelon", "modules", "digests")
_LOCK_FILE: Final = "lock"
_LOCK_WAIT: Final = 0.005


class Record(msgspec.Struct, frozen=True):
    """One stored module; `permissions` and `limits` are as `parse` reads them, `paths` where they led then."""

    digest: str
    name: str | None
    language: str
    permissions: dict[str, Any]
    limits: dict[str, Any]
    paths: list[str]
    created: datetime
    provenance: dict[str, Any] | None = None
    """How it was compiled, as `Artifact.provenance` has it; None for a module that was sent."""

    @property
    def label(self) -> str:
        """What the module is found by."""
        return self.name or self.digest


@dataclass(frozen=True, slots=True)
class Description:
    """What a module's bytes say of it, in the form the control API answers with."""

    size: int
    exports: list[dict[str, Any]]
    imports: list[dict[str, Any]]


Describe = Callable[[bytes], Awaitable[Description]]


def check_name(name: str) -> str:
    """Return a module's name; raises HTTPError 400 for one that cannot be a name."""
    if NAME.fullmatch(name) is None:
        raise bad_request(
            f"name: {name[:80]!r} is not a name; write 1 to 64 letters, digits, dots, underscores and dashes,"
            " the first a letter or a digit"
        )
    return name


def granted_paths(permissions: Permissions) -> list[str]:
    """Return where every granted or denied path leads, links followed when the permissions were made."""
    parts = (permissions, permissions.deny)
    return [grant.path for part in parts if part is not None for grant in part.path_grants()]


def describe(wasm: bytes) -> Description:
    """Read what a module exports and imports; raises InvalidModule. Nothing is compiled."""
    info = binary.parse(wasm)
    signature, plans = exports.read(wasm, info)
    functions = exports.public_functions(plans, signature)
    imports = [
        {"module": i.module, "name": i.name, "kind": i.kind} | ({"type": str(i.type)} if i.type else {})
        for i in info.imports
    ]
    return Description(len(wasm), [function.to_dict() for function in functions], imports)


class Registry:
    """The stored modules of one application, shared by all its processes."""

    def __init__(self, kv: Kv, directory: Path, describe_component: Describe | None = None) -> None:
        """Without `describe_component` no components are stored: only an engine knows what their types are."""
        self._kv = kv
        self._describe_component = describe_component
        self._files = ArtifactStore(directory, size=sys.maxsize)
        self._turn = asyncio.Lock()
        self._descriptions: OrderedDict[str, Description] = OrderedDict()

    def open(self) -> None:
        """Make the directory; raises ConfigError when it cannot be trusted."""
        self._files.open()

    async def put(
        self,
        artifact: Artifact,
        name: str | None,
        language: str,
        permissions: Permissions,
        limits: Limits,
    ) -> Record:
        """Store a module under its name, or its digest without one, instead of what is there."""
        record = Record(
            digest=artifact.digest,
            name=name,
            language=language,
            permissions=permissions.to_dict(),
            limits=limits.to_dict(),
            paths=granted_paths(permissions),
            created=datetime.now(UTC),
            provenance=artifact.provenance(),
        )
        self._remember(artifact.digest, await self._describe(artifact.wasm))
        async with self._alone():
            await asyncio.to_thread(self._files.put, artifact)
            replaced = await self._commit(record)
            if replaced is not None and replaced != artifact.digest:
                await self._drop_file(replaced)
        return record

    async def find(self, ref: str) -> Record:
        """Return the record of a name or digest; raises HTTPError 404, or 409 when a digest is not enough."""
        if DIGEST.fullmatch(ref) is None and NAME.fullmatch(ref) is None:
            raise HTTPError(
                404, f'no module is stored as {ref[:80]!r}; use a name, or "sha256:" and 64 digits'
            )
        record = (await self._kv.get((*_RECORDS, ref), type=Record)).value
        if record is None and DIGEST.fullmatch(ref):
            record = await self._named(ref)
        if record is None:
            raise HTTPError(404, f"no module is stored as {ref!r}; POST one to /_echelon/v1/modules")
        return record

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Record], str | None]:
        """Return a page of records in the order of their labels, and where the next page begins."""
        try:
            listing = self._kv.list(prefix=_RECORDS, limit=limit + 1, cursor=cursor, type=Record)
        except KvUsageError as exc:
            raise bad_request(f"cursor: {exc}") from exc
        records: list[Record] = []
        following: str | None = None
        async for entry in listing:
            if len(records) == limit:
                return records, following
            if entry.value is not None:
                records.append(entry.value)
            following = listing.cursor
        return records, None

    async def delete(self, ref: str) -> None:
        """Remove a name, or by its digest a module under every name; raises HTTPError 404."""
        async with self._alone():
            if DIGEST.fullmatch(ref) is None:
                digest = (await self.find(ref)).digest
                labels = [ref]
            else:
                digest, labels = ref, await self._labels(ref)
            if not labels:
                raise HTTPError(404, f"no module is stored as {ref!r}")
            for label in labels:
                change = self._kv.atomic().delete((*_RECORDS, label)).delete((*_DIGESTS, digest, label))
                await change.commit()
            await self._drop_file(digest)

    async def wasm(self, record: Record) -> bytes:
        """Return the bytes of a stored module, checked; raises HTTPError when they are gone."""
        found = await asyncio.to_thread(self._files.get, record.digest)
        if found is None:
            now = (await self._kv.get((*_RECORDS, record.label), type=Record)).value
            if now is None or now.digest != record.digest:
                raise HTTPError(
                    404, f"the module {record.label} was replaced or deleted meanwhile; ask again"
                )
            log.error("the file of the module %s is missing or damaged in %s", record, self._files.directory)
            raise HTTPError(
                500, f"the file of the module {record.label} is missing or damaged: post it again"
            )
        return found.wasm

    async def description(self, record: Record) -> Description:
        """Return what a stored module exports and imports."""
        known = self._descriptions.get(record.digest)
        if known is None:
            known = await self._describe(await self.wasm(record))
        self._remember(record.digest, known)
        return known

    async def _describe(self, wasm: bytes) -> Description:
        if wasm[:8] == binary.COMPONENT_MAGIC and self._describe_component is not None:
            return await self._describe_component(wasm)
        return await asyncio.to_thread(describe, wasm)

    def _remember(self, digest: str, description: Description) -> None:
        self._descriptions[digest] = description
        self._descriptions.move_to_end(digest)
        while len(self._descriptions) > MAX_DESCRIPTIONS:
            self._descriptions.popitem(last=False)

    async def _commit(self, record: Record) -> str | None:
        """Write a record and its index; return the digest that the label had before."""
        while True:
            key: Key = (*_RECORDS, record.label)
            old = await self._kv.get(key, type=Record)
            change = self._kv.atomic().check(old).set((*_DIGESTS, record.digest, record.label), True)
            try:
                change.set(key, record)
            except KvValueError as exc:
                raise bad_request(f"permissions: they are too large to be stored: {exc}") from exc
            before = None if old.value is None else old.value.digest
            if before is not None and before != record.digest:
                change.delete((*_DIGESTS, before, record.label))
            if (await change.commit()).ok:
                return before

    async def _named(self, digest: str) -> Record | None:
        """Return the record of a digest that is stored under names; they must grant the same."""
        found: Record | None = None
        for label in await self._labels(digest):
            record = (await self._kv.get((*_RECORDS, label), type=Record)).value
            if record is None or record.digest != digest:
                continue
            if found is None:
                found = record
            elif (found.permissions, found.limits) != (record.permissions, record.limits):
                raise HTTPError(
                    409,
                    f"{digest} is stored as {found.label} and as {record.label}, with different permissions"
                    " or limits: use one of the names",
                )
        return found

    async def _labels(self, digest: str) -> list[str]:
        listing = self._kv.list(prefix=(*_DIGESTS, digest))
        return [str(entry.key[-1]) async for entry in listing]

    async def _drop_file(self, digest: str) -> None:
        """Remove the file of a digest that has no label left; the lock must be held."""
        if not await self._labels(digest):
            await asyncio.to_thread(self._files.delete, digest)
            self._descriptions.pop(digest, None)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Hold the lock on the directory; it ends with its process, however that ends."""
        async with self._turn:
            handle = os.open(self._files.directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                # Not a blocking lock in a thread: that could not be cancelled, and would stay locked.
                while not _try_lock(handle):  # noqa: ASYNC110 - the other side may be another process
                    await asyncio.sleep(_LOCK_WAIT)
                yield
            finally:
                os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
