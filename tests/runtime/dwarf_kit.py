"""Line tables written by hand: every version and instruction, as compilers rarely write them."""

from __future__ import annotations

import struct

OPERANDS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])
"""How many operands the instructions 1 to 12 take."""

COPY, CONST_ADD_PC = b"\x01", b"\x08"
END = b"\x00\x01\x01"
NO_FILES = b"\x00\x00"


def at(address: int) -> bytes:
    """Set the address."""
    return b"\x00\x05\x02" + struct.pack("<I", address)


def line(delta: int) -> bytes:
    """Go on by that many lines, between -64 and 63."""
    return bytes([3, delta & 0x7F])


def file(number: int) -> bytes:
    """Go to another file."""
    return bytes([4, number])


def on(delta: int) -> bytes:
    """Add to the address, less than 128."""
    return bytes([2, delta])


def row(address: int, delta: int, number: int = 1) -> bytes:
    """Write a row, in a file, at an address that is set."""
    return file(number) + at(address) + line(delta) + COPY


def files_4(directories: list[str], files: list[tuple[str, int]]) -> bytes:
    """Write the file table of DWARF 2 to 4: names with the number of their directory, from 1."""
    texts = b"".join(item.encode() + b"\0" for item in directories)
    return (
        texts
        + b"\0"
        + b"".join(name.encode() + b"\0" + bytes([place, 0, 0]) for name, place in files)
        + b"\0"
    )


def files_5(directories: list[str], files: list[tuple[str, int]]) -> bytes:
    """Write the file table of DWARF 5 with the texts in place, and a checksum for each file."""
    texts = b"".join(item.encode() + b"\0" for item in directories)
    entries = b"".join(name.encode() + b"\0" + bytes([place]) + bytes(16) for name, place in files)
    return (
        bytes([1, 1, 0x08, len(directories)])
        + texts
        + bytes([3, 1, 0x08, 2, 0x0B, 5, 0x1E, len(files)])
        + entries
    )


def unit(
    version: int, tables: bytes, program: bytes, operands: bytes = OPERANDS, line_range: int = 14
) -> bytes:
    """Write a whole unit."""
    head = b"\x01" + (b"\x01" if version >= 4 else b"") + bytes([1, 0xFB, line_range, len(operands) + 1])
    rest = struct.pack("<I", len(head + operands + tables)) + head + operands + tables + program
    body = struct.pack("<H", version) + (b"\x04\x00" if version == 5 else b"") + rest
    return struct.pack("<I", len(body)) + body
