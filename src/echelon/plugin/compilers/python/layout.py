"""Where things lie in the memory of a compiled module.

    0..8    nothing, so that the address 0 is None
    8       how many bodies of `try` are running
    12      the number of the exception that is pending, 0 for none; 16 its message
    24      the top of what is allocated; 28 the end of memory, as far as it is known
    32      where allocation begins; 36 whether a call has ended since
    40      how often a list has got more room
    64      the 256 strings of one character up to U+00FF: their headers, then their bytes
    STATIC  constants, then what is allocated

A string is 16 bytes: the address of its characters, how many there are, how many bytes each takes as a power of two (0,
1, 2: as few as its widest character allows), and its hash or 0. A list is 16 bytes: the address of its items of 8
bytes (1 where lists of bools are packed, see emitting/packing.py), how many there are, and for how many there is room.
"""

from __future__ import annotations

from typing import Final

TRIES: Final = 8
PENDING: Final = 12
MESSAGE: Final = 16
TOP: Final = 24
LIMIT: Final = 28
BASE: Final = 32
ENDED: Final = 36
GROWN: Final = 40
CHARACTERS: Final = 64
CHARACTERS_END: Final = CHARACTERS + 256 * 17
STATIC: Final = CHARACTERS_END
"""A multiple of 8, as everything in memory is."""
