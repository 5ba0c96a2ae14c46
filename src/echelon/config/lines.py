"""Where each key of a TOML document stands, which `tomllib` does not tell."""

from __future__ import annotations

import re

_SKIP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:[^"\\]|\\.)*"' r"|'[^']*'", re.DOTALL
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> dict[str, int]:
    """Map each dotted key, and each table, to the line where it first stands; `text` must be valid TOML."""
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[str, int] = {}

    def run(self) -> dict[str, int]:
        table: tuple[str, ...] = ()
        self.skip(_SKIP)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                line = self.line()
                self.at += 2 if self.text.startswith("[[", self.at) else 1
                table = self.key()
                self.note(table, line)
                self.at = self.text.index("]", self.at) + (2 if self.text.startswith("]]", self.at) else 1)
            else:
                self.pair(table)
            self.skip(_SKIP)
        return self.lines

    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def note(self, key: tuple[str, ...], line: int) -> None:
        for end in range(1, len(key) + 1):
            self.lines.setdefault(".".join(key[:end]), line)

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not TOML at offset {self.at}")
        self.at = match.end()
        return match[0]

    def key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self.skip(_BLANK)
            quoted = self.text[self.at] in "\"'"
            part = self.skip(_STRING if quoted else _BARE)
            parts.append(part[1:-1] if quoted else part)
            self.skip(_BLANK)
            if self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def pair(self, table: tuple[str, ...]) -> None:
        line = self.line()
        key = table + self.key()
        self.note(key, line)
        self.at += 1  # the "="
        self.value(key)

    def value(self, key: tuple[str, ...]) -> None:
        self.skip(_BLANK)
        opening = self.text[self.at]
        if opening in "\"'":
            self.skip(_STRING)
        elif opening in "[{":
            self.at += 1
            self.skip(_SKIP)
            while self.text[self.at] not in "]}":
                if opening == "{":
                    self.pair(key)
                else:
                    self.value(key)
                self.skip(_SKIP)
                if self.text[self.at] == ",":
                    self.at += 1
                    self.skip(_SKIP)
            self.at += 1
        else:
            self.skip(_SCALAR)
