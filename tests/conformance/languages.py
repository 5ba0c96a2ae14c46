"""The languages that speak the conformance program, and what each of them cannot say.

To add one: write `programs/conformance.SUFFIX`, which exports what `test_conformance.py` calls, and add a `Language`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from echelon.plugin.compiler import Optimize

PROGRAMS: Final = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Language:
    """A language: its name to the generator, its program, and the toolchain to install for it ("" for none).

    `fixture` is the one of tests/conftest.py that finds a compiler which cannot be installed so. `optimize` is as
    the generator takes it.
    """

    name: str
    program: str
    toolchain: str = ""
    fixture: str = ""
    optimize: Optimize = "none"

    def __str__(self) -> str:
        return self.name if self.optimize == "none" else f"{self.name} for {self.optimize}"

    @property
    def path(self) -> Path:
        return PROGRAMS / self.program


LANGUAGES: Final = (
    Language("wat", "conformance.wat"),
    Language("typescript", "conformance.ts", "typescript"),
    Language("javascript", "conformance.js", "javascript"),
    Language("c", "conformance.c", "c"),
    Language("cpp", "conformance.cpp", "cpp"),
    Language("zig", "conformance.zig", "zig"),
    Language("python", "conformance_typed.py"),
    Language("cpython", "conformance_script.py", "cpython"),
    Language("go", "conformance.go", "go"),
    Language("rust", "conformance.rs", fixture="rust_home"),
    Language("typescript", "conformance.ts", "typescript", optimize="speed"),
    Language("python", "conformance_typed.py", optimize="speed"),
    Language("c", "conformance.c", "c", optimize="size"),
    Language("zig", "conformance.zig", "zig", optimize="size"),
    Language("rust", "conformance.rs", fixture="rust_home", optimize="size"),
)
"""The optimised ones go through wasm-opt."""

_WIDTHS: Final = "an int has no width of its own, a float has 64 bits"
_JSON_NUMBERS: Final = "values are those of JSON, whose numbers have no width and are finite"
LACKS: Final = {
    ("typescript", "number or none"): "AssemblyScript has no number that may be null",
    ("javascript", "range"): _JSON_NUMBERS,
    ("javascript", "special floats"): _JSON_NUMBERS,
    ("javascript", "single precision"): _JSON_NUMBERS,
    ("javascript", "signature"): "functions of JavaScript have no types",
    ("javascript", "host function"): "scripts cannot call functions of the application",
    ("python", "u64"): "an int has 64 bits, one of them for the sign",
    ("python", "range"): _WIDTHS,
    ("python", "single precision"): _WIDTHS,
    ("python", "json"): "typed Python has no reader of JSON",
    ("python", "signature"): _WIDTHS,
    ("python", "state"): "the names of a module are constants",
    ("python", "host function"): "typed Python cannot call functions of the application",
    ("cpython", "range"): _WIDTHS,
    ("cpython", "single precision"): _WIDTHS,
    ("cpython", "signature"): _WIDTHS,
    ("cpython", "host function"): "scripts cannot call functions of the application",
}
"""What a language lacks, and why. A test that passes in spite of its row fails: take the row out."""
