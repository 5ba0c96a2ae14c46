"""Characters by kind, and strings in upper and lower case: as this CPython's version of Unicode has them.

ASCII is told apart by arithmetic; for all other characters there are tables of ranges.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from echelon.plugin.compilers.python.library.intrinsics import (
    Later,
    character_table,
    less_unsigned,
    load32,
    size_of,
    store32,
)
from echelon.plugin.compilers.python.library.strings import CHARACTER_TABLE, at, new, put, size, width_of

_CODES = [*range(0x80, 0xD800), *range(0xE000, 0x34000), *range(0xE0000, 0xE0200)]
"""Every character outside of ASCII that Unicode has given a meaning but for private ones."""


def _ranges(test: Callable[[str], bool]) -> Later:
    """Return the first and last character of each range for which something holds."""

    def make() -> bytes:
        found: list[list[int]] = []
        for code in _CODES:
            if test(chr(code)):
                if found and found[-1][1] == code - 1:
                    found[-1][1] = code
                else:
                    found.append([code, code])
        return b"".join(struct.pack("<II", *pair) for pair in found)

    return Later(make)


def _runs(change: Callable[[str], str]) -> Later:
    """Return ranges of characters that become one other: first, last, difference, and how far apart they are."""

    def make() -> bytes:
        runs: list[list[int]] = []
        for code in _CODES:
            other = change(chr(code))
            if len(other) != 1 or ord(other) == code:
                continue
            difference = ord(other) - code
            if runs and runs[-1][2] == difference and code - runs[-1][1] in (1, 2):
                step = code - runs[-1][1]
                if runs[-1][0] == runs[-1][1] or runs[-1][3] == step:
                    runs[-1][1], runs[-1][3] = code, step
                    continue
            runs.append([code, code, difference, 1])
        return b"".join(struct.pack("<IIiI", *run) for run in runs)

    return Later(make)


def _expansions(change: Callable[[str], str]) -> Later:
    """Return characters that become two or three: the character and what it becomes, 0 for no third."""

    def make() -> bytes:
        def entries() -> Iterator[bytes]:
            for code in _CODES:
                other = change(chr(code))
                if len(other) > 1:
                    yield struct.pack("<IIII", code, *map(ord, other), *[0] * (3 - len(other)))

        return b"".join(entries())

    return Later(make)


ALPHA = _ranges(str.isalpha)
ALNUM = _ranges(str.isalnum)
DIGITS = _ranges(str.isdigit)
DECIMALS = _ranges(str.isdecimal)
NUMERICS = _ranges(str.isnumeric)
PRINTABLE = _ranges(str.isprintable)
UPPER = _ranges(str.isupper)
LOWER = _ranges(str.islower)
TITLE = _ranges(lambda letter: letter.istitle() and not letter.isupper())
IGNORED = _ranges(
    lambda letter: (
        ("A" + letter + "\u03a3").lower()[-1] == "\u03c2"
        and ("." + letter + "\u03a3").lower()[-1] != "\u03c2"
    )
)
TO_UPPER = _runs(str.upper)
TO_LOWER = _runs(str.lower)
TO_TITLE = _runs(str.title)
MORE_UPPER = _expansions(str.upper)
MORE_LOWER = _expansions(str.lower)
MORE_TITLE = _expansions(str.title)


def in_ranges(table: int, length: int, code: int) -> bool:
    """Tell whether a character is in a table of ranges."""
    low = 0
    high = length >> 3
    while low < high:
        middle = (low + high) >> 1
        place = table + middle * 8
        if code < load32(place):
            high = middle
        elif code > load32(place + 4):
            low = middle + 1
        else:
            return True
    return False


def is_space_code(code: int) -> bool:
    """Tell whether a character is white space."""
    if code < 0x80:
        return code == 32 or 9 <= code <= 13 or 28 <= code <= 31
    if code < 0x1680:
        return code == 0x85 or code == 0xA0
    if code == 0x1680 or 0x2000 <= code <= 0x200A or code == 0x2028 or code == 0x2029:
        return True
    return code == 0x202F or code == 0x205F or code == 0x3000


def is_alpha_code(code: int) -> bool:
    if code < 0x80:
        return 97 <= (code | 32) <= 122
    return in_ranges(ALPHA + 0, size_of(ALPHA), code)


def is_alnum_code(code: int) -> bool:
    if code < 0x80:
        return 97 <= (code | 32) <= 122 or 48 <= code <= 57
    return in_ranges(ALNUM + 0, size_of(ALNUM), code)


def is_digit_code(code: int) -> bool:
    if code < 0x80:
        return 48 <= code <= 57
    return in_ranges(DIGITS + 0, size_of(DIGITS), code)


def is_decimal_code(code: int) -> bool:
    if code < 0x80:
        return 48 <= code <= 57
    return in_ranges(DECIMALS + 0, size_of(DECIMALS), code)


def is_numeric_code(code: int) -> bool:
    if code < 0x80:
        return 48 <= code <= 57
    return in_ranges(NUMERICS + 0, size_of(NUMERICS), code)


def is_printable_code(code: int) -> bool:
    if code < 0x80:
        return 32 <= code <= 126
    return in_ranges(PRINTABLE + 0, size_of(PRINTABLE), code)


def is_upper_code(code: int) -> bool:
    if code < 0x80:
        return 65 <= code <= 90
    return in_ranges(UPPER + 0, size_of(UPPER), code)


def is_lower_code(code: int) -> bool:
    if code < 0x80:
        return 97 <= code <= 122
    return in_ranges(LOWER + 0, size_of(LOWER), code)


def is_title_code(code: int) -> bool:
    if code < 0x80:
        return False
    return in_ranges(TITLE + 0, size_of(TITLE), code)


# Strings


def is_alpha(text: int) -> bool:
    place = text - character_table()
    if less_unsigned(place, CHARACTER_TABLE):
        return is_alpha_code(place >> 4)
    return are_alpha(text)


def are_alpha(text: int) -> bool:
    index = 0
    while index < size(text):
        if not is_alpha_code(at(text, index)):
            return False
        index += 1
    return index > 0


def is_alnum(text: int) -> bool:
    place = text - character_table()
    if less_unsigned(place, CHARACTER_TABLE):
        return is_alnum_code(place >> 4)
    return are_alnum(text)


def are_alnum(text: int) -> bool:
    index = 0
    while index < size(text):
        if not is_alnum_code(at(text, index)):
            return False
        index += 1
    return index > 0


def is_digit(text: int) -> bool:
    place = text - character_table()
    if less_unsigned(place, CHARACTER_TABLE):
        return is_digit_code(place >> 4)
    return are_digits(text)


def are_digits(text: int) -> bool:
    index = 0
    while index < size(text):
        if not is_digit_code(at(text, index)):
            return False
        index += 1
    return index > 0


def is_decimal(text: int) -> bool:
    index = 0
    while index < size(text):
        if not is_decimal_code(at(text, index)):
            return False
        index += 1
    return index > 0


def is_numeric(text: int) -> bool:
    index = 0
    while index < size(text):
        if not is_numeric_code(at(text, index)):
            return False
        index += 1
    return index > 0


def is_space(text: int) -> bool:
    place = text - character_table()
    if less_unsigned(place, CHARACTER_TABLE):
        return is_space_code(place >> 4)
    return are_spaces(text)


def are_spaces(text: int) -> bool:
    index = 0
    while index < size(text):
        if not is_space_code(at(text, index)):
            return False
        index += 1
    return index > 0


def is_printable(text: int) -> bool:
    index = 0
    while index < size(text):
        if not is_printable_code(at(text, index)):
            return False
        index += 1
    return True


def is_ascii(text: int) -> bool:
    index = 0
    while index < size(text):
        if at(text, index) >= 0x80:
            return False
        index += 1
    return True


def is_upper(text: int) -> bool:
    cased = False
    index = 0
    while index < size(text):
        code = at(text, index)
        if is_lower_code(code) or is_title_code(code):
            return False
        if is_upper_code(code):
            cased = True
        index += 1
    return cased


def is_lower(text: int) -> bool:
    cased = False
    index = 0
    while index < size(text):
        code = at(text, index)
        if is_upper_code(code) or is_title_code(code):
            return False
        if is_lower_code(code):
            cased = True
        index += 1
    return cased


def is_title(text: int) -> bool:
    """Tell whether capitals come first in words and nowhere else."""
    cased = False
    within = False
    index = 0
    while index < size(text):
        code = at(text, index)
        if is_upper_code(code) or is_title_code(code):
            if within:
                return False
            within = True
            cased = True
        elif is_lower_code(code):
            if not within:
                return False
            cased = True
        else:
            within = False
        index += 1
    return cased


# Change of case: the characters are written with four bytes each, then made into a string.


def changed(runs: int, runs_length: int, code: int) -> int:
    """Return the one character that another becomes."""
    low = 0
    high = runs_length >> 4
    while low < high:
        middle = (low + high) >> 1
        place = runs + middle * 16
        if code < load32(place):
            high = middle
        elif code > load32(place + 4):
            low = middle + 1
        else:
            if (code - load32(place)) % load32(place + 12) != 0:
                return code
            return (code + load32(place + 8)) & 0xFFFF_FFFF
    return code


def write_changed(runs: int, runs_length: int, more: int, more_length: int, code: int, place: int) -> int:
    """Write what a character becomes and return where that ends."""
    low = 0
    high = more_length >> 4
    while low < high:
        middle = (low + high) >> 1
        entry = more + middle * 16
        if code < load32(entry):
            high = middle
        elif code > load32(entry):
            low = middle + 1
        else:
            store32(place, load32(entry + 4))
            store32(place + 4, load32(entry + 8))
            if load32(entry + 12) == 0:
                return place + 8
            store32(place + 8, load32(entry + 12))
            return place + 12
    store32(place, changed(runs, runs_length, code))
    return place + 4


def write_upper(code: int, place: int) -> int:
    if code < 0x80:
        store32(place, code - 32 if 97 <= code <= 122 else code)
        return place + 4
    return write_changed(TO_UPPER + 0, size_of(TO_UPPER), MORE_UPPER + 0, size_of(MORE_UPPER), code, place)


def write_title(code: int, place: int) -> int:
    if code < 0x80:
        store32(place, code - 32 if 97 <= code <= 122 else code)
        return place + 4
    return write_changed(TO_TITLE + 0, size_of(TO_TITLE), MORE_TITLE + 0, size_of(MORE_TITLE), code, place)


def write_lower(text: int, index: int, place: int) -> int:
    """Write a character in lower case; a sigma at the end of a word has a form of its own."""
    code = at(text, index)
    if code < 0x80:
        store32(place, code + 32 if 65 <= code <= 90 else code)
        return place + 4
    if code == 0x3A3:
        store32(place, 0x3C2 if _ends_word(text, index) else 0x3C3)
        return place + 4
    return write_changed(TO_LOWER + 0, size_of(TO_LOWER), MORE_LOWER + 0, size_of(MORE_LOWER), code, place)


def _ends_word(text: int, index: int) -> bool:
    """Tell whether there is a letter before a place and none behind it, not counting marks between letters."""
    before = index - 1
    while before >= 0 and is_ignored(at(text, before)):
        before -= 1
    if before < 0 or not is_cased(at(text, before)):
        return False
    behind = index + 1
    while behind < size(text) and is_ignored(at(text, behind)):
        behind += 1
    return behind == size(text) or not is_cased(at(text, behind))


def is_ignored(code: int) -> bool:
    """Tell whether a character does not count when the end of a word is looked for."""
    if code < 0x80:
        return code == 39 or code == 46 or code == 58 or code == 94 or code == 96
    return in_ranges(IGNORED + 0, size_of(IGNORED), code)


def is_cased(code: int) -> bool:
    return is_upper_code(code) or is_lower_code(code) or is_title_code(code)


def room(text: int) -> int:
    """Return where characters of a changed string are written."""
    return new(size(text) * 3, 2)


def finish(made: int, end: int) -> int:
    """Return the string of characters that were written."""
    length = (end - load32(made)) >> 2
    store32(made + 4, length)
    kind = 0
    index = 0
    while index < length:
        need = width_of(at(made, index))
        if need > kind:
            kind = need
        index += 1
    found = new(length, kind)
    index = 0
    while index < length:
        put(found, index, at(made, index))
        index += 1
    return found


def upper(text: int) -> int:
    made = room(text)
    end = load32(made)
    index = 0
    while index < size(text):
        end = write_upper(at(text, index), end)
        index += 1
    return finish(made, end)


def lower(text: int) -> int:
    made = room(text)
    end = load32(made)
    index = 0
    while index < size(text):
        end = write_lower(text, index, end)
        index += 1
    return finish(made, end)


def capitalize(text: int) -> int:
    made = room(text)
    end = load32(made)
    index = 0
    while index < size(text):
        end = write_title(at(text, index), end) if index == 0 else write_lower(text, index, end)
        index += 1
    return finish(made, end)


def swapcase(text: int) -> int:
    made = room(text)
    end = load32(made)
    index = 0
    while index < size(text):
        code = at(text, index)
        if is_upper_code(code):
            end = write_lower(text, index, end)
        elif is_lower_code(code):
            end = write_upper(code, end)
        else:
            store32(end, code)
            end += 4
        index += 1
    return finish(made, end)


def title(text: int) -> int:
    made = room(text)
    end = load32(made)
    within = False
    index = 0
    while index < size(text):
        end = write_lower(text, index, end) if within else write_title(at(text, index), end)
        within = is_cased(at(text, index))
        index += 1
    return finish(made, end)
