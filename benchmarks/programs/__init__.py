"""Ten small programs, the same in each language: `LANGUAGE/NAME.suffix` exports `run(n)`, which gives one number.

Their text says what they compute. Floating-point numbers are added in the same order everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent


class Program(NamedTuple):
    """A small `n` with what `run` gives for it, and the `n` that is measured."""

    small: int
    expected: float
    large: int


PROGRAMS: Final = {
    "nbody": Program(1000, -0.16908760523462465, 200_000),
    "spectral_norm": Program(100, 1.2742199912349306, 500),
    "fannkuch": Program(7, 228_016, 9),
    "mandelbrot": Program(60, 1428, 600),
    "nqueens": Program(6, 4, 10),
    "levenshtein": Program(100, 56, 2000),
    "sieve": Program(1000, 168, 2_000_000),
    "matmul": Program(20, -3.358325, 256),
    "tokenizer": Program(100, 12_951, 20_000),
    "histogram": Program(1000, 16_786, 300_000),
}


def paths(name: str) -> dict[str, Path]:
    """Return the file of a program for each language that has it, by the name of its folder."""
    return {path.parent.name: path for path in sorted(HERE.glob(f"*/{name}.*"))}
