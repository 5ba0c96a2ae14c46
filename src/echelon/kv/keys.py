"""Encoded keys that are small enough for what is asked of them."""

from __future__ import annotations

from typing import Final

from echelon.errors import KvKeyError
from echelon.kv import limits
from echelon.kv.codec import VERSIONSTAMP, Key, StampedKey, encode_key

STAMP_DIGITS: Final = 20
"""The hexadecimal digits of a versionstamp."""

_STAMP_PART_BYTES: Final = STAMP_DIGITS + 2


def encode_for_read(key: Key) -> bytes:
    """Return the encoded key; raises KvKeyError when it is too large to be looked for."""
    encoded = encode_key(key)
    if len(encoded) > limits.MAX_READ_KEY_BYTES:
        raise KvKeyError(
            f"the key is too large to read: {len(encoded)} bytes, at most {limits.MAX_READ_KEY_BYTES}"
        )
    return encoded


def encode_for_write(key: Key) -> bytes:
    """Return the encoded key; raises KvKeyError when nothing can be stored under it."""
    return _check(encode_key(key))


def encode_stamped(key: StampedKey) -> bytes:
    """Return what comes before VERSIONSTAMP in the key; raises KvKeyError, also when nothing does."""
    if len(key) == 1:
        raise KvKeyError('VERSIONSTAMP cannot be a whole key; write ("name", VERSIONSTAMP)')
    encoded = encode_key(key[:-1])
    _check(encoded, _STAMP_PART_BYTES)
    return encoded


def is_stamped(key: object) -> bool:
    """Return whether a key ends with VERSIONSTAMP."""
    return isinstance(key, tuple | list) and bool(key) and key[-1] is VERSIONSTAMP


def _check(encoded: bytes, more: int = 0) -> bytes:
    if not encoded:
        raise KvKeyError('a key cannot be empty; write ("name",)')
    if len(encoded) + more > limits.MAX_WRITE_KEY_BYTES:
        raise KvKeyError(
            f"the key is too large to write: {len(encoded) + more} bytes, "
            f"at most {limits.MAX_WRITE_KEY_BYTES}"
        )
    return encoded
