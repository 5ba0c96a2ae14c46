"""How properties of JSX are written as attributes: the rules of Preact, for what is known at build time.

The same rules for what is dynamic are in `kit/core.js`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

EMPTY_ELEMENTS: Final = frozenset({
    "area", "base", "br", "col", "command", "embed", "hr", "img", "input", "keygen", "link", "meta",
    "param", "source", "track", "wbr",
})  # fmt: skip
UNSAFE: Final = re.compile(r"[\s\n\\/='\"\0<>]")
_UNWRITTEN: Final = frozenset({"key", "ref", "__self", "__source"})
_RENAMED: Final = {
    "htmlFor": "for", "className": "class", "defaultChecked": "checked", "defaultSelected": "selected",
    "defaultValue": "value", "acceptCharset": "accept-charset", "httpEquiv": "http-equiv",
}  # fmt: skip
_ENUMERATED: Final = frozenset({"draggable", "spellcheck"})
_SPACED: Final = re.compile(r"^(xlink|xmlns|xml)([A-Z])")
_LOWERED: Final = re.compile(
    r"^(?:accessK|auto[A-Z]|cell|ch|col|cont|cross|dateT|encT|form[A-Z]|frame|hrefL|inputM|maxL|minL|noV|playsI"
    r"|popoverT|readO|rowS|src[A-Z]|tabI|useM|item[A-Z])"
)
_DASHED: Final = re.compile(
    r"^ac|^ali|arabic|basel|cap|clipPath$|clipRule$|color|dominant|enable|fill|flood|font|glyph[^R]|horiz|image|letter"
    r"|lighting|marker[^WUH]|overline|panose|pointe|paint|rendering|shape|stop|strikethrough|stroke|text[^L]|transform"
    r"|underline|unicode|units|^v[^i]|^w|^xH"
)
_UPPER: Final = re.compile(r"[A-Z]")
_NO_PIXELS: Final = frozenset({
    "animation-iteration-count", "border-image-outset", "border-image-slice", "border-image-width",
    "box-flex", "box-flex-group", "box-ordinal-group", "column-count", "fill-opacity", "flex", "flex-grow",
    "flex-negative", "flex-order", "flex-positive", "flex-shrink", "flood-opacity", "font-weight",
    "grid-column", "grid-row", "line-clamp", "line-height", "opacity", "order", "orphans", "stop-opacity",
    "stroke-dasharray", "stroke-dashoffset", "stroke-miterlimit", "stroke-opacity", "stroke-width",
    "tab-size", "widows", "z-index", "zoom",
})  # fmt: skip

Literal = str | int | bool | None


def attribute(name: str, svg: bool) -> str:
    """Return the attribute for a property, "" for one that is not written."""
    if name in _UNWRITTEN or UNSAFE.search(name):
        return ""
    if name in _RENAMED:
        return _RENAMED[name]
    if _SPACED.match(name):
        return _SPACED.sub(r"\1:\2", name).lower()
    if name[4:5] == "-" or name in _ENUMERATED:
        return name
    if not svg:
        return name.lower() if _LOWERED.search(name) else name
    if not _DASHED.search(name):
        return name
    return "panose-1" if name == "panose1" else re.sub(r"([A-Z])", r"-\1", name).lower()


def escape(text: str) -> str:
    """Return text as HTML, in content and in attributes alike."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def attribute_text(name: str, value: Literal) -> str:
    """Return an attribute with a known value, with the space before it."""
    if value is None or name == "":
        return ""
    if isinstance(value, bool):
        if name[4:5] == "-" or name in _ENUMERATED:
            return f' {name}="{str(value).lower()}"'
        return f" {name}" if value else ""
    return f" {name}" if value == "" else f' {name}="{escape(str(value))}"'


def style_text(style: Mapping[str, Literal]) -> str | None:
    """Return an object of styles as CSS, None when nothing is in it."""
    out = ""
    for name, value in style.items():
        if value is None or value == "":
            continue
        dashed = name if name.startswith("-") else _UPPER.sub(lambda found: f"-{found[0]}", name).lower()
        number = isinstance(value, int) and not isinstance(value, bool)
        pixels = number and not dashed.startswith("--") and dashed not in _NO_PIXELS
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        out += f"{dashed}:{shown}{'px;' if pixels else ';'}"
    return out or None
