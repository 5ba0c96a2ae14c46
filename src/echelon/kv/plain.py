"""What an object that is stored as plain data consists of: one level of it, shared by the codecs."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

import msgspec


def is_record(value: Any) -> bool:
    """Return whether `value` is an instance whose fields are stored in its place."""
    return isinstance(value, msgspec.Struct) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    )


def fields_of(record: Any) -> dict[str, Any] | list[Any]:
    """Return the fields of a Struct or dataclass, by the names and in the shape that `type=` reads back."""
    if not isinstance(record, msgspec.Struct):
        return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    config = record.__struct_config__
    names = zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True)
    items = {encoded: item for name, encoded in names if (item := getattr(record, name)) is not msgspec.UNSET}
    if config.array_like:
        return [*([] if config.tag is None else [config.tag]), *items.values()]
    return items if config.tag is None else {str(config.tag_field): config.tag, **items}


def strip_enum(value: Any) -> Any:
    """Return what an enum's member stands for, and everything else as it is."""
    while isinstance(value, Enum):
        value = value.value
    return value
