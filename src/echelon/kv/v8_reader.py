"""V8's structured clone as values of Python. The bytes come from a file or a network: every length is checked.

What one object holds twice is written once and referred to by its number. Followed blindly, references could make
a value of any size and depth out of a few bytes, so what they stand for is counted as if it were written again.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any, Final, cast

from echelon.errors import KvValueError
from echelon.kv import limits
from echelon.kv.v8_format import (
    ARRAY_CODES,
    BYTES_VIEWS,
    ERROR_CAUSE,
    ERROR_END,
    ERROR_MESSAGE,
    ERROR_STACK,
    ERROR_TAGS,
    FIRST_VERSION_WITH_FLAGS,
    FLOAT16_VIEW,
    NEWEST_VERSION,
    NODE_VIEWS,
    OLDEST_VERSION,
    REGEXP_FLAGS,
    ErrorName,
    JsError,
    JsRegExp,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ERROR_NAMES: Final = {tag: name for name, tag in ERROR_TAGS.items()}
_END_OBJECT, _END_DENSE, _END_SPARSE, _END_MAP, _END_SET = b"{$@:,"
_LENGTH_TRACKING: Final = 1
_EXPANSION: Final = 16
"""How many times its bytes a value may become by references and empty places of arrays."""

_DOUBLE: Final = struct.Struct("<d")


class Damaged(ValueError):
    """Bytes that V8 would not read either."""


class _Open:
    """Stands for an object that is still being read, so that nothing inside it can refer to it."""


_OPEN: Final = _Open()


class Reader:
    """Reads one value; an IndexError or struct.error means that the bytes end too early."""

    __slots__ = ("_at", "_buffers", "_data", "_left", "_objects", "_peak", "_version")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._version = 0
        self._objects: list[tuple[Any, int, int]] = []  # each with its size and height, references followed
        self._buffers: set[int] = set()  # the numbers of those that a view may follow
        self._peak = 0  # the depth of the deepest container in the one being read
        self._left = _EXPANSION * max(len(data), limits.MAX_VALUE_BYTES)

    def read_all(self) -> Any:
        """Return the value; raises Damaged, and KvValueError for what Python cannot hold."""
        if self._data[0] != 0xFF:
            raise Damaged("it does not begin with a version")
        self._at = 1
        self._version = self._varint()
        if not OLDEST_VERSION <= self._version <= NEWEST_VERSION:
            raise KvValueError(
                f"the stored value has wire version {self._version} of V8; "
                f"this Echelon reads {OLDEST_VERSION} to {NEWEST_VERSION}"
            )
        value = self._read(0)
        if self._at != len(self._data):
            raise Damaged("something follows the value")
        return value

    def _read(self, depth: int) -> Any:
        """Read a value that lies inside `depth` containers; the common tags first, since this is hot."""
        data = self._data
        at = self._at
        tag = data[at]
        self._at = at = at + 1
        if tag == 0x22:  # "
            size = data[at]
            if size < 0x80:
                self._at = end = at + 1 + size
                if end > len(data):
                    raise Damaged("it ends too early")
                return data[at + 1 : end].decode("latin-1")
            return self._take(self._varint()).decode("latin-1")
        if tag == 0x49:  # I
            zigzag = data[at]
            if zigzag < 0x80:
                self._at = at + 1
            else:
                zigzag = self._varint()
            return float(-(zigzag >> 1) - 1 if zigzag & 1 else zigzag >> 1)
        if tag == 0x4E:  # N
            self._at = at + 8
            return _DOUBLE.unpack_from(data, at)[0]
        read = _TAGS.get(tag)
        if read is None:
            raise Damaged(f"the tag {tag:#04x} is unknown")
        return read(self, depth)

    def _varint(self) -> int:
        data, at = self._data, self._at
        number = shift = 0
        while (byte := data[at]) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            at += 1
            if shift > 63:
                raise Damaged("a number is too long")
        self._at = at + 1
        return number | byte << shift

    def _take(self, size: int) -> bytes:
        at = self._at
        self._at = end = at + size
        if end > len(self._data):
            raise Damaged("it ends too early")
        return self._data[at:end]

    def _double(self) -> float:
        at = self._at
        self._at = at + 8
        number: float = _DOUBLE.unpack_from(self._data, at)[0]
        return number

    # Scalars

    def _padding(self, depth: int) -> Any:
        data = self._data
        while not data[self._at]:
            self._at += 1
        return self._read(depth)

    def _unsigned(self, _depth: int) -> float:
        return float(self._varint())

    def _utf8(self, _depth: int) -> str:
        return self._take(self._varint()).decode("utf-8", "replace")

    def _utf16(self, _depth: int) -> str:
        return self._take(self._varint()).decode("utf-16-le", "surrogatepass")

    def _bigint(self, _depth: int) -> int:
        head = self._varint()
        magnitude = int.from_bytes(self._take(head >> 1), "little")
        return -magnitude if head & 1 else magnitude

    def _text(self, depth: int) -> str:
        text = self._read(depth)
        if not isinstance(text, str):
            raise Damaged("a str is missing")
        return text

    # Objects: numbered in the order in which they begin

    def _keep(self, value: Any, size: int = 1) -> Any:
        """Number an object that contains no other."""
        self._objects.append((value, size, -1))
        return value

    def _begin(self, depth: int) -> tuple[int, int, int]:
        """Number a container; `_end()` takes what this returns."""
        if depth >= limits.MAX_VALUE_DEPTH:
            raise KvValueError(
                f"the stored value is nested too deeply: at most {limits.MAX_VALUE_DEPTH} levels are read"
            )
        state = len(self._objects), self._at - self._left, self._peak
        self._objects.append((_OPEN, 0, 0))
        self._peak = depth
        return state

    def _end(self, state: tuple[int, int, int], depth: int, value: Any) -> Any:
        number, start, peak = state
        self._objects[number] = (value, self._at - self._left - start, self._peak - depth)
        if peak > self._peak:
            self._peak = peak
        return value

    def _expand(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise KvValueError(
                "the stored value becomes too large when it is read: its parts are shared too often"
            )

    def _reference(self, depth: int) -> Any:
        number = self._varint()
        value, size, height = self._objects[number]
        if value is _OPEN:
            raise KvValueError("the stored value contains itself, which no value of a store may in Python")
        if depth + height >= limits.MAX_VALUE_DEPTH:
            raise KvValueError(
                f"the stored value is nested too deeply: at most {limits.MAX_VALUE_DEPTH} levels are read"
            )
        self._peak = max(self._peak, depth + height)
        self._expand(size)
        return self._view(value) if number in self._buffers else value

    def _object(self, depth: int) -> dict[str, Any]:
        state = self._begin(depth)
        return cast(dict[str, Any], self._end(state, depth, self._properties(_END_OBJECT, depth + 1)))

    def _properties(self, end: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        data, read = self._data, self._read
        while data[self._at] != end:
            name = read(depth)
            if type(name) is not str:
                if type(name) is not float or not name.is_integer():
                    raise Damaged("the name of a property is neither a str nor an index")
                name = str(int(name))
            found[name] = read(depth)
        self._at += 1
        if self._varint() != len(found):
            raise Damaged("a property is missing or given twice")
        return found

    def _dense(self, depth: int) -> list[Any]:
        length = self._varint()
        if length > len(self._data) - self._at:
            raise Damaged("an array is cut off")
        state = self._begin(depth)
        read, inside = self._read, depth + 1
        items = [read(inside) for _ in range(length)]
        self._properties(_END_DENSE, inside)
        return self._finish_array(state, depth, items)

    def _sparse(self, depth: int) -> list[Any]:
        length = self._varint()
        state = self._begin(depth)
        self._expand(length)
        items: list[Any] = [None] * length
        for name, item in self._properties(_END_SPARSE, depth + 1).items():
            index = int(name) if len(name) <= 10 and name.isascii() and name.isdigit() else length
            if index < length and str(index) == name:
                items[index] = item
        return self._finish_array(state, depth, items)

    def _finish_array(self, state: tuple[int, int, int], depth: int, items: list[Any]) -> list[Any]:
        if self._varint() != len(items):
            raise Damaged("an array has two lengths")
        return cast(list[Any], self._end(state, depth, items))

    def _items(self, end: int, depth: int) -> list[Any]:
        items: list[Any] = []
        data, read = self._data, self._read
        while data[self._at] != end:
            items.append(read(depth))
        self._at += 1
        if self._varint() != len(items):
            raise Damaged("an item of a Map or Set is missing")
        return items

    def _map(self, depth: int) -> Any:
        state = self._begin(depth)
        items = self._items(_END_MAP, depth + 1)
        if len(items) % 2:
            raise Damaged("a Map ends within a pair")
        pairs = list(zip(items[::2], items[1::2], strict=True))
        found = _hashed(dict, [(_freeze(key), value) for key, value in pairs])
        return self._end(state, depth, pairs if found is None else found)

    def _set(self, depth: int) -> Any:
        state = self._begin(depth)
        items = self._items(_END_SET, depth + 1)
        found = _hashed(set, [_freeze(item) for item in items])
        return self._end(state, depth, items if found is None else found)

    def _error(self, depth: int) -> JsError:
        state = self._begin(depth)
        name = "Error"
        texts: dict[int, str] = {}
        cause: Any = None
        while (tag := self._varint()) != ERROR_END:
            if tag in (ERROR_MESSAGE, ERROR_STACK):
                texts[tag] = self._text(depth + 1)
            elif tag == ERROR_CAUSE:
                cause = self._read(depth + 1)
            elif tag in _ERROR_NAMES:
                name = _ERROR_NAMES[tag]
            else:
                raise Damaged("an Error has an unknown part")
        error = JsError(cast(ErrorName, name), texts.get(ERROR_MESSAGE), texts.get(ERROR_STACK), cause)
        return cast(JsError, self._end(state, depth, error))

    def _boxed(self, read: Callable[[int], Any], depth: int) -> Any:
        """Read an object of JavaScript that holds one scalar."""
        start = self._at
        value = read(depth)
        return self._keep(value, self._at - start)

    def _regexp(self, depth: int) -> JsRegExp:
        source, bits = self._text(depth), self._varint()
        flags = "".join(flag for flag, bit in REGEXP_FLAGS.items() if bits & bit)
        return cast(JsRegExp, self._keep(JsRegExp(source, flags), len(source)))

    def _date(self, _depth: int) -> datetime | None:
        milliseconds = self._double()
        if isnan(milliseconds):
            return cast(None, self._keep(None))
        try:
            return cast(datetime, self._keep(_EPOCH + timedelta(milliseconds=milliseconds)))
        except OverflowError:
            raise KvValueError("the stored value has a Date outside the years 1 to 9999") from None

    # Bytes and arrays of numbers

    def _buffer(self, _depth: int) -> Any:
        return self._keep_buffer(self._take(self._varint()))

    def _resizable(self, _depth: int) -> Any:
        size = self._varint()
        self._varint()  # how large it could have become
        return self._keep_buffer(self._take(size))

    def _keep_buffer(self, raw: bytes) -> Any:
        self._buffers.add(len(self._objects))
        return self._view(self._keep(raw, len(raw)))

    def _view(self, buffer: bytes) -> Any:
        """Return the view that follows a buffer, or the buffer if none does."""
        if self._data[self._at : self._at + 1] != b"V":
            return buffer
        self._at += 1
        tag, start, size = self._varint(), self._varint(), self._varint()
        flags = self._varint() if self._version >= FIRST_VERSION_WITH_FLAGS else 0
        if flags & _LENGTH_TRACKING:
            size = len(buffer) - start
        if start > len(buffer) or size > len(buffer) - start:
            raise Damaged("a view is larger than its buffer")
        return self._keep(_load_view(tag, buffer[start : start + size]), size)

    def _host_object(self, _depth: int) -> Any:
        number = self._varint()
        if number >= len(NODE_VIEWS):
            raise KvValueError(
                "the stored value has an object of its host, such as a Blob or a DOMException, "
                "which only the program that wrote it reads"
            )
        raw = self._take(self._varint())
        return self._keep(_load_view(NODE_VIEWS[number], raw), len(raw))

    def _refuse(self, _depth: int) -> Any:
        raise KvValueError("the stored value shares memory or WebAssembly with the program that wrote it")


def _load_view(tag: int, raw: bytes) -> Any:
    if tag in BYTES_VIEWS:
        return raw
    if tag == FLOAT16_VIEW and len(raw) % 2 == 0:
        return list(struct.unpack(f"<{len(raw) // 2}e", raw))
    code = ARRAY_CODES.get(tag)
    if code is None or len(raw) % (numbers := array(code)).itemsize:
        raise Damaged("a view is of no known kind or ends within a number")
    numbers.frombytes(raw)
    return numbers


def _freeze(item: Any) -> Any:
    if type(item) is list:
        return tuple(map(_freeze, item))
    return frozenset(item) if type(item) is set else item


def _hashed(kind: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """Return the items as a set or dict, or None when Python would lose one: 1, 1n and true are equal there."""
    try:
        found = kind(items)
    except TypeError:
        return None
    return found if len(found) == len(items) else None


_TAGS: Final[dict[int, Callable[[Reader, int], Any]]] = {
    0: Reader._padding,
    ord("_"): lambda _reader, _depth: None,
    ord("0"): lambda _reader, _depth: None,
    ord("-"): lambda _reader, _depth: None,  # a place of an array that is empty
    ord("T"): lambda _reader, _depth: True,
    ord("F"): lambda _reader, _depth: False,
    ord("U"): Reader._unsigned,
    ord("Z"): Reader._bigint,
    ord("S"): Reader._utf8,
    ord("c"): Reader._utf16,
    ord("^"): Reader._reference,
    ord("o"): Reader._object,
    ord("A"): Reader._dense,
    ord("a"): Reader._sparse,
    ord(";"): Reader._map,
    ord("'"): Reader._set,
    ord("D"): Reader._date,
    ord("y"): lambda reader, _depth: reader._keep(True),
    ord("x"): lambda reader, _depth: reader._keep(False),
    ord("n"): lambda reader, _depth: reader._keep(reader._double()),
    ord("z"): lambda reader, depth: reader._boxed(reader._bigint, depth),
    ord("s"): lambda reader, depth: reader._boxed(reader._text, depth),
    ord("R"): Reader._regexp,
    ord("r"): Reader._error,
    ord("B"): Reader._buffer,
    ord("~"): Reader._resizable,
    ord("\\"): Reader._host_object,
    **dict.fromkeys(b"tupmw", Reader._refuse),
}
