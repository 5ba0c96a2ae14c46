"""Where one string is in another, and what is made of that."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import VALUE, fail, said
from echelon.plugin.compilers.python.library.intrinsics import allocate, load8, load32, store32, text
from echelon.plugin.compilers.python.library.strings import at, copy, new, part, size, width
from echelon.plugin.compilers.python.library.text_values import same_bytes

NOT_FOUND = said(lambda: "a".index("b"))
EMPTY_SEPARATOR = said(lambda: "a".partition(""))
NOTHING = text("")


def bound(position: int, length: int) -> int:
    """Return a bound of find() within a string."""
    if position < 0:
        position += length
        if position < 0:
            return 0
    return position


def is_at(text: int, what: int, index: int) -> bool:
    """Tell whether a string is at an index of another, where there is room for it."""
    length = size(what)
    kind = width(text)
    if kind == width(what):
        return same_bytes(load32(text) + (index << kind), load32(what), length << kind)
    place = 0
    while place < length:
        if at(text, index + place) != at(what, place):
            return False
        place += 1
    return True


def search(text: int, what: int, start: int, stop: int) -> int:
    """Return the first index between two at which a string lies whole, -1 for none."""
    length = size(what)
    if length == 0:
        return start if start <= stop else -1
    if width(what) > width(text):
        return -1
    last = stop - length
    first = at(what, 0)
    if width(text) == 0:
        data = load32(text)
        while start <= last:
            if load8(data + start) == first and is_at(text, what, start):
                return start
            start += 1
        return -1
    while start <= last:
        if at(text, start) == first and is_at(text, what, start):
            return start
        start += 1
    return -1


def search_last(text: int, what: int, start: int, stop: int) -> int:
    if width(what) > width(text):
        return -1
    place = stop - size(what)
    while place >= start:
        if is_at(text, what, place):
            return place
        place -= 1
    return -1


def find(text: int, what: int, start: int, stop: int) -> int:
    length = size(text)
    stop = bound(stop, length)
    if stop > length:
        stop = length
    start = bound(start, length)
    if start > length:
        return -1
    return search(text, what, start, stop)


def find_last(text: int, what: int, start: int, stop: int) -> int:
    length = size(text)
    stop = bound(stop, length)
    if stop > length:
        stop = length
    start = bound(start, length)
    if start > length:
        return -1
    return search_last(text, what, start, stop)


def index_of(text: int, what: int, start: int, stop: int) -> int:
    found = find(text, what, start, stop)
    if found < 0:
        fail(VALUE, NOT_FOUND)
    return found


def last_index_of(text: int, what: int, start: int, stop: int) -> int:
    found = find_last(text, what, start, stop)
    if found < 0:
        fail(VALUE, NOT_FOUND)
    return found


def holds(what: int, text: int) -> bool:
    return search(text, what, 0, size(text)) >= 0


def count(text: int, what: int, start: int, stop: int) -> int:
    length = size(text)
    stop = bound(stop, length)
    if stop > length:
        stop = length
    start = bound(start, length)
    if start > length or start > stop:
        return 0
    if size(what) == 0:
        return stop - start + 1
    found = 0
    place = search(text, what, start, stop)
    while place >= 0:
        found += 1
        place = search(text, what, place + size(what), stop)
    return found


def starts_with(text: int, what: int, start: int) -> bool:
    length = size(text)
    start = bound(start, length)
    if start + size(what) > length:
        return False
    return is_at(text, what, start)


def ends_with(text: int, what: int, start: int) -> bool:
    length = size(text)
    start = bound(start, length)
    place = length - size(what)
    if place < start:
        return False
    return is_at(text, what, place)


def remove_prefix(text: int, what: int) -> int:
    if size(what) > 0 and starts_with(text, what, 0):
        return part(text, size(what), size(text) - size(what))
    return text


def remove_suffix(text: int, what: int) -> int:
    if size(what) > 0 and ends_with(text, what, 0):
        return part(text, 0, size(text) - size(what))
    return text


def partition(text: int, what: int, last: int) -> int:
    """Return a tuple of what is before the first or last separator, the separator, and what is behind."""
    if size(what) == 0:
        fail(VALUE, EMPTY_SEPARATOR)
        return 0
    place = search_last(text, what, 0, size(text)) if last != 0 else search(text, what, 0, size(text))
    made = allocate(24)
    if place < 0:
        store32(made, text)
        store32(made + 8, NOTHING)
        store32(made + 16, NOTHING)
        if last != 0:
            store32(made, NOTHING)
            store32(made + 16, text)
        return made
    behind = place + size(what)
    store32(made, part(text, 0, place))
    store32(made + 8, what)
    store32(made + 16, part(text, behind, size(text) - behind))
    return made


def replace(text: int, what: int, other: int, most: int) -> int:
    """Return a string with other text in the place of some."""
    length = size(text)
    if most == 0 or (most > 0 and length == 0 and size(what) > 0):
        return text
    if size(what) == 0:
        return _interleave(text, other, most)
    times = 0
    place = search(text, what, 0, length)
    while place >= 0 and times != most:
        times += 1
        place = search(text, what, place + size(what), length)
    if times == 0:
        return text
    kind = width(text)
    if width(other) > kind:
        kind = width(other)
    found = new(length + times * (size(other) - size(what)), kind)
    origin = 0
    to = 0
    while times > 0:
        place = search(text, what, origin, length)
        copy(found, to, text, origin, place - origin)
        to += place - origin
        copy(found, to, other, 0, size(other))
        to += size(other)
        origin = place + size(what)
        times -= 1
    copy(found, to, text, origin, length - origin)
    return narrowed(found)


def _interleave(text: int, other: int, most: int) -> int:
    """Return a string with other text before each character and at the end."""
    length = size(text)
    times = length + 1
    if 0 <= most < times:
        times = most
    kind = width(text)
    if width(other) > kind:
        kind = width(other)
    found = new(length + times * size(other), kind)
    to = 0
    origin = 0
    while origin <= length:
        if origin < times:
            copy(found, to, other, 0, size(other))
            to += size(other)
        if origin < length:
            copy(found, to, text, origin, 1)
            to += 1
        origin += 1
    return found


def narrowed(text: int) -> int:
    """Return a string as narrow as its characters allow."""
    if width(text) == 0:
        return text
    index = 0
    widest = 0
    while index < size(text):
        code = at(text, index)
        if code > widest:
            widest = code
        index += 1
    kind = 0
    if widest >= 0x10000:
        kind = 2
    elif widest >= 0x100:
        kind = 1
    if kind == width(text):
        return text
    found = new(size(text), kind)
    copy(found, 0, text, 0, size(text))
    return found
