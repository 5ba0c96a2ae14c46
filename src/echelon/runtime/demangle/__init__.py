"""Turn a function's name back into what its author wrote: Rust's two ways of mangling names, and that of C++.

Compilers fold a function's path and types into one word. A module brings these words, or anything else, so each
scheme reads them with a bound on length, nesting and work; what it cannot read stays as it is. Go, Zig and C
write names as they are.
"""

from __future__ import annotations

from typing import Final

from echelon.runtime.demangle import itanium, legacy, v0
from echelon.runtime.demangle.cursor import Malformed

MAX_NAME: Final = 1024
"""Characters of a name; a longer one stays as it is."""

_SCHEMES: Final = (("_R", v0.read), ("_ZN", legacy.read), ("_Z", itanium.read))


def demangle(name: str) -> str:
    """Return a function's name as its author wrote it; one that is not mangled, or not well, as it is."""
    if len(name) > MAX_NAME:
        return name
    for prefix, read in _SCHEMES:
        if name.startswith(prefix):
            try:
                return read(name)
            except (Malformed, RecursionError):
                continue
    return legacy.without_hash(name)
