"""What guests ask of the host: variables, the log, the store, requests; and the numbers in the buffers for it."""

from __future__ import annotations

from echelon.plugin.compilers.python.library.errors import VALUE, fail
from echelon.plugin.compilers.python.library.intrinsics import (
    absolute,
    host_env_get,
    host_fetch,
    host_kv_atomic,
    host_kv_delete,
    host_kv_get,
    host_kv_list,
    host_kv_set,
    host_log,
    host_take,
    load32,
    load64,
    load_float,
    memory_copy,
    store32,
    store64,
    store_float,
    text,
)
from echelon.plugin.compilers.python.library.lists import get
from echelon.plugin.compilers.python.library.lists import size as length_of
from echelon.plugin.compilers.python.library.octets import hex_digit
from echelon.plugin.compilers.python.library.strings import at, new, put, size, width
from echelon.plugin.compilers.python.library.text_values import from_float

NOT_JSON = text("Out of range float values are not JSON compliant")
NOTHING = text("")
LARGEST = 1.7976931348623157e308


def taken(length: int) -> int:
    """Return the bytes that the last call of the host has found, None for nothing."""
    if length < 0:
        return 0
    found = new(length, 0)
    host_take(load32(found))
    return found


def env_get(name: int) -> int:
    return taken(host_env_get(load32(name), size(name)))


def log(level: int, message: int) -> None:
    host_log(level, load32(message), size(message))


def kv_get(key: int) -> int:
    return taken(host_kv_get(load32(key), size(key)))


def kv_set(key: int, kind: int, content: int, milliseconds: int) -> int:
    return taken(host_kv_set(load32(key), size(key), kind, load32(content), size(content), milliseconds))


def kv_delete(key: int) -> None:
    host_kv_delete(load32(key), size(key))


def kv_list(request: int) -> int:
    return taken(host_kv_list(load32(request), size(request)))


def kv_atomic(commit: int) -> int:
    return taken(host_kv_atomic(load32(commit), size(commit)))


def fetch(request: int) -> int:
    return taken(host_fetch(load32(request), size(request)))


# Numbers in buffers


def u32(number: int) -> int:
    found = new(4, 0)
    store32(load32(found), number)
    return found


def i64(number: int) -> int:
    found = new(8, 0)
    store64(load32(found), number)
    return found


def f64(number: float) -> int:
    found = new(8, 0)
    store_float(load32(found), number)
    return found


def read_u32(content: int, at: int) -> int:
    return load32(load32(content) + at)


def read_i64(content: int, at: int) -> int:
    return load64(load32(content) + at)


def read_f64(content: int, at: int) -> float:
    return load_float(load32(content) + at)


def joined(parts: int) -> int:
    """Return bytes one after another."""
    total = 0
    index = 0
    while index < length_of(parts):
        total += size(get(parts, index))
        index += 1
    found = new(total, 0)
    place = load32(found)
    index = 0
    while index < length_of(parts):
        part = get(parts, index)
        memory_copy(place, load32(part), size(part))
        place += size(part)
        index += 1
    return found


# JSON


def json_float(value: float) -> int:
    if not absolute(value) <= LARGEST:
        fail(VALUE, NOT_JSON)
        return NOTHING
    return from_float(value)


def escape_size(code: int) -> int:
    if code == 0x22 or code == 0x5C:
        return 2
    if code >= 0x20:
        return 1
    if code >= 8 and code <= 13 and code != 11:
        return 2
    return 6


def escape_letter(code: int) -> int:
    """Return what follows the backslash, 0 for a character that is written in hex."""
    if code == 8:
        return 0x62
    if code == 9:
        return 0x74
    if code == 10:
        return 0x6E
    if code == 12:
        return 0x66
    if code == 13:
        return 0x72
    return code


def json_text(value: int) -> int:
    """Return a string between quotes, as `json.dumps(…, ensure_ascii=False)` writes it."""
    count = size(value)
    total = 2
    index = 0
    while index < count:
        total += escape_size(at(value, index))
        index += 1
    found = new(total, width(value))
    put(found, 0, 0x22)
    place = 1
    index = 0
    while index < count:
        code = at(value, index)
        wide = escape_size(code)
        if wide == 1:
            put(found, place, code)
        else:
            put(found, place, 0x5C)
            if wide == 2:
                put(found, place + 1, escape_letter(code))
            else:
                put(found, place + 1, 0x75)
                put(found, place + 2, 0x30)
                put(found, place + 3, 0x30)
                put(found, place + 4, hex_digit(code >> 4))
                put(found, place + 5, hex_digit(code & 15))
        place += wide
        index += 1
    put(found, place, 0x22)
    return found
