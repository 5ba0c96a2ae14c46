"""Lists: a header with the address of the items, how many there are, and for how many there is room.

Items are words of 8 bytes. How two of them compare is a number: -1 as words, -2 as strings, else that of a function.
"""

from __future__ import annotations

from echelon.plugin.compilers.python.layout import GROWN, TOP
from echelon.plugin.compilers.python.library.errors import INDEX, VALUE, fail, joined, said
from echelon.plugin.compilers.python.library.intrinsics import (
    allocate,
    call_test,
    call_word,
    load32,
    load64,
    memory_copy,
    memory_fill,
    store32,
    store64,
    text,
    wrap,
)
from echelon.plugin.compilers.python.library.slices import slice_size, slice_start, slice_stop
from echelon.plugin.compilers.python.library.strings import copy as copy_text
from echelon.plugin.compilers.python.library.strings import move as move_bytes
from echelon.plugin.compilers.python.library.strings import new as new_text
from echelon.plugin.compilers.python.library.strings import size as size_of
from echelon.plugin.compilers.python.library.strings import width
from echelon.plugin.compilers.python.library.text_values import equal as equal_texts
from echelon.plugin.compilers.python.library.text_values import from_int

_EMPTY: list[int] = []
_ONE = [1]
OUT_OF_RANGE = said(lambda: _EMPTY[1])
ASSIGNED_OUT_OF_RANGE = said(lambda: _EMPTY.__setitem__(1, 1))
POP_EMPTY = said(lambda: _EMPTY.pop())
POP_OUT_OF_RANGE = said(lambda: _ONE.pop(2))
DELETED_OUT_OF_RANGE = said(lambda: _EMPTY.__delitem__(1))
NOT_REMOVED = said(lambda: _EMPTY.remove(1))
NOT_IN_LIST = text(" is not in list")
ZERO_STEP = said(lambda: _EMPTY[::0])
TOO_FEW = text("not enough values to unpack (expected ")
TOO_FEW_GOT = text(", got ")
TOO_MANY = text("too many values to unpack (expected ")
BRACKET = text(")")
NOTHING = text("")
SLICE_SIZE = text("attempt to assign sequence of size ")
SLICE_SIZE_TO = text(" to extended slice of size ")
COMMA = text(", ")
OPEN = text("[")
CLOSE = text("]")
EMPTY_LIST = text("[]")

EQUAL_WORDS = -1
EQUAL_TEXTS = -2
MOST = 1 << 28


def make(count: int) -> int:
    """Return a list of so many items, which are still to be set."""
    found = allocate(16 + count * 8)
    store32(found, found + 16)
    store32(found + 4, count)
    store32(found + 8, count)
    return found


def size(items: int) -> int:
    return load32(items + 4)


def get(items: int, index: int) -> int:
    return load64(load32(items) + index * 8)


def put(items: int, index: int, word: int) -> None:
    store64(load32(items) + index * 8, word)


def grow(items: int) -> None:
    """Make room for more."""
    reserve(items, load32(items + 4) + 1)


def reserve(items: int, count: int) -> None:
    """Make room for so many items at least, and for more when they do not fit: appending is cheap."""
    room = load32(items + 8)
    if count <= room:
        return
    store32(GROWN, load32(GROWN) + 1)
    more = room * 2 + 8
    if more < count:
        more = count
    data = load32(items)
    if room > 0 and data + room * 8 == load32(TOP):
        allocate((more - room) * 8)
        store32(items + 8, more)
        return
    moved = allocate(more * 8)
    memory_copy(moved, data, load32(items + 4) * 8)
    store32(items, moved)
    store32(items + 8, more)


def append(items: int, word: int) -> None:
    count = load32(items + 4)
    if count == load32(items + 8):
        grow(items)
    store64(load32(items) + count * 8, word)
    store32(items + 4, count + 1)


def index(position: int, count: int) -> int:
    """Return where a negative index is; raises IndexError."""
    if position < 0:
        position += count
    if position < 0 or position >= count:
        fail(INDEX, OUT_OF_RANGE)
        return 0
    return position


def index_to_set(position: int, count: int) -> int:
    if position < 0:
        position += count
    if position < 0 or position >= count:
        fail(INDEX, ASSIGNED_OUT_OF_RANGE)
        return 0
    return position


def same(left: int, right: int, equality: int) -> bool:
    """Tell whether two words are equal."""
    if equality == EQUAL_WORDS:
        return left == right
    if equality == EQUAL_TEXTS:
        return equal_texts(left, right)
    return left == right or call_test(equality, left, right)


def equal(left: int, right: int, equality: int) -> bool:
    if left == right:
        return True
    count = load32(left + 4)
    if count != load32(right + 4):
        return False
    at = 0
    while at < count:
        if not same(get(left, at), get(right, at), equality):
            return False
        at += 1
    return True


def less(left: int, right: int, equality: int, order: int) -> bool:
    count = size(left)
    if size(right) < count:
        count = size(right)
    at = 0
    while at < count:
        if not same(get(left, at), get(right, at), equality):
            return call_test(order, get(left, at), get(right, at))
        at += 1
    return size(left) < size(right)


def find(items: int, word: int, start: int, stop: int, equality: int) -> int:
    """Return where an item is, -1 when it is nowhere."""
    at = start
    while at < stop and at < size(items):
        if same(get(items, at), word, equality):
            return at
        at += 1
    return -1


def holds(word: int, items: int, equality: int) -> bool:
    return find(items, word, 0, size(items), equality) >= 0


def index_of(items: int, word: int, start: int, stop: int, equality: int, show: int) -> int:
    count = size(items)
    if start < 0:
        start += count
        if start < 0:
            start = 0
    if stop < 0:
        stop += count
    at = find(items, word, start, stop, equality)
    if at < 0:
        fail(VALUE, joined(call_word(show, word), NOT_IN_LIST, NOTHING))
    return at


def count(items: int, word: int, equality: int) -> int:
    found = 0
    at = 0
    while at < size(items):
        if same(get(items, at), word, equality):
            found += 1
        at += 1
    return found


def remove(items: int, word: int, equality: int) -> None:
    at = find(items, word, 0, size(items), equality)
    if at < 0:
        fail(VALUE, NOT_REMOVED)
        return
    cut(items, at, 1)


def cut(items: int, at: int, length: int) -> None:
    """Take items out."""
    rest = size(items) - at - length
    data = load32(items) + at * 8
    memory_copy(data, data + length * 8, rest * 8)
    store32(items + 4, at + rest)


def delete(items: int, position: int) -> None:
    if position < 0:
        position += size(items)
    if position < 0 or position >= size(items):
        fail(INDEX, DELETED_OUT_OF_RANGE)
        return
    cut(items, position, 1)


def pop_last(items: int) -> int:
    last = size(items) - 1
    if last < 0:
        fail(INDEX, POP_EMPTY)
        return 0
    store32(items + 4, last)
    return load64(load32(items) + last * 8)


def pop(items: int, position: int) -> int:
    if size(items) == 0:
        fail(INDEX, POP_EMPTY)
        return 0
    if position < 0:
        position += size(items)
    if position < 0 or position >= size(items):
        fail(INDEX, POP_OUT_OF_RANGE)
        return 0
    word = get(items, position)
    cut(items, position, 1)
    return word


def insert(items: int, position: int, word: int) -> None:
    length = size(items)
    if position < 0:
        position += length
        if position < 0:
            position = 0
    if position > length:
        position = length
    reserve(items, length + 1)
    place = load32(items) + position * 8
    memory_copy(place + 8, place, (length - position) * 8)
    store64(place, word)
    store32(items + 4, length + 1)


def clear(items: int) -> None:
    store32(items + 4, 0)


def reverse(items: int) -> None:
    turn(load32(items), size(items))


def turn(low: int, count: int) -> None:
    """Turn so many words around where they are."""
    high = low + count * 8 - 8
    while low < high:
        word = load64(low)
        store64(low, load64(high))
        store64(high, word)
        low += 8
        high -= 8


def copy(items: int) -> int:
    return part(items, 0, size(items))


def part(items: int, start: int, length: int) -> int:
    found = make(length)
    move(load32(found), load32(items) + start * 8, length)
    return found


def concat(left: int, right: int) -> int:
    first = size(left)
    second = size(right)
    found = make(first + second)
    memory_copy(load32(found), load32(left), first * 8)
    memory_copy(load32(found) + first * 8, load32(right), second * 8)
    return found


def extend(items: int, more: int) -> None:
    length = size(items)
    second = size(more)
    reserve(items, length + second)
    memory_copy(load32(items) + length * 8, load32(more), second * 8)
    store32(items + 4, length + second)


def repeat(items: int, times: int) -> int:
    length = size(items)
    if times <= 0 or length == 0:
        return make(0)
    if times > MOST or length * times > MOST:
        allocate(1 << 40)
    found = make(length * times)
    data = load32(found)
    if length == 1:
        fill(data, get(items, 0), times)
        return found
    memory_copy(data, load32(items), length * 8)
    done = length
    while done < length * times:
        step = done
        if step > length * times - done:
            step = length * times - done
        memory_copy(data + done * 8, data, step * 8)
        done += step
    return found


def fill(data: int, word: int, times: int) -> None:
    if word == 0:
        memory_fill(data, 0, times * 8)
        return
    end = data + times * 8
    while data < end:
        store64(data, word)
        data += 8


def require_length(items: int, wanted: int) -> None:
    """Raise what unpacking raises when there are not so many items, or characters in a string."""
    length = load32(items + 4)
    if length < wanted:
        first = joined(TOO_FEW, from_int(wanted), TOO_FEW_GOT)
        fail(VALUE, joined(first, from_int(length), BRACKET))
    elif length > wanted:
        fail(VALUE, joined(TOO_MANY, from_int(wanted), BRACKET))


def slice(items: int, start: int, stop: int, flags: int) -> int:
    length = size(items)
    first = slice_start(length, start, 1, flags)
    last = slice_stop(length, stop, 1, flags)
    if last <= first:
        return make(0)
    return part(items, first, last - first)


def slice_step(items: int, start: int, stop: int, step: int, flags: int) -> int:
    if step == 0:
        fail(VALUE, ZERO_STEP)
        return items
    first = slice_start(size(items), start, step, flags)
    length = slice_size(first, slice_stop(size(items), stop, step, flags), step)
    found = make(length)
    to = load32(found)
    end = to + length * 8
    source = load32(items) + first * 8
    by = step * 8
    while to < end:
        store64(to, load64(source))
        source = wrap(source + by)
        to += 8
    return found


def move(to: int, source: int, count: int) -> None:
    """Copy words to where no word of them is, or before them; a few go one by one, which is the fastest."""
    if count > 16:
        memory_copy(to, source, count * 8)
        return
    end = to + count * 8
    while to < end:
        store64(to, load64(source))
        to += 8
        source += 8


def drop(items: int) -> None:
    """Give the memory of a list back that nothing refers to, when it is the newest."""
    if load32(items) == items + 16 and items + 16 + load32(items + 8) * 8 == load32(TOP):
        store32(TOP, items)


def set_slice(items: int, start: int, stop: int, flags: int, more: int) -> None:
    length = size(items)
    first = slice_start(length, start, 1, flags)
    last = slice_stop(length, stop, 1, flags)
    if last < first:
        last = first
    second = size(more)
    if more == items:
        more = copy(more)
    if first + second != last:
        reserve(items, length - (last - first) + second)
        memory_copy(load32(items) + (first + second) * 8, load32(items) + last * 8, (length - last) * 8)
        store32(items + 4, length - (last - first) + second)
    move(load32(items) + first * 8, load32(more), second)


def assign_slice(
    items: int, source: int, begin: int, end: int, given: int, start: int, stop: int, flags: int
) -> None:
    """Do items[start:stop] = source[begin:end] without a list between them, where the lengths are the same."""
    at = slice_start(size(source), begin, 1, given)
    length = slice_stop(size(source), end, 1, given) - at
    if length < 0:
        length = 0
    first = slice_start(size(items), start, 1, flags)
    last = slice_stop(size(items), stop, 1, flags)
    if last - first != length:
        made = part(source, at, length)
        set_slice(items, start, stop, flags, made)
        drop(made)
        return
    to = load32(items) + first * 8
    data = load32(source) + at * 8
    if to <= data:
        move(to, data, length)
    else:
        memory_copy(to, data, length * 8)


def assign_back(
    items: int, source: int, begin: int, end: int, given: int, start: int, stop: int, flags: int
) -> None:
    """Do items[start:stop] = source[begin:end:-1] likewise; a part that is turned around stays where it is."""
    if (
        source == items
        and given == 1
        and flags == 2
        and begin >= 0
        and begin < size(items)
        and stop == begin + 1
    ):
        turn(load32(items), stop)
        return
    at = slice_start(size(source), begin, -1, given)
    length = at - slice_stop(size(source), end, -1, given)
    if length < 0:
        length = 0
    first = slice_start(size(items), start, 1, flags)
    last = slice_stop(size(items), stop, 1, flags)
    if last - first != length or (source == items and first + length != at + 1):
        made = slice_step(source, begin, end, -1, given)
        set_slice(items, start, stop, flags, made)
        drop(made)
        return
    to = load32(items) + first * 8
    if source == items:
        turn(to, length)
        return
    data = load32(source) + at * 8
    last = to + length * 8
    while to < last:
        store64(to, load64(data))
        to += 8
        data -= 8


def set_slice_step(items: int, start: int, stop: int, step: int, flags: int, more: int) -> None:
    if step == 1:
        set_slice(items, start, stop, flags, more)
        return
    if not can_be_set(items, start, stop, step, flags, more):
        return
    first = slice_start(size(items), start, step, flags)
    if more == items:
        more = copy(more)
    at = 0
    while at < size(more):
        put(items, first, get(more, at))
        first += step
        at += 1


def can_be_set(items: int, start: int, stop: int, step: int, flags: int, more: int) -> bool:
    """Tell whether a slice with a step has as many items as it gets; raises ValueError when it has not."""
    if step == 0:
        fail(VALUE, ZERO_STEP)
        return False
    first = slice_start(size(items), start, step, flags)
    length = slice_size(first, slice_stop(size(items), stop, step, flags), step)
    if length == size(more):
        return True
    message = joined(SLICE_SIZE, from_int(size(more)), SLICE_SIZE_TO)
    fail(VALUE, joined(message, from_int(length), NOTHING))
    return False


def delete_slice_step(items: int, start: int, stop: int, step: int, flags: int) -> None:
    """Close the gaps that every `step`-th item leaves."""
    if step == 0:
        fail(VALUE, ZERO_STEP)
        return
    first = slice_start(size(items), start, step, flags)
    left = slice_size(first, slice_stop(size(items), stop, step, flags), step)
    count = left
    if step < 0:
        first += (left - 1) * step
        step = -step
    place = first
    at = first
    while count > 0 and at < size(items):
        if left > 0 and at == first:
            left -= 1
            first += step
        else:
            put(items, place, get(items, at))
            place += 1
        at += 1
    if count > 0:
        cut(items, place, count)


# Texts


def show(items: int, each: int) -> int:
    """Return what repr() gives; `each` shows an item."""
    if size(items) == 0:
        return EMPTY_LIST
    return joined(OPEN, show_each(items, each, COMMA), CLOSE)


def show_each(items: int, each: int, separator: int) -> int:
    """Return the texts of all items with something between them."""
    length = size(items)
    texts = make(length)
    at = 0
    while at < length:
        put(texts, at, call_word(each, get(items, at)))
        at += 1
    return join(separator, texts)


def join(separator: int, texts: int) -> int:
    """Return strings as one, with another between them."""
    length = size(texts)
    if length == 1:
        return get(texts, 0)
    kind = 0
    if length > 1:
        kind = width(separator)
    total = 0
    at = 0
    while at < length:
        item = get(texts, at)
        total += size_of(item)
        if width(item) > kind:
            kind = width(item)
        at += 1
    if length > 1:
        total += size_of(separator) * (length - 1)
    found = new_text(total, kind)
    if kind == 0:
        join_bytes(found + 16, separator, load32(texts), length)
        return found
    place = 0
    at = 0
    while at < length:
        if at > 0:
            copy_text(found, place, separator, 0, size_of(separator))
            place += size_of(separator)
        item = get(texts, at)
        copy_text(found, place, item, 0, size_of(item))
        place += size_of(item)
        at += 1
    return found


def join_bytes(to: int, separator: int, texts: int, count: int) -> None:
    """Write strings of one byte for each character, with another between them; `texts` is where their addresses are."""
    gap = size_of(separator)
    end = texts + count * 8
    while texts < end:
        item = load64(texts)
        length = size_of(item)
        move_bytes(to, load32(item), length)
        to += length
        texts += 8
        if gap > 0 and texts < end:
            move_bytes(to, load32(separator), gap)
            to += gap
