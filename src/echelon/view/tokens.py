"""The tokens of JavaScript as esbuild prints it: enough to find where an expression ends.

What a slash is depends on what comes before it, and a template literal holds expressions again, so brackets are matched
while reading. Code that this cannot follow is left alone by its caller.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"(?P<space>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<word>[\w$\u0080-\U0010ffff]+)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')"
    r"|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<tick>`)|(?P<slash>/)"
    r"|(?P<sign>=>|\.\.\.|[^\s\w])",
    re.DOTALL,
)
_REGEX: Final = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")
_TEMPLATE: Final = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_BEFORE_REGEX: Final = frozenset({
    "return", "typeof", "case", "in", "of", "delete", "void", "instanceof", "new", "throw", "do", "else",
    "yield", "await",
})  # fmt: skip
_HEADS: Final = frozenset({"if", "while", "for", "with"})
_PAIRS: Final = {")": "(", "}": "{", "]": "["}


class Unreadable(Exception):
    """The code is not what was expected."""


class Token(NamedTuple):
    """A piece of code: `kind` is word, string, open, close, sign, regex or template."""

    kind: str
    text: str
    start: int
    end: int


class Tokens:
    """The tokens of a program, without space, and for each opening bracket the number of its closing one."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.all: list[Token] = []
        self.closing: dict[int, int] = {}
        self._open: list[int] = []
        self._heads: set[int] = set()
        at = 0
        while at < len(code):
            at = self._next(at)
        if self._open:
            raise Unreadable("a bracket is not closed")

    def _next(self, at: int) -> int:
        match = _TOKEN.match(self.code, at)
        if match is None or match.lastgroup is None:
            raise Unreadable(f"unknown sign at {at}")
        kind, text, end = match.lastgroup, match.group(), match.end()
        if kind == "space":
            return end
        if kind == "tick":
            return self._template(at, end)
        if kind == "slash":
            regex = _REGEX.match(self.code, at) if self._regex_may_follow(at) else None
            kind, text, end = ("regex", regex.group(), regex.end()) if regex else ("sign", text, end)
        elif kind == "open":
            self._open.append(len(self.all))
        elif kind == "close":
            self._close(text)
        self.all.append(Token(kind, text, at, end))
        return end

    def _close(self, text: str) -> None:
        opened = self._open.pop() if self._open else -1
        if opened < 0 or self.all[opened].text != _PAIRS[text]:
            raise Unreadable("brackets do not match")
        self.closing[opened] = len(self.all)
        if opened and self.all[opened - 1].text in _HEADS and text == ")":
            self._heads.add(len(self.all))

    def _template(self, at: int, inside: int) -> int:
        """Read a template literal; what its expressions hold becomes no tokens of its own."""
        while True:
            match = _TEMPLATE.match(self.code, inside)
            inside = match.end() if match else inside
            if self.code.startswith("`", inside):
                self.all.append(Token("template", self.code[at : inside + 1], at, inside + 1))
                return inside + 1
            if not self.code.startswith("${", inside):
                raise Unreadable("a template literal is not closed")
            inside = self._expression(inside + 2)

    def _expression(self, at: int) -> int:
        """Return the place behind the brace that closes an expression in a template literal."""
        kept, outer = len(self.all), self._open
        self._open = []
        while not (self.code.startswith("}", at) and not self._open):
            if at >= len(self.code):
                raise Unreadable("a template literal is not closed")
            at = self._next(at)
        for number in range(kept, len(self.all)):
            self.closing.pop(number, None)
            self._heads.discard(number)
        del self.all[kept:]
        self._open = outer
        return at + 1

    def _regex_may_follow(self, at: int) -> bool:
        if not self.all:
            return True
        last = self.all[-1]
        if last.kind == "word":
            return last.text in _BEFORE_REGEX
        if last.text == ")":
            return len(self.all) - 1 in self._heads
        if last.text == "}":
            return "\n" in self.code[last.end : at]
        stepped = last.text in ("+", "-") and self.code.startswith(last.text * 2, last.start - 1)
        return last.kind in ("sign", "open") and not stepped  # what follows x++ is a division
