"""The languages of the playground, and the programs that it offers in each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from echelon import Application

FOLDER: Final = Path(__file__).parent / "samples"
TITLES: Final = {
    "typescript": "TypeScript (AssemblyScript)",
    "javascript": "JavaScript",
    "python": "Python, typed",
    "cpython": "Python, as a script",
    "rust": "Rust",
    "go": "Go",
    "c": "C",
    "cpp": "C++",
    "zig": "Zig",
    "wat": "WebAssembly text",
}
"""Names for people, in the order in which they are shown; a language that is not here comes last, by its own name."""


class Sample(msgspec.Struct, frozen=True):
    """A program to begin with; `args` is what stands in the field of the arguments."""

    language: str
    title: str
    function: str
    args: str
    source: str


class Offer(msgspec.Struct, frozen=True):
    """A language: `install` is what to type when its compiler is not here."""

    name: str
    title: str
    found: bool
    install: str
    samples: list[Sample]


SAMPLES: Final = tuple(
    Sample(language, title, function, args, (FOLDER / file).read_text("utf-8"))
    for language, title, file, function, args in (
        ("typescript", "Fibonacci", "fib.ts", "fib", "30"),
        ("typescript", "Greeting", "greet.ts", "greet", '"Ada"'),
        ("typescript", "Primes, as a list", "primes.ts", "primes", "50"),
        ("typescript", "Visits, kept in the store", "visits.ts", "visit", '"Ada"'),
        ("typescript", "A type error", "broken.ts", "area", "2.5"),
        ("typescript", "A loop without end", "forever.ts", "forever", ""),
        ("javascript", "Words", "words.js", "words", '"to be or not to be"'),
        ("python", "Collatz", "collatz.py", "collatz", "27"),
        ("cpython", "A report on a text", "report.py", "report", '"to be or not to be"'),
        ("rust", "Roman numerals", "roman.rs", "roman", "1984"),
        ("go", "Anagrams", "anagrams.go", "anagrams", '["tea", "eat", "listen", "ate", "silent"]'),
        ("c", "Greeting", "greet.c", "greet", '"Ada", 3'),
        ("cpp", "Factors", "factors.cpp", "factors", "360360"),
        ("zig", "Shouting", "shout.zig", "shout", '"hello", 3'),
        ("wat", "Addition", "add.wat", "add", "2, 40"),
    )
)


async def offers(app: Application) -> list[Offer]:
    """Return every language that the application knows, with its samples."""
    found = [
        Offer(
            language.name,
            TITLES.get(language.name, language.name),
            language.probe.found,
            "" if language.probe.found else language.probe.install,
            [sample for sample in SAMPLES if sample.language == language.name],
        )
        for language in await app.generator.languages()
    ]
    order = list(TITLES)
    return sorted(found, key=lambda offer: order.index(offer.name) if offer.name in order else len(order))
