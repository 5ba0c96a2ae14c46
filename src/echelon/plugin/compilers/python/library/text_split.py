"""Strings split and stripped."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import VALUE, fail, said
from echelon.plugin.compilers.python.library.intrinsics import load8, load32
from echelon.plugin.compilers.python.library.lists import append, make, reverse
from echelon.plugin.compilers.python.library.strings import at, part, size, width
from echelon.plugin.compilers.python.library.text_case import is_space_code
from echelon.plugin.compilers.python.library.text_search import search, search_last

_NONE = ""
EMPTY_SEPARATOR = said(lambda: "a".split(_NONE))


def split(text: int, separator: int, most: int) -> int:
    found = make(0)
    if size(separator) == 0:
        fail(VALUE, EMPTY_SEPARATOR)
        return found
    length = size(text)
    start = 0
    while most != 0:
        place = search(text, separator, start, length)
        if place < 0:
            break
        append(found, part(text, start, place - start))
        start = place + size(separator)
        most -= 1
    append(found, part(text, start, length - start))
    return found


def split_last(text: int, separator: int, most: int) -> int:
    found = make(0)
    if size(separator) == 0:
        fail(VALUE, EMPTY_SEPARATOR)
        return found
    end = size(text)
    while most != 0:
        place = search_last(text, separator, 0, end)
        if place < 0:
            break
        append(found, part(text, place + size(separator), end - place - size(separator)))
        end = place
        most -= 1
    append(found, part(text, 0, end))
    reverse(found)
    return found


def split_spaces(text: int, most: int) -> int:
    found = make(0)
    length = size(text)
    start = 0
    while True:
        while start < length and is_space_code(at(text, start)):
            start += 1
        if start >= length:
            return found
        if most == 0:
            break
        end = word_end(text, start + 1, length)
        append(found, part(text, start, end - start))
        start = end
        most -= 1
    append(found, part(text, start, length - start))
    return found


def word_end(text: int, start: int, length: int) -> int:
    """Return where the next white space is, or the end."""
    end = start
    if width(text) == 0:
        data = load32(text)
        while end < length:
            code = load8(data + end)
            if (code < 33 or code == 0x85 or code == 0xA0) and is_space_code(code):
                return end
            end += 1
        return end
    while end < length and not is_space_code(at(text, end)):
        end += 1
    return end


def split_lines(text: int) -> int:
    found = make(0)
    length = size(text)
    start = 0
    while start < length:
        end = start
        while end < length and not is_break(at(text, end)):
            end += 1
        append(found, part(text, start, end - start))
        if end + 1 < length and at(text, end) == 13 and at(text, end + 1) == 10:
            end += 1
        start = end + 1
    return found


def is_break(code: int) -> bool:
    """Tell whether a character ends a line for splitlines()."""
    if code <= 30:
        return 10 <= code <= 13 or code >= 28
    return code == 0x85 or code == 0x2028 or code == 0x2029


def strip_spaces(text: int, which: int) -> int:
    """Return a string without white space at its ends: 1 the left one, 2 the right one."""
    start = 0
    end = size(text)
    if which & 1 != 0:
        while start < end and is_space_code(at(text, start)):
            start += 1
    if which & 2 != 0:
        while start < end and is_space_code(at(text, end - 1)):
            end -= 1
    return part(text, start, end - start)


def strip(text: int, what: int, which: int) -> int:
    """Return a string without some characters at its ends."""
    start = 0
    end = size(text)
    if which & 1 != 0:
        while start < end and has(what, at(text, start)):
            start += 1
    if which & 2 != 0:
        while start < end and has(what, at(text, end - 1)):
            end -= 1
    return part(text, start, end - start)


def has(text: int, code: int) -> bool:
    index = 0
    while index < size(text):
        if at(text, index) == code:
            return True
        index += 1
    return False
