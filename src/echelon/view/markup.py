"""HTML from Python, escaped by default: `html("<p class='{kind}'>{text}</p>", kind=…, text=…)`.

A template is the developer's, its values are anybody's. Where a value stands is found once for each template: in text,
in a quoted attribute, in an attribute that holds an address. A place where escaping cannot help is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from string import Formatter
from typing import Final, NamedTuple, Self

_ESCAPES: Final = {ord(sign): f"&#{ord(sign)};" for sign in "\"'"} | {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
}
_ADDRESSES: Final = frozenset({"href", "src", "action", "formaction", "cite", "poster", "data", "background"})
_RAW: Final = frozenset({"script", "style"})
_SCHEME: Final = re.compile(r"[\s\x00-\x20]*([a-zA-Z][\w+.\-\s\x00-\x20]*):")
_SAFE_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "sms", "ftp"})
_TAG: Final = re.compile(r"</?([a-zA-Z][\w:-]*)")
_ATTRIBUTE: Final = re.compile(r"([^\s\"'<>/=]+)\s*=\s*$")
_BOUND: Final = re.compile(r"[\"'>]")
_BEGINNING: Final = re.compile(r"[/?#:]")
"""What ends the part of an address where its scheme can be."""
_FORMATTER: Final = Formatter()


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()

    def __html__(self) -> Self:
        return self

    def __add__(self, other: object) -> Markup:
        return Markup(str.__add__(self, escape(other)))

    def join(self, parts: Iterable[object]) -> Markup:
        """Put parts together with this between them; what is no markup is escaped."""
        return Markup(str.join(self, (escape(part) for part in parts)))


def escape(value: object) -> str:
    """Return a value as HTML text: markup as it is, None, True and False as nothing, lists one after the other."""
    if isinstance(value, str):
        return str(value) if isinstance(value, Markup) else value.translate(_ESCAPES)
    if value is None or isinstance(value, bool):
        return ""
    own = getattr(value, "__html__", None)
    if own is not None:
        return str(own())
    if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        return "".join(escape(item) for item in value)
    return str(value).translate(_ESCAPES)


def html(template: str, /, *positional: object, **named: object) -> Markup:
    """Fill the fields of a template, `{}` or `{name}` or `{user.name}`, and escape each for where it stands.

    Raises ValueError for a field where escaping cannot help, as in an attribute without quotes or in `<script>`,
    and for an address such as `javascript:…`.
    """
    parts: list[str] = []
    for piece in _parse(template):
        if piece.place is None:
            parts.append(piece.text)
            continue
        value = _FORMATTER.get_field(piece.text, positional, named)[0]
        parts.append(_attribute(piece, value) if piece.place != _TEXT else escape(value))
    return Markup("".join(parts))


class _Piece(NamedTuple):
    """Text of a template, or with a `place` a field: its name, and what it stands in."""

    text: str
    place: str | None = None


_TEXT: Final = ""


def _attribute(piece: _Piece, value: object) -> str:
    text = str(value).translate(_ESCAPES) if isinstance(value, Markup) else escape(value)
    if piece.place in _ADDRESSES:
        scheme = _SCHEME.match(str(value))
        if scheme and re.sub(r"[\s\x00-\x20]", "", scheme[1]).lower() not in _SAFE_SCHEMES:
            raise ValueError(f"{{{piece.text}}} in {piece.place}: {scheme[1]}: is no scheme for an address")
    return text


@lru_cache(512)
def _parse(template: str) -> tuple[_Piece, ...]:
    pieces: list[_Piece] = []
    reader, number = _Reader(), 0
    for text, field, spec, conversion in _FORMATTER.parse(template):
        if text:
            pieces.append(_Piece(text))
            reader.read(text)
        if field is None:
            continue
        if spec or conversion:
            raise ValueError(f"{{{field}}}: format the value before it is given to html()")
        if not field:
            field, number = str(number), number + 1
        pieces.append(_Piece(field, reader.place(field)))
    return tuple(pieces)


class _Reader:
    """Follows the text of a template as a browser would, to say where its end is."""

    def __init__(self) -> None:
        self._read, self._tag, self._quote = self._text, "", ""
        self._attribute, self._begun, self._fields = "", False, 0

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            at = self._read(text, at)

    def place(self, field: str) -> str:
        """Return what a field that comes now stands in: text or the name of an attribute; raises ValueError."""
        if self._read == self._text:
            return _TEXT
        if self._read == self._quoted:
            return self._in_attribute(field)
        where = "in a comment" if self._read == self._comment else "in a tag, outside of quotes"
        if self._read == self._raw:
            where = f"in <{self._tag}>"
        raise ValueError(f"{{{field}}} stands {where}, where escaping cannot help")

    def _in_attribute(self, field: str) -> str:
        name = self._attribute
        if name.startswith("on") or name == "srcdoc":
            raise ValueError(f"{{{field}}} would be code in {name}=; use data-… and a listener")
        if name not in _ADDRESSES or self._begun:
            return f"in {name}"
        self._fields += 1
        if self._fields > 1:
            raise ValueError(f"{{{field}}}: give {name}= its beginning in one field")
        return name

    def _text(self, text: str, at: int) -> int:
        found = text.find("<", at)
        if found < 0:
            return len(text)
        if text.startswith("<!--", found):
            self._read = self._comment
            return found + 4
        tag = _TAG.match(text, found)
        if tag is None:
            return found + 1
        self._read, self._tag = self._inside, tag[1].lower() if text[found + 1] != "/" else ""
        return tag.end()

    def _comment(self, text: str, at: int) -> int:
        found = text.find("-->", at)
        if found < 0:
            return len(text)
        self._read = self._text
        return found + 3

    def _raw(self, text: str, at: int) -> int:
        found = text.lower().find(f"</{self._tag}", at)
        if found < 0:
            return len(text)
        self._read, self._tag = self._inside, ""
        return found + 2

    def _inside(self, text: str, at: int) -> int:
        found = _BOUND.search(text, at)
        if found is None:
            return len(text)
        if found[0] == ">":
            self._read = self._raw if self._tag in _RAW else self._text
        else:
            name = _ATTRIBUTE.search(text, at, found.start())
            self._read, self._quote, self._begun, self._fields = self._quoted, found[0], False, 0
            self._attribute = name[1].lower() if name else ""
        return found.end()

    def _quoted(self, text: str, at: int) -> int:
        found = text.find(self._quote, at)
        self._begun = (
            self._begun or _BEGINNING.search(text, at, len(text) if found < 0 else found) is not None
        )
        if found < 0:
            return len(text)
        self._read = self._inside
        return found + 1
