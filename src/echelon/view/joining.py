"""Join the static parts of JSX at build time: one template for a tree of elements, with holes for what is dynamic.

Works on the code that esbuild prints, where an element is `$jsx$("p", { class: "x", children: … })`. Elements whose
writing depends on more than themselves (`select`, `option`, `textarea`), and those with spread properties, stay as they
are. Lines stay where they are, so that a source map stays true.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Final

from echelon.view import names
from echelon.view.names import Literal
from echelon.view.tokens import Tokens, Unreadable

CALLS: Final = frozenset({"$jsx$", "$jsxs$"})
FRAGMENT: Final = "$Fragment$"
_LEFT_ALONE: Final = frozenset({"select", "option", "optgroup", "textarea", "echelon-island"})
_UNJOINABLE: Final = frozenset({"dangerouslySetInnerHTML", "__proto__", "UNSTABLE_comment"})
_ESCAPE: Final = re.compile(
    r"\\(?:u\{([0-9a-fA-F]+)\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\n)|(.))", re.DOTALL
)
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_NUMBER: Final = re.compile(r"0|[1-9]\d{0,14}")
_WORDS: Final[dict[str, Literal]] = {"true": True, "false": False, "null": None}
_NO_LITERAL: Final = object()
_STRICT: Final = '"use strict";'
CHILD, SVG_CHILD, UNWRITTEN = "0", "1", "2"
"""What a hole is: a child, a child below `<svg>`, or a value that is not written, such as a key."""

Range = tuple[int, int]
"""Some tokens: the number of the first one, and of the one behind the last."""


@dataclass(slots=True)
class _Form:
    """A template while it is made: text and holes in turn."""

    statics: list[str] = field(default_factory=lambda: [""])
    holes: list[str] = field(default_factory=list)
    values: list[Range] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.statics[-1] += text

    def hole(self, kind: str, value: Range) -> str:
        """Leave a place for a value; returns the name that it has where nodes are made."""
        self.holes.append(kind)
        self.statics.append("")
        self.values.append(value)
        return f"v[{len(self.values) - 1}]"

    def kept(self) -> tuple[list[str], int]:
        return self.statics.copy(), len(self.holes)

    def restore(self, kept: tuple[list[str], int]) -> None:
        self.statics, count = kept
        del self.holes[count:], self.values[count:]


class _Alone(Exception):
    """This element cannot become part of a template."""


def join_templates(code: str) -> str:
    """Return the code with templates; the code itself when it cannot be read."""
    try:
        return _Joiner(Tokens(code)).run()
    except Unreadable:
        return code


class _Joiner:
    def __init__(self, tokens: Tokens) -> None:
        self._code, self._all, self._closing = tokens.code, tokens.all, tokens.closing
        self._forms: dict[str, int] = {}

    def run(self) -> str:
        if not self._all:
            return self._code
        start, end = self._all[0].start, self._all[-1].end
        code = self._code[:start] + self._emit((0, len(self._all))) + self._code[end:]
        if not self._forms:
            return code
        declared = ", ".join(f"$t{number} = {text}" for text, number in self._forms.items())
        strict = _STRICT if code.startswith(_STRICT) else ""
        return f"{strict}var {declared};{code[len(strict) :]}"

    # --- code with templates in it ---

    def _emit(self, span: Range) -> str:
        """Return the code of some tokens, with a template for each element."""
        at, last = span
        out: list[str] = []
        copied = self._all[at].start
        while at < last:
            if self._is_call(at):
                text = self._template(at)
                if text is not None:
                    end = self._closing[at + 1]
                    out += (self._code[copied : self._all[at].start], text)
                    copied, at = self._all[end].end, end
            at += 1
        out.append(self._code[copied : self._all[last - 1].end])
        return "".join(out)

    def _is_call(self, at: int) -> bool:
        return self._all[at].text in CALLS and at + 1 in self._closing and self._all[at + 1].text == "("

    def _template(self, at: int) -> str | None:
        """Return the call of a template for the element that begins here, None when it stays as it is."""
        form = _Form()
        try:
            maker = self._element(at, form, svg=False)
        except _Alone:
            return None
        statics = ", ".join(_quote(text) for text in form.statics)
        text = f"{{ statics: [{statics}], holes: [{', '.join(form.holes)}], make: (v) => {maker} }}"
        number = self._forms.setdefault(text, len(self._forms))
        return self._in_place(at, f"$t{number}", form.values)

    def _in_place(self, at: int, name: str, values: list[Range]) -> str:
        """Write the call so that every value, and what follows, is where it was, if there is room for that."""
        start, end = self._all[at].start, self._all[self._closing[at + 1]].end
        out = f"new $tpl$({name}, [" if values else f"$static$({name}"
        for number, value in enumerate(values):
            out += ", " if number else ""
            out += self._padding(out, start, self._all[value[0]].start) + self._emit(value)
        out += "])" if values else ")"
        return out + self._padding(out, start, end)

    def _padding(self, out: str, start: int, place: int) -> str:
        """Return the space that brings what is written from `start` on to the line and column of a place."""
        lines = self._code.count("\n", start, place) - out.count("\n")
        if lines > 0:
            out += "\n" * lines
        here = len(out) - out.rfind("\n") - 1 if "\n" in out else self._column(start) + len(out)
        return "\n" * lines + " " * (self._column(place) - here)

    def _column(self, place: int) -> int:
        return place - self._code.rfind("\n", 0, place) - 1

    # --- one element: its text goes into the form, what makes its node is returned ---

    def _element(self, at: int, form: _Form, *, svg: bool) -> str:
        call, arguments = self._all[at].text, self._split(at + 1)
        if len(arguments) not in (2, 3) or arguments[0][1] - arguments[0][0] != 1:
            raise _Alone
        kind = self._all[arguments[0][0]]
        tag = _string(kind.text) if kind.kind == "string" else ""
        if (tag is None or tag in _LEFT_ALONE or names.UNSAFE.search(tag)) or (
            not tag and kind.text != FRAGMENT
        ):
            raise _Alone
        properties = self._properties(arguments[1])
        children = properties.pop("children", None)
        if children is not None and any(span[0] > children[0] for span in properties.values()):
            raise _Alone  # what is written later would be evaluated earlier
        if tag:
            form.write(f"<{tag}")
        elif properties:
            raise _Alone
        made = [
            f"{_quote(name)}: {self._property(name, span, form, svg)}" for name, span in properties.items()
        ]
        inside = tag == "svg" or (tag != "foreignObject" and svg)
        text = self._content(tag, call, children, form, inside)
        made += [f"children: {text}"] if text else []
        key = f", {form.hole(UNWRITTEN, arguments[2])}" if len(arguments) == 3 else ""
        return f"{call}({kind.text}, {{ {', '.join(made)} }}{key})"

    def _property(self, name: str, span: Range, form: _Form, svg: bool) -> str:
        attribute = names.attribute(name, svg)
        value = self._literal(span)
        if value is _NO_LITERAL and name == "style":
            value = self._style(span)
        if value is not _NO_LITERAL:
            form.write(names.attribute_text(attribute, value))  # type: ignore[arg-type]  # it is a literal
            return " ".join(token.text for token in self._all[span[0] : span[1]])
        begin = _quote(f' {attribute}="')
        hole = f"{{ name: {_quote(attribute)}, begin: {begin} }}" if attribute else UNWRITTEN
        return form.hole(hole, span)

    def _content(self, tag: str, call: str, children: Range | None, form: _Form, svg: bool) -> str:
        if tag in names.EMPTY_ELEMENTS:
            if children is not None:
                raise _Alone
            form.write("/>")
            return ""
        form.write(">" if tag else "")
        text = ""
        if children is not None:
            several = call == "$jsxs$" and self._is_bracketed(children, "[")
            items = self._split(children[0]) if several else [children]
            made = [self._child(item, form, svg) for item in items]
            text = f"[{', '.join(made)}]" if several else made[0]
        form.write(f"</{tag}>" if tag else "")
        return text

    def _child(self, span: Range, form: _Form, svg: bool) -> str:
        if self._all[span[0]].text == "...":
            raise _Alone
        value = self._literal(span)
        if value is not _NO_LITERAL:
            written = isinstance(value, str | int) and not isinstance(value, bool)
            form.write(names.escape(str(value)) if written else "")
            return self._all[span[0]].text
        if self._is_call(span[0]) and self._closing[span[0] + 1] == span[1] - 1:
            kept = form.kept()
            try:
                return self._element(span[0], form, svg=svg)
            except _Alone:
                form.restore(kept)
        return form.hole(SVG_CHILD if svg else CHILD, span)

    # --- reading tokens ---

    def _split(self, opened: int) -> list[Range]:
        """Return what stands between commas inside a bracket."""
        closed = self._closing[opened]
        found: list[Range] = []
        first = at = opened + 1
        while at < closed:
            if at in self._closing:
                at = self._closing[at]
            elif self._all[at].text == ",":
                if at == first:
                    raise _Alone  # a gap in an array
                found.append((first, at))
                first = at + 1
            at += 1
        return [*found, (first, closed)] if first < closed else found

    def _is_bracketed(self, span: Range, bracket: str) -> bool:
        return self._all[span[0]].text == bracket and self._closing.get(span[0]) == span[1] - 1

    def _properties(self, span: Range) -> dict[str, Range]:
        """Return the values in an object literal by name, in order."""
        if not self._is_bracketed(span, "{"):
            raise _Alone
        found: dict[str, Range] = {}
        for first, last in self._split(span[0]):
            token = self._all[first]
            name = _string(token.text) if token.kind == "string" else token.text
            if token.kind not in ("word", "string") or name is None or name in found or name in _UNJOINABLE:
                raise _Alone
            if last - first == 1 and token.kind == "word":
                found[name] = (first, last)
            elif last - first > 2 and self._all[first + 1].text == ":":
                found[name] = (first + 2, last)
            else:
                raise _Alone
        if {"class", "className"} <= found.keys() or {"for", "htmlFor"} <= found.keys():
            raise _Alone
        return found

    def _literal(self, span: Range) -> object:
        if span[1] - span[0] != 1:
            return _NO_LITERAL
        token = self._all[span[0]]
        if token.kind == "string":
            text = _string(token.text)
            return _NO_LITERAL if text is None else text
        if token.kind == "word" and _NUMBER.fullmatch(token.text):
            return int(token.text)
        return _WORDS.get(token.text, _NO_LITERAL) if token.kind == "word" else _NO_LITERAL

    def _style(self, span: Range) -> object:
        """Return an object of known styles as CSS."""
        if not self._is_bracketed(span, "{"):
            return _NO_LITERAL
        try:
            values = {name: self._literal(value) for name, value in self._properties(span).items()}
        except _Alone:
            return _NO_LITERAL
        if any(value is _NO_LITERAL for value in values.values()):
            return _NO_LITERAL
        return names.style_text(values)  # type: ignore[arg-type]  # all are literals


def _quote(text: str) -> str:
    return json.dumps(text)


def _string(literal: str) -> str | None:
    """Return the text of a string literal, None for one that holds half a character."""

    def plain(found: re.Match[str]) -> str:
        braced, four, two, newline, letter = found.groups()
        if newline is not None:
            return ""
        return _LETTERS.get(letter, letter) if letter is not None else chr(int(braced or four or two, 16))

    text = _ESCAPE.sub(plain, literal[1:-1])
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None
