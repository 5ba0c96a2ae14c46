"""Where in the source an instruction comes from, for modules whose compiler says so.

The custom section `echelon:lines` is JSON: `{"files": ["math.ts"], "places": [offset, file, line, …]}`. Each three
numbers are differences to the three before, which begin at zero; a place holds from its offset (bytes from the start of
the module) to the next one. File -1 is not the user's code. The section is data from an untrusted file: a lie in
it makes an error message wrong and nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec

from echelon.errors import Frame
from echelon.runtime import binary
from echelon.runtime.binary import ModuleInfo

SECTION: Final = "echelon:lines"
MAX_BYTES: Final = 4 << 20
_MAX_LINE: Final = 1 << 30


class _Document(msgspec.Struct):
    files: list[str]
    places: list[int]


def encode(files: Sequence[str], places: Sequence[int]) -> bytes:
    """Return the content of the custom section."""
    return msgspec.json.encode(_Document(list(files), list(places)))


def locate(wasm: bytes, info: ModuleInfo, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Return the frames with file and line where the module says them; a malformed section says nothing."""
    content = binary.custom_section(wasm, info, SECTION)
    if content is None or len(content) > MAX_BYTES or not frames:
        return frames
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.MsgspecError, RecursionError):
        return frames
    offsets, places = [], []
    offset = file = line = 0
    numbers = iter(document.places)
    for step, file_step, line_step in zip(numbers, numbers, numbers, strict=False):
        offset, file, line = offset + step, file + file_step, line + line_step
        offsets.append(offset)
        places.append((file, line))
    found = []
    for frame in frames:
        index = bisect_right(offsets, frame.offset) - 1
        file, line = places[index] if index >= 0 else (-1, 0)
        if 0 <= file < len(document.files) and 0 < line < _MAX_LINE:
            frame = replace(frame, file=document.files[file], line=line)
        found.append(frame)
    return tuple(found)
