"""Values of a typed signature as words of a command line, and back.

Numbers, booleans and text are written plainly, bytes as base64 (or `@FILE` when given), everything else as JSON, in
which bytes are base64 texts and the numbers that JSON lacks are "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Final

from echelon.cli.parser import Usage
from echelon.console.values import value_to_json
from echelon.runtime.signature import Function, Value

_INTS: Final = frozenset(f"{sign}{bits}" for sign in "ius" for bits in (8, 16, 32, 64))
_TEXTS: Final = frozenset({"str", "string", "char"})
_WIT: Final = re.compile(r"(record|variant|enum|flags)\{|(tuple|map|result|own|borrow)\b")
"""Types of components whose values are JSON that the call itself checks."""
_FLOATS: Final = frozenset({"f32", "f64"})
_BYTES: Final = frozenset({"bytes", "v128"})
_BOOLS: Final = {"true": True, "false": False}
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INT: Final = re.compile(r"[+-]?(0x[0-9a-f]+|0b[01]+|0o[0-7]+|[0-9]+)", re.IGNORECASE)
_FLOAT: Final = re.compile(
    r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE
)
_MORE: Final = Value("json")
_LONGEST: Final = 400
"""Characters of a number: more than any of 64 bits needs, fewer than Python converts slowly."""


class Unfit(ValueError):
    """A text or a JSON value does not fit its type; the message ends the sentence that names the argument."""


def read_arguments(function: Function, words: Sequence[str], *, any_number: bool = False) -> list[Any]:
    """Return what to call a function with; raises Usage that names the first word that does not fit.

    With `any_number` the call itself knows how many the function takes; those without a type of their own are JSON.
    """
    wanted, given = len(function.params), len(words)
    if wanted != given and not any_number:
        plural = "" if wanted == 1 else "s"
        raise Usage(f"{function} takes {wanted} argument{plural}, {given} given")
    return [
        _read_argument(function, position, param, word)
        for position, (word, param) in enumerate(
            zip(words, chain(function.params, repeat(_MORE)), strict=False), 1
        )
    ]


def _read_argument(function: Function, position: int, param: Value, word: str) -> Any:
    try:
        return read_word(param.type, word)
    except Unfit as exc:
        label = f"{param.name}: {param.type}" if param.name else param.type
        raise Usage(f"{function.name}() argument {position} ({label}): {exc}") from None


def read_word(kind: str, word: str) -> Any:
    """Return the value that a word means as a type; raises Unfit."""
    if kind in _INTS:
        return _read_int(word)
    if kind in _FLOATS:
        if not _FLOAT.fullmatch(word) or len(word) > _LONGEST:
            raise Unfit(f"{_short(word)} is not a number")
        return float(word)
    if kind == "bool":
        if word not in _BOOLS:
            raise Unfit(f"{_short(word)} is neither true nor false")
        return _BOOLS[word]
    if kind in _TEXTS or kind.startswith("enum{"):
        return word
    if kind in _BYTES or (kind == "list<u8>" and not word.startswith("[")):
        return _read_bytes(word)
    if kind in ("funcref", "externref"):
        raise Unfit("a reference cannot be given on a command line")
    return _read_json(kind, word)


def _read_int(word: str) -> int:
    if not _INT.fullmatch(word) or len(word) > _LONGEST:
        raise Unfit(f"{_short(word)} is not a whole number")
    return int(word, 0 if word.lstrip("+-")[:2].lower() in ("0x", "0b", "0o") else 10)


def _read_bytes(word: str) -> bytes:
    if word.startswith("@"):
        try:
            return Path(word[1:]).read_bytes()
        except OSError as exc:
            raise Unfit(f"{word[1:]}: {exc.strerror or exc}") from None
        except ValueError as exc:
            raise Unfit(f"{_short(word[1:])} is not a path: {exc}") from None
    return _from_base64(word)


def _from_base64(word: str) -> bytes:
    try:
        return base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        raise Unfit(f"{_short(word)} is not base64; write base64, or @FILE for a file's content") from None


def _read_json(kind: str, word: str) -> Any:
    try:
        return _fit(kind, json.loads(word), "")
    except Unfit:
        raise
    except (ValueError, RecursionError):
        raise Unfit(f"{_short(word)} is not JSON; write {kind} as {_example(kind)}") from None


def _fit(kind: str, value: Any, place: str) -> Any:
    """Return a JSON value as a type; raises Unfit that says where it does not fit."""
    if kind == "json" or _WIT.match(kind):
        return value
    base, _, inner = kind.partition("<")
    inner = inner[:-1]
    at = f" at {place}" if place else ""
    if base == "option":
        return None if value is None else _fit(inner, value, place)
    if base == "list":
        if not isinstance(value, list):
            raise Unfit(f"{_short(json.dumps(value))}{at} is not a list; write {kind} as {_example(kind)}")
        return [_fit(inner, item, f"{place}[{index}]") for index, item in enumerate(value)]
    if kind in _FLOATS and isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if kind in _FLOATS and isinstance(value, int | float) and not isinstance(value, bool):
        return _to_float(value, at)
    if kind in _BYTES and isinstance(value, str):
        return _from_base64(value)
    whole = kind in _INTS and isinstance(value, int) and not isinstance(value, bool)
    if whole or (kind == "bool" and isinstance(value, bool)) or (kind in _TEXTS and isinstance(value, str)):
        return value
    raise Unfit(f"{_short(json.dumps(value))}{at} is not {kind}; write it as {_example(kind)}")


def _to_float(value: float, at: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Unfit(f"{_short(str(value))}{at} is larger than any number of 64 bits") from None


def _example(kind: str) -> str:
    base, _, inner = kind.partition("<")
    if base == "list":
        return f"[{_example(inner[:-1])}]"
    if base == "option":
        return f"null or {_example(inner[:-1])}"
    if kind in _INTS:
        return "1"
    if _WIT.match(kind):
        return "JSON"
    return {
        "bool": "true",
        "str": '"text"',
        "string": '"text"',
        "char": '"c"',
        "bytes": '"AAE="',
        "v128": '"AAE="',
        "json": '{"a": 1}',
    }.get(kind, "1.5")


def _short(word: str) -> str:
    return repr(word) if len(word) <= 60 else f"{word[:57]!r}…"


def show(value: Any) -> str:
    """Return a result as a line of text, as `read_word` would read it; nothing for None from no result."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return to_json(value)


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value_to_json(value)


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON text of a value; half a surrogate pair becomes its escape."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=indent, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()
