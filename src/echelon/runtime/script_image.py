"""Images of scripts: the memory of an engine that has loaded a script, which every call of that script begins with.

An image is made when a script is loaded, in an instance that is granted nothing. What a script's own code does while it
loads must depend on nothing outside, or every call would find the same time and the same random numbers. So as soon as
it calls its host, for a log entry, the time or random bytes, the image is that of the script before it has run: parsed,
and run anew by every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from echelon.errors import GuestError, PermissionDenied
from echelon.runtime.limits import MIB, PAGE

if TYPE_CHECKING:
    from echelon.runtime.instance import Instance
    from echelon.runtime.memory import Memory
    from echelon.runtime.script_turns import Turns

SECONDS: Final = 1.0
"""What loading a script may take for its image; slower ones are loaded by every call."""

MEMORY: Final = 8 * MIB
"""Bytes that a script may need above its engine's while its image is made."""

MAX_IMAGE: Final = 4 * MIB
"""Bytes that an image may differ from the engine's memory."""

_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Image:
    """What differs from the engine's memory. `function` is the script where it has not run yet, 0 where it has."""

    size: int
    parts: tuple[tuple[int, bytes], ...]
    function: int

    def restore(self, memory: Memory) -> None:
        """Give a fresh instance of the engine this memory."""
        if memory.size < self.size:
            memory.grow((self.size - memory.size) // PAGE)
        for place, content in self.parts:
            memory.write(place, content)


async def make(turns: Turns, instance: Instance) -> Image | None:
    """Return the image of a script that is loaded in `instance`, None where it cannot be loaded or is too large."""
    memory, call = instance.memory, instance.call
    if memory is None or call is None:
        return None
    before = memory.read(0, memory.size)
    turns.attach(call)
    image = None
    try:
        function = await turns.parse()
        image = compare(before, memory, function)
        await turns.run_script(function)
    except (GuestError, PermissionDenied, TimeoutError):  # calls will say so
        return image
    return image if call.host_calls else compare(before, memory, 0) or image


def compare(before: bytes, memory: Memory, function: int, most: int = MAX_IMAGE) -> Image | None:
    """Return how a memory differs from what it was, None where that is more than `most` bytes."""
    after = memory.read(0, memory.size)
    before = before.ljust(len(after), b"\0")
    spans: list[list[int]] = []
    for place in range(0, len(after), _BLOCK):
        end = place + _BLOCK
        if before[place:end] == after[place:end]:
            continue
        if spans and spans[-1][1] == place:
            spans[-1][1] = end
        else:
            spans.append([place, end])
    if sum(end - place for place, end in spans) > most:
        return None
    return Image(len(after), tuple((place, after[place:end]) for place, end in spans), function)
