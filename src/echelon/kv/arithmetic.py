"""What sum, min and max do to stored bytes: the same in every engine."""

from __future__ import annotations

from echelon.errors import KvValueError
from echelon.kv import limits
from echelon.kv.backend import Action, Mutation
from echelon.kv.codec import Encoding, decode_u64


def combine(mutation: Mutation, stored: tuple[bytes, int] | None) -> tuple[bytes, int]:
    """Return what a SUM, MIN or MAX leaves, as value and encoding, where `stored` was, or nothing.

    Raises KvValueError when the operation does not work on what is stored, or not with its operand.
    """
    name = mutation.action.name.lower()
    if mutation.encoding != Encoding.U64 or len(mutation.value) != 8:
        raise KvValueError(f"{name} works on a U64 only: its operand is not one")
    if stored is None:
        return mutation.value, Encoding.U64
    value, encoding = stored
    if encoding != Encoding.U64:
        raise KvValueError(f"{name} works on a U64 only: what is stored is not one; set it to U64(...) first")
    left, right = int(decode_u64(value)), int.from_bytes(mutation.value, "little")
    if mutation.action == Action.SUM:
        result = (left + right) & limits.MAX_U64
    else:
        result = min(left, right) if mutation.action == Action.MIN else max(left, right)
    return result.to_bytes(8, "little"), Encoding.U64
