"""Strings at their place in a line, repeated, quoted, cut into slices."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import TYPE, VALUE, fail, said
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    load32,
    memory_copy,
    text,
)
from echelon.plugin.compilers.python.library.slices import slice_size, slice_start, slice_stop
from echelon.plugin.compilers.python.library.strings import (
    at,
    copy,
    new,
    part,
    put,
    size,
    width,
    width_of,
)
from echelon.plugin.compilers.python.library.text_case import is_printable_code
from echelon.plugin.compilers.python.library.text_search import narrowed

NOTHING = text("")
ZERO_STEP = said(lambda: ""[::0])
ONE_CHARACTER = said(lambda: "a".center(2, ""))
MOST = 1 << 30


def slice(value: int, start: int, stop: int, flags: int) -> int:
    length = size(value)
    first = slice_start(length, start, 1, flags)
    last = slice_stop(length, stop, 1, flags)
    if last <= first:
        return NOTHING
    return part(value, first, last - first)


def slice_step(value: int, start: int, stop: int, step: int, flags: int) -> int:
    if step == 0:
        fail(VALUE, ZERO_STEP)
        return value
    first = slice_start(size(value), start, step, flags)
    length = slice_size(first, slice_stop(size(value), stop, step, flags), step)
    found = new(length, width(value))
    index = 0
    while index < length:
        put(found, index, at(value, first))
        first += step
        index += 1
    return narrowed(found)


def repeat(value: int, times: int) -> int:
    length = size(value)
    if times <= 0 or length == 0:
        return NOTHING
    if times == 1:
        return value
    if times > MOST or length * times > MOST:
        allocate(1 << 40)
    found = new(length * times, width(value))
    copy(found, 0, value, 0, length)
    done = length << width(value)
    total = (length * times) << width(value)
    data = load32(found)
    while done < total:
        step = done
        if step > total - done:
            step = total - done
        memory_copy(data + done, data, step)
        done += step
    return found


def padded(value: int, left: int, right: int, filling: int) -> int:
    """Return a string with characters on both sides."""
    if left > MOST or right > MOST:
        allocate(1 << 40)
    kind = width(value)
    if width_of(filling) > kind:
        kind = width_of(filling)
    length = size(value)
    found = new(left + length + right, kind)
    index = 0
    while index < left:
        put(found, index, filling)
        index += 1
    copy(found, left, value, 0, length)
    index = left + length
    while index < left + length + right:
        put(found, index, filling)
        index += 1
    return found


def filling_of(value: int) -> int:
    if size(value) != 1:
        fail(TYPE, ONE_CHARACTER)
        return 32
    return at(value, 0)


def adjust_left(value: int, wanted: int, filling: int) -> int:
    code = filling_of(filling)
    if wanted <= size(value):
        return value
    return padded(value, 0, wanted - size(value), code)


def adjust_right(value: int, wanted: int, filling: int) -> int:
    code = filling_of(filling)
    if wanted <= size(value):
        return value
    return padded(value, wanted - size(value), 0, code)


def center(value: int, wanted: int, filling: int) -> int:
    code = filling_of(filling)
    more = wanted - size(value)
    if more <= 0:
        return value
    left = (more >> 1) + (more & wanted & 1)
    return padded(value, left, more - left, code)


def zero_fill(value: int, wanted: int) -> int:
    more = wanted - size(value)
    if more <= 0:
        return value
    found = padded(value, more, 0, 48)
    if size(value) > 0 and (at(value, 0) == 43 or at(value, 0) == 45):
        put(found, more, 48)
        put(found, 0, at(value, 0))
    return found


# repr()


def quote(value: int) -> int:
    """Return a string as Python writes it."""
    length = size(value)
    mark = 39
    plain = True
    index = 0
    double = False
    single = False
    while index < length:
        code = at(value, index)
        if code == 39:
            single = True
        elif code == 34:
            double = True
        elif code < 32 or code == 92 or code >= 127:
            plain = False
        index += 1
    if single and not double:
        mark = 34
    if plain and not (single and double):
        found = new(length + 2, 0)
        put(found, 0, mark)
        copy(found, 1, value, 0, length)
        put(found, length + 1, mark)
        return found
    return _quote_marked(value, mark)


def _quote_marked(value: int, mark: int) -> int:
    total = 2
    kind = 0
    index = 0
    while index < size(value):
        code = at(value, index)
        need = escape_size(code, mark)
        total += need
        if need == 1 and width_of(code) > kind:
            kind = width_of(code)
        index += 1
    found = new(total, kind)
    put(found, 0, mark)
    place = 1
    index = 0
    while index < size(value):
        place = put_escaped(found, place, at(value, index), mark)
        index += 1
    put(found, place, mark)
    return found


def escape_size(code: int, mark: int) -> int:
    """Return how many characters of repr() one character takes."""
    if code == mark or code == 92 or code == 10 or code == 13 or code == 9:
        return 2
    if is_printable_code(code):
        return 1
    if code < 0x100:
        return 4
    if code < 0x10000:
        return 6
    return 10


def put_escaped(found: int, place: int, code: int, mark: int) -> int:
    need = escape_size(code, mark)
    if need == 1:
        put(found, place, code)
        return place + 1
    put(found, place, 92)
    if need == 2:
        letter = code
        if code == 10:
            letter = 110
        elif code == 13:
            letter = 114
        elif code == 9:
            letter = 116
        put(found, place + 1, letter)
        return place + 2
    letter = 120
    if need == 6:
        letter = 117
    elif need == 10:
        letter = 85
    put(found, place + 1, letter)
    digit = need - 2
    while digit > 0:
        digit -= 1
        value = (code >> (digit * 4)) & 15
        put(found, place + need - 1 - digit, 48 + value if value < 10 else 87 + value)
    return place + need
