"""Path templates: `/users/{id:int}/files/{rest:path}`, read once, matched and built from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from echelon.errors import RouteError
from echelon.http.request import PATH_SAFE

_PARAMETER = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_FLOAT = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Converter:
    """One type of path parameter. `read` gives None when the text does not fit; low ranks go first."""

    name: str
    type: type
    rank: int
    read: Callable[[str], Any]


def _read_int(text: str) -> int | None:
    digits = text[1:] if text[:1] == "-" else text
    # isdecimal() is true for digits of every script, and int() reads "+1", "1_0" and " 1" too
    return int(text) if digits.isdecimal() and digits.isascii() and len(digits) <= 40 else None


INT = Converter("int", int, 0, _read_int)
FLOAT = Converter("float", float, 1, lambda text: float(text) if _FLOAT.fullmatch(text) else None)
UUID_ = Converter("uuid", UUID, 2, lambda text: UUID(text) if _UUID.fullmatch(text) else None)
STR = Converter("str", str, 3, lambda text: text or None)
ANY = Converter("path", str, 4, lambda text: text)
CONVERTERS: Mapping[str, Converter] = {item.name: item for item in (INT, FLOAT, UUID_, STR, ANY)}


@dataclass(frozen=True, slots=True)
class Param:
    """A segment that is a parameter."""

    name: str
    converter: Converter


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed template; a literal segment is a str."""

    template: str
    segments: tuple[str | Param, ...]

    @property
    def params(self) -> tuple[Param, ...]:
        return tuple(segment for segment in self.segments if isinstance(segment, Param))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(param.name for param in self.params)

    @property
    def types(self) -> dict[str, type]:
        return {param.name: param.converter.type for param in self.params}

    def build(self, values: Mapping[str, Any]) -> str:
        """Return the path with the values in place, encoded; raises RouteError when they do not fit."""
        if set(values) != set(self.names):
            wanted = ", ".join(self.names) or "no parameters"
            raise RouteError(f"{self.template} takes {wanted}; given are {', '.join(values) or 'none'}")
        parts = []
        for segment in self.segments:
            if isinstance(segment, str):
                parts.append(quote(segment, safe=PATH_SAFE))
                continue
            text = str(values[segment.name])
            if segment.converter.read(text) is None or (segment.converter is not ANY and "/" in text):
                raise RouteError(
                    f"{self.template}: {text!r} does not fit {{{segment.name}:{segment.converter.name}}}"
                )
            parts.append(quote(text, safe="/" if segment.converter is ANY else ""))
        return "/" + "/".join(parts)


def parse_path(template: str) -> Path:
    """Read a template; raises RouteError that says what is wrong with it."""
    if not template.startswith("/"):
        raise RouteError(f'{template!r} is not a path: it starts with "/"')
    if "?" in template or "#" in template or not template.isprintable():
        raise RouteError(f"{template!r} is not a path: it has no query, fragment or control character")
    segments: list[str | Param] = []
    texts = template[1:].split("/")
    for position, text in enumerate(texts):
        segment = _segment(template, text)
        if isinstance(segment, Param):
            if any(isinstance(other, Param) and other.name == segment.name for other in segments):
                raise RouteError(f"{template}: the parameter {segment.name!r} occurs twice")
            if segment.converter is ANY and position != len(texts) - 1:
                raise RouteError(f"{template}: a path parameter takes the rest, so it comes last")
        segments.append(segment)
    return Path(template, tuple(segments))


def _segment(template: str, text: str) -> str | Param:
    if "{" not in text and "}" not in text:
        return text
    match = _PARAMETER.fullmatch(text)
    if match is None:
        raise RouteError(f"{template}: {text!r} is not a segment; a parameter takes a whole one: /{{name}}/")
    name, kind = match[1], match[2]
    if not name.isidentifier():
        raise RouteError(f"{template}: {name!r} is not the name of a parameter")
    if kind is not None and kind not in CONVERTERS:
        raise RouteError(f"{template}: {kind!r} is not a type; known are {', '.join(CONVERTERS)}")
    return Param(name, CONVERTERS[kind or "str"])
