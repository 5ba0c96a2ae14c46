"""The kit of guests in typed Python: `from echelon.guest import Request, Response, kv, env, log, fetch`.

It is one file because it is compiled into the guest that imports it, so it is typed Python itself. To CPython, editors
and type checkers it is an ordinary module: requests and responses can be made and looked at there, so that `handle()`
can be tested as it is; what asks the host (`kv`, `env`, `log`, `fetch`) raises RuntimeError outside a guest.

`Key`, `Value`, `Content` and `Json` are what a caller may pass. Compiled, they arrive as what the host reads: `Key` as
bytes, `Json` as its text, the others as `Stored`. What raises RuntimeError here the compiler replaces by calls of the
host.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, overload

Key = tuple[str | int | float | bool | bytes, ...] | list[str] | list[int]
Value = Any
Content = str | bytes
Json = Any


_OUTSIDE = "the host is there in a guest alone: load or mount this file as a module"


@dataclass
class Stored:
    """A value as the store has it: kind 0 for bytes, 1 for a text, 2 for JSON, 3 for a number that `sum` works on."""

    kind: int
    content: bytes


# What the host does ---------------------------------------------------------------------------------------------


def _env_get(name: bytes) -> bytes | None:
    raise RuntimeError(_OUTSIDE)


def _log(level: int, text: bytes) -> None:
    raise RuntimeError(_OUTSIDE)


def _kv_get(key: bytes) -> bytes | None:
    raise RuntimeError(_OUTSIDE)


def _kv_set(key: bytes, kind: int, content: bytes, milliseconds: int) -> bytes | None:
    raise RuntimeError(_OUTSIDE)


def _kv_delete(key: bytes) -> None:
    raise RuntimeError(_OUTSIDE)


def _kv_list(request: bytes) -> bytes | None:
    raise RuntimeError(_OUTSIDE)


def _kv_atomic(commit: bytes) -> bytes | None:
    raise RuntimeError(_OUTSIDE)


def _fetch(request: bytes) -> bytes | None:
    raise RuntimeError(_OUTSIDE)


def _u32(number: int) -> bytes:
    raise RuntimeError(_OUTSIDE)


def _i64(number: int) -> bytes:
    raise RuntimeError(_OUTSIDE)


def _f64(number: float) -> bytes:
    raise RuntimeError(_OUTSIDE)


def _read_u32(content: bytes, at: int) -> int:
    raise RuntimeError(_OUTSIDE)


def _read_i64(content: bytes, at: int) -> int:
    raise RuntimeError(_OUTSIDE)


def _read_f64(content: bytes, at: int) -> float:
    raise RuntimeError(_OUTSIDE)


def _joined(parts: list[bytes]) -> bytes:
    raise RuntimeError(_OUTSIDE)


def _packed(key: Key) -> bytes:
    raise RuntimeError(_OUTSIDE)


def _packed_or_none(key: Key | None) -> bytes | None:
    raise RuntimeError(_OUTSIDE)


def _stored(value: Value) -> Stored:
    raise RuntimeError(_OUTSIDE)


def _encoded(content: Content) -> Stored:
    """Return what a body is made of, and that it is a text."""
    if isinstance(content, str):
        return Stored(1, content.encode())
    return Stored(0, bytes(content))


def _as_json(value: Json) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=vars)


def _sized(content: bytes) -> bytes:
    return _u32(len(content)) + content


def _part_of_bytes(part: bytes) -> bytes:
    return _u32(1) + _sized(part)


def _part_of_text(part: str) -> bytes:
    return _u32(2) + _sized(part.encode())


def _part_of_int(part: int) -> bytes:
    return _u32(3) + _i64(part)


def _part_of_float(part: float) -> bytes:
    return _u32(4) + _f64(part)


def _part_of_bool(part: bool) -> bytes:
    return _u32(5) + _u32(1 if part else 0)


def _key_of_texts(parts: list[str]) -> bytes:
    return _u32(len(parts)) + _joined([_part_of_text(part) for part in parts])


def _key_of_ints(parts: list[int]) -> bytes:
    return _u32(len(parts)) + _joined([_part_of_int(part) for part in parts])


class _Reader:
    """Reads one value of a buffer after the other."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def number(self) -> int:
        self.at += 4
        return _read_u32(self.content, self.at - 4)

    def eight(self) -> int:
        self.at += 8
        return _read_i64(self.content, self.at - 8)

    def real(self) -> float:
        self.at += 8
        return _read_f64(self.content, self.at - 8)

    def some(self) -> bytes:
        size = self.number()
        self.at += size
        return self.content[self.at - size : self.at]

    def text(self) -> str:
        return self.some().decode("utf-8", "replace")

    def headers(self) -> Headers:
        found: list[tuple[str, str]] = []
        for _ in range(self.number()):
            name = self.text()
            found.append((name, self.text()))
        return Headers(found)


# The environment and the log ------------------------------------------------------------------------------------


@overload
def env(name: str) -> str | None: ...


@overload
def env(name: str, default: str) -> str: ...


def env(name: str, default: str | None = None) -> str | None:
    """Return a variable of the environment, the default when it is not set."""
    found = _env_get(name.encode())
    if found is None:
        return default
    return found.decode("utf-8", "replace")


def _env_or(name: str, default: str) -> str:
    found = _env_get(name.encode())
    if found is None:
        return default
    return found.decode("utf-8", "replace")


class _Log:
    """Writes to the log of the call: `log("text")`, `log.warning("text")`."""

    def __call__(self, text: str) -> None:
        self.info(text)

    @staticmethod
    def debug(text: str) -> None:
        _log(0, text.encode())

    @staticmethod
    def info(text: str) -> None:
        _log(1, text.encode())

    @staticmethod
    def warning(text: str) -> None:
        _log(2, text.encode())

    @staticmethod
    def error(text: str) -> None:
        _log(3, text.encode())


log = _Log()


# The key-value store --------------------------------------------------------------------------------------------


@dataclass
class Entry:
    """What lies under a key; the versionstamp changes with every change.

    `key` has the parts as texts: numbers in digits, bytes in hex. `text()`, `number()` and `data()` read the value and
    raise TypeError for one of another kind.
    """

    key: list[str]
    versionstamp: str
    value: Stored

    def text(self) -> str:
        """Return a text, or the text of JSON."""
        if self.value.kind != 1 and self.value.kind != 2:
            raise TypeError(f"the entry holds {_kind(self.value.kind)}, not a text")
        return self.value.content.decode()

    def data(self) -> bytes:
        if self.value.kind != 0:
            raise TypeError(f"the entry holds {_kind(self.value.kind)}, not bytes")
        return self.value.content

    def number(self) -> int:
        """Return a whole number: of JSON, or one that `sum` works on."""
        if self.value.kind == 3:
            found = _read_i64(self.value.content, 0)
            if found < 0:
                raise OverflowError("the number needs more than 63 bits")
            return found
        if self.value.kind != 2:
            raise TypeError(f"the entry holds {_kind(self.value.kind)}, not a number")
        return int(self.value.content.decode())


@dataclass
class Commit:
    """What came of a write: whether it was made, and its versionstamp."""

    ok: bool
    versionstamp: str


def _kind(kind: int) -> str:
    if kind == 0:
        return "bytes"
    if kind == 1:
        return "a text"
    return "JSON" if kind == 2 else "a number"


def _milliseconds(expire_in: float | None) -> int:
    if expire_in is None:
        return 0
    if expire_in <= 0.0:
        raise ValueError("expire_in must be greater than zero")
    return max(1, int(expire_in * 1000.0))


def _part(reader: _Reader) -> str:
    kind = reader.number()
    if kind == 1:
        return reader.some().hex()
    if kind == 3:
        return str(reader.eight())
    if kind == 4:
        return str(reader.real())
    if kind == 5:
        return "True" if reader.number() != 0 else "False"
    return reader.text()


def _key_of(reader: _Reader) -> list[str]:
    found: list[str] = []
    for _ in range(reader.number()):
        found.append(_part(reader))
    return found


def _entry(key: list[str], reader: _Reader) -> Entry:
    versionstamp = reader.text()
    kind = reader.number()
    return Entry(key, versionstamp, Stored(kind, reader.some()))


Entries = list[Entry]


class _Kv:
    """The store, as far as its keys were granted; a key is a tuple such as `("visits", path)`.

    A value is bytes, a text, or what JSON can say: numbers, bool, lists, dicts, dataclasses. `expire_in` is seconds.
    """

    @staticmethod
    def get(key: Key) -> Entry | None:
        """Return what lies under a key, None when nothing does."""
        packed = _packed(key)
        found = _kv_get(packed)
        if found is None:
            return None
        return _entry(_key_of(_Reader(packed)), _Reader(found))

    @staticmethod
    def set(key: Key, value: Value, *, expire_in: float | None = None) -> Commit:
        stored = _stored(value)
        found = _kv_set(_packed(key), stored.kind, stored.content, _milliseconds(expire_in))
        return Commit(found is not None, "" if found is None else found.decode())

    @staticmethod
    def delete(key: Key) -> None:
        _kv_delete(_packed(key))

    @staticmethod
    def list(
        prefix: Key = (),
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int = 100,
        reverse: bool = False,
    ) -> Entries:
        """Return at most `limit` entries below a prefix in the order of their keys."""
        head = _packed(prefix) + _bound(_packed_or_none(start)) + _bound(_packed_or_none(end))
        entries: Entries = []
        cursor = b""
        while len(entries) < limit:
            wanted = _u32(min(limit - len(entries), 1000)) + _u32(1 if reverse else 0)
            found = _kv_list(head + wanted + _sized(cursor))
            reader = _Reader(b"\0\0\0\0\0\0\0\0" if found is None else found)
            for _ in range(reader.number()):
                key = _key_of(reader)
                entries.append(_entry(key, reader))
            cursor = reader.some()
            if len(cursor) == 0:
                break
        return entries

    @staticmethod
    def atomic() -> Atomic:
        return Atomic()


def _bound(key: bytes | None) -> bytes:
    return _u32(0) if key is None else _u32(1) + key


class Atomic:
    """Changes that are made together, if nothing that was checked has changed; nothing happens before `commit()`."""

    def __init__(self) -> None:
        self._checks: list[bytes] = []
        self._changes: list[bytes] = []

    def check(self, key: Key, versionstamp: str = "") -> Atomic:
        """Require this versionstamp; an empty one requires that there is no entry."""
        self._checks.append(_packed(key) + _sized(versionstamp.encode()))
        return self

    def set(self, key: Key, value: Value, *, expire_in: float | None = None) -> Atomic:
        stored = _stored(value)
        head = _u32(1) + _packed(key) + _i64(_milliseconds(expire_in))
        self._changes.append(head + _u32(stored.kind) + _sized(stored.content))
        return self

    def delete(self, key: Key) -> Atomic:
        self._changes.append(_u32(2) + _packed(key))
        return self

    def sum(self, key: Key, amount: int) -> Atomic:
        """Add to a number; what is not there is 0."""
        self._changes.append(_u32(3) + _packed(key) + _i64(amount))
        return self

    def min(self, key: Key, amount: int) -> Atomic:
        self._changes.append(_u32(4) + _packed(key) + _i64(amount))
        return self

    def max(self, key: Key, amount: int) -> Atomic:
        self._changes.append(_u32(5) + _packed(key) + _i64(amount))
        return self

    def commit(self) -> Commit:
        """Change everything, or nothing when a check failed."""
        checks = _u32(len(self._checks)) + _joined(self._checks)
        found = _kv_atomic(checks + _u32(len(self._changes)) + _joined(self._changes))
        return Commit(found is not None, "" if found is None else found.decode())


kv = _Kv()


# HTTP -----------------------------------------------------------------------------------------------------------


@dataclass
class Headers:
    """Headers by name in any case; of several with one name the first counts, `pairs` has all."""

    pairs: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        wanted = name.lower()
        for known, value in self.pairs:
            if known.lower() == wanted:
                return value
        return default

    def __contains__(self, name: str) -> bool:
        wanted = name.lower()
        return any(known.lower() == wanted for known, _ in self.pairs)

    def __getitem__(self, name: str) -> str:
        if name not in self:
            raise KeyError(name)
        return self.get(name)

    def __setitem__(self, name: str, value: str) -> None:
        wanted = name.lower()
        self.pairs = [pair for pair in self.pairs if pair[0].lower() != wanted]
        self.pairs.append((name, value))


def _headers(given: dict[str, str] | None) -> Headers:
    found = Headers()
    if given is not None:
        for name, value in given.items():
            found.pairs.append((name, value))
    return found


def _unquoted(text: str) -> str:
    """Return a part of a query as it was meant: `+` is a space, `%41` is A; what is no UTF-8 becomes U+FFFD."""
    if "+" not in text and "%" not in text:
        return text
    found: list[int] = []
    raw = text.encode()
    at = 0
    while at < len(raw):
        code = raw[at]
        if code == 37 and at + 2 < len(raw):
            high = _digit(raw[at + 1])
            low = _digit(raw[at + 2])
            if high >= 0 and low >= 0:
                code = high * 16 + low
                at += 2
        elif code == 43:
            code = 32
        found.append(code)
        at += 1
    return bytes(found).decode("utf-8", "replace")


def _digit(code: int) -> int:
    if 48 <= code <= 57:
        return code - 48
    if 65 <= code <= 70:
        return code - 55
    if 97 <= code <= 102:
        return code - 87
    return -1


@dataclass
class Request:
    """A request that a guest answers; `path` is relative to where the guest is mounted."""

    method: str
    path: str
    query_string: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        """The query's values by name, of several with one name the first."""
        found: dict[str, str] = {}
        if self.query_string != "":
            for part in self.query_string.split("&"):
                name, _, value = part.partition("=")
                name = _unquoted(name)
                if name != "" and name not in found:
                    found[name] = _unquoted(value)
        return found

    def text(self) -> str:
        """Return the body as text; what is not UTF-8 becomes U+FFFD."""
        return self.body.decode("utf-8", "replace")


class Response:
    """An answer: a text is sent as text/plain, bytes as they are; anything else by `Response.json(value)`."""

    def __init__(
        self,
        body: Content = b"",
        status: int = 200,
        headers: dict[str, str] | None = None,
        *,
        media_type: str = "",
    ) -> None:
        encoded = _encoded(body)
        self.body = encoded.content
        self.status = status
        self.headers = _headers(headers)
        usual = "text/plain; charset=utf-8" if encoded.kind == 1 else "application/octet-stream"
        if "content-type" not in self.headers:
            self.headers["content-type"] = usual if media_type == "" else media_type

    @staticmethod
    def json(value: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """Answer with anything that JSON can say: numbers, texts, bool, lists, dicts, dataclasses, None."""
        return _answer(_as_json(value), status, headers, "application/json")

    @staticmethod
    def html(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        return _answer(text, status, headers, "text/html; charset=utf-8")


def _answer(text: str, status: int, headers: dict[str, str] | None, media_type: str) -> Response:
    return Response(text.encode(), status, headers, media_type=media_type)


@dataclass
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


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: Content = b"",
    follow: bool = True,
) -> Answer:
    """Make a request and return its answer, whatever its status; raises OSError when there is none."""
    head = _u32(1) + _sized(method.encode()) + _sized(url.encode()) + _u32(0 if follow else 1)
    answer = _fetch(head + _pairs(_headers(headers)) + _sized(_encoded(body).content))
    reader = _Reader(b"" if answer is None else answer)
    reader.number()
    status = reader.number()
    final = reader.text()
    found = reader.headers()
    content = reader.some()
    if status == 0:
        raise OSError(content.decode("utf-8", "replace"))
    return Answer(status, final, found, content)


def _pairs(headers: Headers) -> bytes:
    parts = [_u32(len(headers.pairs))]
    for name, value in headers.pairs:
        parts.append(_sized(name.encode()))
        parts.append(_sized(value.encode()))
    return _joined(parts)


def _received(raw: bytes) -> Request:
    """Return the request that the host has sent."""
    reader = _Reader(raw)
    reader.number()
    method = reader.text()
    path = reader.text()
    query = reader.text()
    headers = reader.headers()
    return Request(method, path, query, headers, reader.some())


def _sent(response: Response) -> bytes:
    """Return the response for the host."""
    return _u32(1) + _u32(response.status) + _pairs(response.headers) + _sized(response.body)
