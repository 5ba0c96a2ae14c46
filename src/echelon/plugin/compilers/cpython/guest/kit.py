"""Echelon's kit for scripts: `echelon.kv`, `echelon.fetch`, `echelon.env`, `echelon.log`, `Request` and `Response`.

All of it works within the permissions that the script's module was granted; what is not granted ends the call.
"""

from __future__ import annotations

import json as _json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import echelon_wire as _wire  # type: ignore[import-not-found]  # `wire.py` under its name in the engine

Error = _wire.Failure
Key = Sequence[str | int | float | bool | bytes]

_LEVELS = ("debug", "info", "warning", "error")


def env(name: str, default: str | None = None) -> str | None:
    """Return a variable of the environment, the default when it is not set."""
    answer = _wire.look(name)
    return answer[1:].decode() if answer[:1] == b"1" else default


class _Log:
    """Writes to the log of the call: `log("text")`, `log.warning("text")`."""

    def __call__(self, *values: object) -> None:
        self._write(1, values)

    def debug(self, *values: object) -> None:
        self._write(0, values)

    def info(self, *values: object) -> None:
        self._write(1, values)

    def warning(self, *values: object) -> None:
        self._write(2, values)

    def error(self, *values: object) -> None:
        self._write(3, values)

    def _write(self, level: int, values: tuple[object, ...]) -> None:
        _wire.tell(_wire.LOG, " ".join(map(str, values)).encode("utf-8", "replace"), level)


log = _Log()


# The key-value store ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """What is stored under a key; value and versionstamp are None when there is nothing."""

    key: tuple[Any, ...]
    value: Any
    versionstamp: str | None


@dataclass(frozen=True)
class Commit:
    """What came of a write: whether it was made, and its versionstamp."""

    ok: bool
    versionstamp: str | None


def _milliseconds(expire_in: float | timedelta | None) -> float:
    if expire_in is None:
        return 0
    seconds = expire_in.total_seconds() if isinstance(expire_in, timedelta) else expire_in
    if seconds <= 0:
        raise ValueError("expire_in must be greater than zero")
    return max(1, int(seconds * 1000))


def _key(key: Key) -> list[Any]:
    if isinstance(key, str | bytes):
        raise TypeError(f"a key is a tuple such as ({key!r},)")
    return list(key)


def _entry(answer: dict[str, Any]) -> Entry:
    return Entry(tuple(answer["key"]), answer["value"], answer["versionstamp"])


class _Kv:
    """The store, as far as its keys were granted. `expire_in` is seconds or a timedelta."""

    def get(self, key: Key) -> Entry:
        return _entry(_wire.ask("kv_get", _key(key)))

    def set(self, key: Key, value: Any, *, expire_in: float | timedelta | None = None) -> Commit:
        return Commit(**_wire.ask("kv_set", _key(key), value, _milliseconds(expire_in)))

    def delete(self, key: Key) -> None:
        _wire.ask("kv_delete", _key(key))

    def list(
        self,
        prefix: Key = (),
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        """Yield the entries below a prefix in the order of their keys."""
        bounds = [None if bound is None else _key(bound) for bound in (start, end)]
        left, cursor = limit, ""
        while left is None or left > 0:
            batch = 100 if left is None else min(left, 100)
            answer = _wire.ask("kv_list", _key(prefix), *bounds, batch, reverse, cursor)
            yield from map(_entry, answer["entries"])
            cursor = answer["cursor"]
            if left is not None:
                left -= len(answer["entries"])
            if not cursor:
                return

    def atomic(self) -> Atomic:
        return Atomic()


class Atomic:
    """Changes that are made together, if nothing that was checked has changed; nothing happens before `commit()`."""

    def __init__(self) -> None:
        self._checks: list[Any] = []
        self._changes: list[Any] = []

    def check(
        self, entry: Entry | None = None, *, key: Key | None = None, versionstamp: str | None = None
    ) -> Atomic:
        if entry is not None:
            key, versionstamp = entry.key, entry.versionstamp
        if key is None:
            raise TypeError("check() takes an entry, or a key and a versionstamp")
        self._checks.append([_key(key), versionstamp])
        return self

    def set(self, key: Key, value: Any, *, expire_in: float | timedelta | None = None) -> Atomic:
        self._changes.append(["set", _key(key), value, _milliseconds(expire_in)])
        return self

    def delete(self, key: Key) -> Atomic:
        self._changes.append(["delete", _key(key)])
        return self

    def sum(self, key: Key, amount: int) -> Atomic:
        self._changes.append(["sum", _key(key), amount])
        return self

    def min(self, key: Key, amount: int) -> Atomic:
        self._changes.append(["min", _key(key), amount])
        return self

    def max(self, key: Key, amount: int) -> Atomic:
        self._changes.append(["max", _key(key), amount])
        return self

    def commit(self) -> Commit:
        return Commit(**_wire.ask("kv_atomic", self._checks, self._changes))


kv = _Kv()


# HTTP -------------------------------------------------------------------------------------------------------


class Headers(Mapping[str, str]):
    """Headers by name in any case; of several with one name the first counts, `pairs` has all."""

    def __init__(self, pairs: Mapping[str, str] | Sequence[Sequence[str]] = ()) -> None:
        items = pairs.items() if isinstance(pairs, Mapping) else pairs
        self.pairs = [(name, value) for name, value in items]

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for known, value in self.pairs:
            if known.lower() == wanted:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self.pairs))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.pairs})


@dataclass(frozen=True)
class Request:
    """A request that a script answers; `path` is relative to where the script is mounted."""

    method: str
    path: str
    query_string: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def url(self) -> str:
        return f"{self.path}?{self.query_string}" if self.query_string else self.path

    @property
    def query(self) -> dict[str, str]:
        """The query's values by name, of several with one name the first."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query_string, keep_blank_values=True, max_num_fields=1000):
            found.setdefault(name, value)
        return found

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return _json.loads(self.body)


class Response:
    """An answer: a text is sent as text/plain, bytes as they are; anything else by `Response.json(value)`."""

    def __init__(
        self,
        body: str | bytes = b"",
        status: int = 200,
        headers: Mapping[str, str] | Sequence[Sequence[str]] = (),
        *,
        media_type: str | None = None,
    ) -> None:
        usual = "text/plain; charset=utf-8" if isinstance(body, str) else "application/octet-stream"
        self.status, self.headers = status, Headers(headers)
        self.body = body.encode() if isinstance(body, str) else bytes(body)
        if "content-type" not in self.headers:
            self.headers.pairs.append(("content-type", media_type or usual))

    @classmethod
    def json(
        cls, value: Any, status: int = 200, headers: Mapping[str, str] | Sequence[Sequence[str]] = ()
    ) -> Response:
        text = _json.dumps(value, ensure_ascii=False, default=_wire._more)
        return cls(text.encode(), status, headers, media_type="application/json")

    @classmethod
    def html(cls, text: str, status: int = 200) -> Response:
        return cls(text.encode(), status, media_type="text/html; charset=utf-8")


@dataclass(frozen=True)
class Answer:
    """What a server answered to `fetch`; `url` is the last one when redirects were followed."""

    status: int
    url: str
    headers: Headers
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return _json.loads(self.body)


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | Sequence[Sequence[str]] = (),
    body: str | bytes = b"",
    json: Any = None,
    follow: bool = True,
) -> Answer:
    """Make a request and return its answer, whatever its status; raises `echelon.Error` when there is none."""
    pairs = [[name, value] for name, value in Headers(headers).pairs]
    if json is not None:
        body = _json.dumps(json, ensure_ascii=False)
        pairs.append(["content-type", "application/json"])
    status, final, found, content, problem = _wire.ask("fetch", method, url, pairs, body, follow)
    if problem:
        raise Error(problem)
    return Answer(status, final, Headers(found), content.encode() if isinstance(content, str) else content)
