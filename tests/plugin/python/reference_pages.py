"""What the pages on typed Python show: programs with calls and what these give, tables, programs that are refused."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ("python", "python-library", "python-errors", "python-guests")

_BLOCK = re.compile(r"^(<!-- \S+ -->\n)?```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CALL = re.compile(r"# (\w+\(.*\)) (->|raises) (.*?)(?: \(CPython: (.*)\))?")
_ERROR = re.compile(r"# \w+\.py:\d+:\d+: error: .*")
_CELLS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """A fenced block; `info` is what stands behind its fence, `line` where it begins in its page."""

    page: str
    line: int
    info: str
    text: str
    included: bool

    def __str__(self) -> str:
        return f"{self.page}-{self.line}"

    @property
    def is_host(self) -> bool:
        """Whether it is code of an application rather than a program that is compiled."""
        top_level = re.search(r"^(assert|async|.*\bawait) ", self.text, re.MULTILINE)
        return self.info == "python" and top_level is not None


@dataclass(frozen=True)
class Call:
    """A call as a page shows it, and what it gives there: a value as an expression, or an exception as text."""

    function: str
    args: tuple[str, ...]
    raises: bool
    shown: str
    cpython: str | None
    """What CPython gives, where that is something else."""


def read(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def blocks(name: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = read(name)
    return [
        Block(name, text.count("\n", 0, found.start()) + 1, found[2], found[3], found[1] is not None)
        for found in _BLOCK.finditer(text)
    ]


def programs() -> list[Block]:
    """Return what is compiled and run."""
    every = [block for page in PAGES for block in blocks(page)]
    return [block for block in every if block.info == "python" and not block.included and not block.is_host]


def calls(block: Block) -> list[Call]:
    """Return the calls that a block shows."""
    found = []
    for line in block.text.splitlines():
        shown = _CALL.fullmatch(line)
        if shown:
            call = ast.parse(shown[1], mode="eval").body
            if not isinstance(call, ast.Call) or call.keywords:
                raise ValueError(line)
            args = tuple(map(ast.unparse, call.args))
            found.append(Call(ast.unparse(call.func), args, shown[2] == "raises", shown[3], shown[4]))
    return found


def refused() -> list[tuple[Block, str, str]]:
    """Return the programs that are refused, each at the lines that it has in its block, with the error shown below."""
    found = []
    for block in (block for page in PAGES for block in blocks(page) if block.info == "python refused"):
        program: list[str] = []
        start = 0
        error = ""
        for number, line in enumerate([*block.text.splitlines(), ""]):
            if error and line.startswith("# "):
                error += " " + line[2:]
            elif error:
                found.append((block, "\n" * start + "\n".join(program) + "\n", error))
                program, start, error = [line], number, ""
            elif _ERROR.fullmatch(line):
                error = line[2:]
            else:
                program.append(line)
        if any(program):
            raise ValueError(f"{block}: no error is shown below {program}")
    return found


def section(name: str, heading: str) -> str:
    """Return what stands below a heading of a page."""
    return read(name).split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]


def table(name: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    rows = re.search(r"(?:^\|.*\n)+", section(name, heading), re.MULTILINE)
    lines = rows[0].splitlines() if rows else []
    return [[cell.strip().replace("\\|", "|") for cell in _CELLS.split(line)[1:-1]] for line in lines[2:]]


def code(cell: str) -> list[str]:
    """Return what a cell has between backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def names(text: str) -> set[str]:
    """Return the names that begin what a text has between backquotes."""
    return {found[0] for part in code(text) if (found := re.match(r"\w+", part))}
