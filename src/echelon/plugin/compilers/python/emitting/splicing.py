"""Short functions of the library, written into the code that calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from echelon.plugin.compilers.python import encoding as e
from echelon.plugin.compilers.python import opcodes as op
from echelon.plugin.compilers.python.encoding import Code, Relocation

if TYPE_CHECKING:
    from echelon.plugin.compilers.python.emitting.emitter import Emitter

LONGEST: Final = 100
"""Bytes of code that are written out instead of called."""
MOST: Final = 1 << 16
"""Bytes of a function up to which others are written into it, and turns of its loops several times."""

_LOCALS: Final = frozenset({e.GET, e.SET, e.TEE})
_BEGINNINGS: Final = frozenset({e.BLOCK, e.LOOP, e.IF})
_NUMBERS: Final = {
    **dict.fromkeys((e.BR, e.BR_IF, e.I32_CONST, e.I64_CONST, *_LOCALS), 1),
    **dict.fromkeys(range(op.I32_LOAD, op.I64_STORE32 + 1), 2),
}
"""How many numbers follow an opcode."""
_OCTETS: Final = {
    **dict.fromkeys((*_BEGINNINGS, op.MEMORY_SIZE, op.MEMORY_GROW), 1),
    e.F64_CONST: 8,
    e.CALL: 5,
    e.CALL_INDIRECT: 6,
}
"""How many bytes follow an opcode."""
_OCTETS_AFTER_PREFIX: Final = {op.MEMORY_COPY & 0xFF: 2, op.MEMORY_FILL & 0xFF: 1}


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where code is not taken as it is: `local` is the number of one after an opcode, `depth` that of a return."""

    start: int
    end: int
    local: int = -1
    depth: int = -1


@dataclass(frozen=True, slots=True)
class Piece:
    """The code of a short function, and where in it something has to be replaced."""

    code: Code
    size: int
    """Where the body ends, without what only ends a function."""
    stops: tuple[_Stop, ...]
    returns: bool


def piece(code: Code) -> Piece | None:
    """Return what `splice` takes, None for a function that is too long."""
    body = code.body
    if len(body) > LONGEST:
        return None
    end = len(body) - 1
    stops: list[_Stop] = []
    at = depth = 0
    while at < end:
        start, opcode = at, body[at]
        at = _after(body, at)
        if opcode in _BEGINNINGS:
            depth += 1
        elif opcode == e.END:
            depth -= 1
        elif opcode in _LOCALS:
            stops.append(_Stop(start + 1, at, local=_unsigned(body, start + 1)))
        elif opcode == e.RETURN and not depth and at == end:
            end = start
        elif opcode == e.RETURN:
            stops.append(_Stop(start, at, depth=depth))
    return Piece(code, end, tuple(stops), any(stop.depth >= 0 for stop in stops))


def splice(out: Emitter, piece: Piece) -> None:
    """Write a function out, whose arguments are on the stack; leaves its result there."""
    code = piece.code
    cores = (*code.params, *code.locals)
    held = [out.temp(core) for core in cores]
    for local in reversed(held[: len(code.params)]):
        out.set_local(local)
    for core, local in zip(code.locals, held[len(code.params) :], strict=True):
        out.zero(core)
        out.set_local(local)
    if piece.returns:
        out.open(e.BLOCK, code.results[0] if code.results else e.EMPTY)
    moved = _write(out, piece, held)
    for relocation in code.relocations:
        if relocation.at < piece.size:
            place = relocation.at + next(by for start, by in reversed(moved) if start <= relocation.at)
            out.code.relocations.append(Relocation(place, relocation.kind, relocation.key))
    if piece.returns:
        out.close()
    for core, local in zip(cores, held, strict=True):
        out.release(core, local)


def _write(out: Emitter, piece: Piece, held: list[int]) -> list[tuple[int, int]]:
    """Write the code; returns from where on it was moved by how much."""
    body, source = out.body, piece.code.body
    at = 0
    moved = []
    for stop in piece.stops:
        moved.append((at, len(body) - at))
        body += source[at : stop.start]
        if stop.local >= 0:
            body += e.unsigned(held[stop.local])
        else:
            body.append(e.BR)
            body += e.unsigned(stop.depth)
        at = stop.end
    moved.append((at, len(body) - at))
    body += source[at : piece.size]
    return moved


def _after(body: bytes | bytearray, at: int) -> int:
    """Return where the next instruction begins."""
    opcode = body[at]
    at += 1
    if opcode == 0xFC:
        return at + 1 + _OCTETS_AFTER_PREFIX.get(body[at], 0)
    for _ in range(_NUMBERS.get(opcode, 0)):
        while body[at] & 0x80:
            at += 1
        at += 1
    return at + _OCTETS.get(opcode, 0)


def _unsigned(body: bytes | bytearray, at: int) -> int:
    value = shift = 0
    while body[at] & 0x80:
        value |= (body[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | body[at] << shift
