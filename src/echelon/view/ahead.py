"""Pages that `echelon build` wrote, so that serving them needs no tool of JavaScript.

    <folder>/bundle          the script of all pages and what belongs to it
    <folder>/files/NAME      what browsers fetch, under /_views/NAME; names change with the content

A bundle is for the sources it was made of: other ones, or another Echelon, and it is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from echelon.errors import ConfigError
from echelon.view.bundler import KIT, Bundle
from echelon.view.sources import Sources

REVISION: Final = 1
"""Raise it when the same sources make another bundle, by what is not in the kit."""
BUNDLE: Final = "bundle"
FILES: Final = "files"


class _Record(msgspec.Struct):
    key: str
    digests: dict[str, str]
    bundle: Bundle


def key_of(sources: Sources, pages: Sequence[str], layouts: Sequence[str]) -> str:
    """Return what stands for everything that a bundle is made of here."""
    digest = hashlib.sha256(_kit())
    for names in (pages, layouts):
        digest.update(msgspec.json.encode(list(names)))
    for name in sorted(sources.files):
        digest.update(msgspec.json.encode([name, hashlib.sha256(sources.files[name]).hexdigest()]))
    return digest.hexdigest()


@cache
def _kit() -> bytes:
    digest = hashlib.sha256(str(REVISION).encode())
    for path in sorted(KIT.rglob("*.js")):
        digest.update(path.read_bytes())
    return digest.digest()


def write(folder: Path, made: Bundle, key: str) -> None:
    """Write a bundle into a folder that is not there yet."""
    (folder / FILES).mkdir(parents=True)
    for name, content in made.assets.items():
        (folder / FILES / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in made.assets.items()}
    record = _Record(key, digests, replace(made, assets={}))
    (folder / BUNDLE).write_bytes(msgspec.msgpack.encode(record))


def read(folder: Path, key: str) -> Bundle | None:
    """Return the bundle in a folder, None when it is of other sources; raises ConfigError for one that is damaged."""
    try:
        record = msgspec.msgpack.decode((folder / BUNDLE).read_bytes(), type=_Record)
        if record.key != key:
            return None
        assets = {name: (folder / FILES / name).read_bytes() for name in record.digests}
    except (OSError, msgspec.MsgspecError) as exc:
        raise ConfigError(f"{folder}: what was built cannot be read ({exc}); type: echelon build") from exc
    for name, content in assets.items():
        if hashlib.sha256(content).hexdigest() != record.digests[name]:
            raise ConfigError(f"{folder / FILES / name}: is not what was built; type: echelon build")
    return replace(record.bundle, assets=assets)
