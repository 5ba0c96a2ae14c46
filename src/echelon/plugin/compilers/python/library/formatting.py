"""Values with a format specification, whose parts are numbers: characters by their code, 0 for none.

`align` is the character of the specification. A negative width or precision comes from a value in the specification.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import VALUE, fail, said
from echelon.plugin.compilers.python.library.intrinsics import allocate
from echelon.plugin.compilers.python.library.number_format import (
    format_float as write_float,
)
from echelon.plugin.compilers.python.library.number_format import (
    format_int as write_int,
)
from echelon.plugin.compilers.python.library.number_format import (
    number_format_room,
    sign_width,
)
from echelon.plugin.compilers.python.library.strings import (
    copy,
    from_ascii,
    new,
    part,
    put,
    size,
    width,
    width_of,
)
from echelon.plugin.compilers.python.library.text_layout import padded

LEFT, RIGHT, BETWEEN, CENTER = 60, 62, 61, 94
MISSING_PRECISION = said(lambda: format(1.0, ".-1f"))
TEXT_SIGN = said(lambda: format("a", "-1"))


def format_int(
    value: int,
    kind: int,
    sign: int,
    alternate: bool,
    group: int,
    zeros: bool,
    most: int,
    filling: int,
    align: int,
) -> int:
    """Return an integer as text, `most` wide at least; with `zeros` these fill up between sign and digits."""
    wanted = most
    if wanted < 0:
        wanted = -wanted
    zero_width = 0
    if zeros:
        zero_width = wanted
    place = allocate(number_format_room(0, wanted))
    end = write_int(value, kind, sign, alternate, group, zero_width, place)
    return placed(place, end, wanted, filling, align)


def format_float(
    value: float,
    kind: int,
    precision: int,
    sign: int,
    upper: bool,
    alternate: bool,
    group: int,
    zeros: bool,
    most: int,
    filling: int,
    align: int,
) -> int:
    wanted = most
    if wanted < 0:
        wanted = -wanted
    zero_width = 0
    if zeros:
        zero_width = wanted
    place = allocate(number_format_room(precision, wanted))
    end = write_float(value, kind, precision, sign, upper, alternate, group, zero_width, place)
    return placed(place, end, wanted, filling, align)


def require_precision(value: int) -> int:
    """Return a precision that is a value in the specification."""
    if value < 0:
        fail(VALUE, MISSING_PRECISION)
        return 0
    return value


def format_text(value: int, precision: int, most: int, filling: int, align: int) -> int:
    if most < 0:
        fail(VALUE, TEXT_SIGN)
        return value
    if 0 <= precision < size(value):
        value = part(value, 0, precision)
    more = most - size(value)
    if more <= 0:
        return value
    return around(value, more, filling, align)


def around(value: int, more: int, filling: int, align: int) -> int:
    if align == LEFT:
        return padded(value, 0, more, filling)
    if align == CENTER:
        return padded(value, more >> 1, more - (more >> 1), filling)
    return padded(value, more, 0, filling)


def placed(place: int, end: int, wanted: int, filling: int, align: int) -> int:
    """Return a number's text, filled up to a width."""
    value = from_ascii(place, end)
    more = wanted - (end - place)
    if more <= 0:
        return value
    if align != BETWEEN:
        return around(value, more, filling, align)
    before = sign_width(place, end)
    kind = width(value)
    if width_of(filling) > kind:
        kind = width_of(filling)
    found = new(wanted, kind)
    copy(found, 0, value, 0, before)
    index = before
    while index < before + more:
        put(found, index, filling)
        index += 1
    copy(found, index, value, before, size(value) - before)
    return found
