"""Secondary indexes: which fields they are about, and under which keys they keep an entry.

An index works on values as they are stored, so that it means the same to every process, whatever type that
process reads them as. Its entries lie below ("$index", length of the prefix, *prefix, name): with the value and
the id in the key, or, when it is unique, the value in the key and the id as what is stored.
"""

from __future__ import annotations

import dataclasses
import inspect
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from echelon.errors import KvUsageError, KvValueError
from echelon.kv.codec import Key, Part

AREA: Final = "$index"

Parts = tuple[Part, ...]

_PARTS: Final = (str, int, float, bytes)
_SEVERAL: Final = (list, tuple, set, frozenset)
_MICROSECOND: Final = timedelta(microseconds=1)


class Field(msgspec.Struct, frozen=True):
    """Where a value has what is indexed: names of a dict, or positions of a list, from the outside in.

    `number` is the type of the field if that is a number: Python takes an int for a float, and JavaScript stores
    what it shares with Python as floats, but keys tell them apart.
    """

    path: tuple[str | int, ...]
    number: Literal["int", "float"] | None = None

    def part(self, value: object) -> Part | None:
        """Return what a key holds for a value of this field, None for one that is not indexed."""
        part = to_part(value)
        if self.number == "float" and type(part) is int:
            return float(part)
        if self.number == "int" and type(part) is float and part.is_integer():
            return int(part)
        return part

    def find(self, stored: Any) -> Any:
        """Return what a stored value has here, None when it has nothing."""
        for step in self.path:
            if isinstance(stored, dict):
                stored = stored.get(step)
            elif isinstance(stored, list) and isinstance(step, int):
                stored = stored[step] if step < len(stored) else None
            else:
                return None
        return stored


class Index(msgspec.Struct, frozen=True):
    """One index; `name` is its field, or its fields with commas between them."""

    name: str
    fields: tuple[Field, ...]
    unique: bool = False

    def parts(self, stored: Any) -> Iterator[Parts]:
        """Yield under what a stored value is found: nothing when a field is None, each item of a list."""
        found = [field.find(stored) for field in self.fields]
        if len(found) == 1 and isinstance(found[0], _SEVERAL):
            candidates: Iterable[Sequence[Any]] = ([item] for item in found[0])
        else:
            candidates = (found,)
        for values in candidates:
            parts = tuple(
                part
                for field, value in zip(self.fields, values, strict=True)
                if (part := self._part(field, value)) is not None
            )
            if len(parts) == len(self.fields):
                yield parts

    def lead(self, value: Any) -> Parts:
        """Return the parts of what is looked for: a value, or a tuple of the first few of several fields."""
        values = value if isinstance(value, tuple) and len(self.fields) > 1 else (value,)
        if not 0 < len(values) <= len(self.fields):
            raise KvUsageError(
                f"the index {self.name!r} has {len(self.fields)} fields, got {len(values)} values"
            )
        parts = tuple(
            part
            for field, item in zip(self.fields, values, strict=False)
            if (part := self._part(field, item)) is not None
        )
        if len(parts) < len(values):
            raise KvUsageError(f"the index {self.name!r} has no entries for None; list() finds those")
        return parts

    def _part(self, field: Field, value: object) -> Part | None:
        try:
            return field.part(value)
        except KvValueError as exc:
            raise KvValueError(f"the index {self.name!r} cannot hold {exc}") from exc


def to_part(value: object) -> Part | None:
    """Return a value as a part of a key that sorts as the value does; raises KvValueError, which names its type."""
    if value is None or isinstance(value, Enum):
        return None if value is None else to_part(value.value)
    if isinstance(value, _PARTS):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, datetime):
        at = value if value.tzinfo is None else value.astimezone(UTC)
        return at.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, uuid.UUID):
        return str(value)
    raise KvValueError(f"a {type(value).__name__}")


def area(prefix: Key) -> Key:
    """Return the key of what is known of a collection's indexes; their entries lie below it."""
    return (AREA, len(prefix), *prefix)


def declare(type_: Any, names: Iterable[str | Sequence[str]], *, unique: bool) -> list[Index]:
    """Return the indexes that a collection of `type_` declares; raises KvUsageError for a field it has not."""
    if isinstance(names, str):
        raise KvUsageError(f"indexes are a list of fields, got {names!r}; write [{names!r}]")
    declared = []
    for given in names:
        fields = (given,) if isinstance(given, str) else tuple(given)
        if not fields or not all(isinstance(name, str) and name and "," not in name for name in fields):
            raise KvUsageError(f"an index is a field or a tuple of fields, got {given!r}")
        declared.append(Index(",".join(fields), tuple(_resolve(type_, name) for name in fields), unique))
    return declared


def _resolve(type_: Any, name: str) -> Field:
    """Return where `type_` stores a field; dots lead into the values of fields."""
    path: list[str | int] = []
    for step in name.split("."):
        found, type_ = _step(type_, step, name)
        path.append(found)
    kind = _strip(type_)
    return Field(tuple(path), "int" if kind is int else "float" if kind is float else None)


def _step(type_: Any, step: str, name: str) -> tuple[str | int, Any]:
    """Return under which name or position `type_` stores a field, and the field's type."""
    members = [_strip(member) for member in _members(_strip(type_))]
    structured = [member for member in members if _fields(member) is not None]
    if not structured:
        if members and all(member in (str, int, float, bool, bytes) for member in members):
            raise KvUsageError(f"there is no field {name!r}: {step!r} would be a field of {_name(type_)}")
        return step, None
    places = [place for member in structured if (place := (_fields(member) or {}).get(step)) is not None]
    if not places:
        known = ", ".join(sorted({field for member in structured for field in _fields(member) or ()}))
        raise KvUsageError(f"{_name(type_)} has no field {step!r}; it has {known or 'none'}")
    stored, kind = places[0]
    if any(other != stored for other, _ in places):
        raise KvUsageError(
            f"the types of {_name(type_)} store {step!r} in different places; index another field"
        )
    return stored, kind if all(other == kind for _, other in places) else None


def _fields(type_: Any) -> dict[str, tuple[str | int, Any]] | None:
    """Return each field of a type with its stored place and its type; None for a type without fixed fields."""
    origin = get_origin(type_) or type_
    if not inspect.isclass(origin):
        return None
    places: Iterable[str | int]
    if issubclass(origin, msgspec.Struct):
        config = origin.__struct_config__
        first = 0 if config.tag is None else 1
        count = len(origin.__struct_fields__)
        places = range(first, first + count) if config.array_like else origin.__struct_encode_fields__
        names: Iterable[str] = origin.__struct_fields__
    elif dataclasses.is_dataclass(origin):
        names = [field.name for field in dataclasses.fields(origin)]
        places = [*names]
    elif is_typeddict(origin):
        names = [*origin.__annotations__]
        places = [*names]
    else:
        return None
    hints = _hints(origin)
    return {name: (place, hints.get(name)) for name, place in zip(names, places, strict=True)}


def _hints(type_: Any) -> dict[str, Any]:
    try:
        return get_type_hints(type_)
    except (NameError, TypeError):  # a name that is not defined yet: reading values will say so
        return {}


def _members(type_: Any) -> tuple[Any, ...]:
    return get_args(type_) if get_origin(type_) in (Union, UnionType) else (type_,)


def _strip(type_: Any) -> Any:
    """Return the type inside Annotated and Optional."""
    if get_origin(type_) is Annotated:
        return _strip(get_args(type_)[0])
    inner = [member for member in _members(type_) if member is not NoneType]
    return _strip(inner[0]) if len(inner) == 1 and inner[0] is not type_ else type_


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", str(type_))
