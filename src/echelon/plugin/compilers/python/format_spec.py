"""Format specifications, the part after the colon in `f"{x:>8.2f}"`, read when the program is compiled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SPEC: Final = re.compile(
    r"(?:(?P<fill>.)?(?P<align>[<>=^]))?(?P<sign>[-+ ])?(?P<z>z)?(?P<alternate>#)?(?P<zero>0)?"
    r"(?P<width>\d+)?(?P<group>[,_])?(?:\.(?P<precision>\d+))?(?P<kind>.)?",
    re.DOTALL | re.ASCII,
)
MOST_WIDTH: Final = 100_000
"""Characters that a width or a precision may ask for."""

_INT_KINDS: Final = "bdoxX"
_FLOAT_KINDS: Final = "eEfFgG%"


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """A specification for one type of value; `align` and `fill` are what they come to for that type.

    `zero_width` is the width that zeros between sign and digits fill, 0 when the filling is another. `precision` is -1
    when there is none. `kind` is the letter in lower case, but for `X`; `upper` tells of E, F and G.
    """

    fill: str
    align: str
    sign: str
    alternate: bool
    width: int
    group: str
    precision: int
    kind: str
    upper: bool
    zero_width: int


def read_spec(text: str, kind: str) -> FormatSpec:
    """Read a specification for an `int`, a `float` or a `str` (`kind`); raises ValueError in CPython's words.

    What CPython accepts and this does not (`n`, `c`, `z`, widths past MOST_WIDTH) is a ValueError as well.
    """
    found = _SPEC.fullmatch(text)
    if found is None:
        raise ValueError(f"Invalid format specifier '{text}' for object of type '{kind}'")
    letter = found["kind"] or ""
    width, precision = int(found["width"] or 0), int(found["precision"] or -1)
    if found["precision"] is not None:
        precision = int(found["precision"])
    if width > MOST_WIDTH or precision > MOST_WIDTH:
        raise ValueError(f"a width or precision above {MOST_WIDTH} is not supported")
    if found["z"] or letter in ("n", "c"):
        raise ValueError(f"the format '{found['z'] or letter}' is not supported")
    _check(kind, letter, found, text)
    zero = found["zero"] is not None
    fill = found["fill"] or ("0" if zero else " ")
    align = found["align"] or ("=" if zero and kind != "str" else "<" if kind == "str" else ">")
    inner = align == "=" and fill == "0" and kind != "str"
    return FormatSpec(
        fill=fill,
        align=align,
        sign=found["sign"] or "-",
        alternate=found["alternate"] is not None,
        width=width,
        group=found["group"] or "",
        precision=precision,
        kind=letter if letter == "X" or kind == "str" else letter.lower(),
        upper=letter in ("E", "F", "G"),
        zero_width=width if inner else 0,
    )


def _check(kind: str, letter: str, found: re.Match[str], text: str) -> None:
    """Raise ValueError for what does not go together."""
    known = {"int": _INT_KINDS + _FLOAT_KINDS, "float": _FLOAT_KINDS, "str": "s"}[kind]
    if letter and letter not in known:
        raise ValueError(f"Unknown format code '{letter}' for object of type '{kind}'")
    group = found["group"]
    if group == "," and letter in ("b", "o", "x", "X") and letter:
        raise ValueError(f"Cannot specify ',' with '{letter}'.")
    if kind == "str":
        if found["sign"]:
            raise ValueError("Sign not allowed in string format specifier")
        if found["alternate"]:
            raise ValueError("Alternate form (#) not allowed in string format specifier")
        if found["align"] == "=":
            raise ValueError("'=' alignment not allowed in string format specifier")
        if group:
            raise ValueError(f"Cannot specify '{group}' with 's'.")
    if kind == "int" and found["precision"] is not None and letter not in tuple(_FLOAT_KINDS):
        raise ValueError("Precision not allowed in integer format specifier")
