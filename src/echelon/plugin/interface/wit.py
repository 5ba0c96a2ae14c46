"""The interface of a module as WIT, the language of the component model's interfaces (its WIT.md).

Names are turned into those of WIT, with what they are in the module above them. Compiled components do not keep the
names of their types, so records and their kind are named after the function that first has them. What WIT has no type
for is a comment, and so is what a module imports, whose types are those of the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from echelon.plugin.interface import notation
from echelon.plugin.interface.notation import Shape
from echelon.plugin.interface.world import Part, World, one_line
from echelon.runtime.signature import Function

_NUMBERS: Final = {f"i{bits}": f"s{bits}" for bits in (8, 16, 32, 64)}
_SAME: Final = frozenset(
    {"bool", "char", "string", "f32", "f64"} | {f"{sign}{bits}" for sign in "su" for bits in (8, 16, 32, 64)}
)
_KEYWORDS: Final = frozenset({
    "as", "async", "bool", "borrow", "char", "constructor", "enum", "error-context", "export", "f32", "f64", "flags",
    "from", "func", "future", "import", "include", "interface", "list", "map", "option", "own", "package", "record",
    "resource", "result", "s16", "s32", "s64", "s8", "static", "stream", "string", "tuple", "type", "u16", "u32", "u64",
    "u8", "use", "variant", "with", "world",
})  # fmt: skip
_PLAIN: Final = re.compile(r"([a-z][a-z0-9]*|[A-Z][A-Z0-9]*)(-([a-z][a-z0-9]*|[A-Z][A-Z0-9]*))*")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PACKAGE: Final = re.compile(r"(?P<package>[^/@]+)/(?P<interface>[^@]+)(?P<version>@.+)?")
_RESOURCE: Final = re.compile(r"\[(constructor|method|static)\]([^.]+)(?:\.(.+))?")


def text(world: World, comment: str) -> str:
    """Return a world and the packages of its interfaces as one document; `comment` is its first line."""
    name = identifier(world.name)
    owners = {resource: part.name for part in (*world.imports, *world.exports) for resource in part.resources}
    body: list[str] = []
    taken: set[str] = set()
    packages: dict[str, dict[str, Part]] = {}
    for word, parts in (("import", world.imports), ("export", world.exports)):
        for part in parts:
            whole = _PACKAGE.fullmatch(part.name)
            if whole is not None and ":" in part.name:
                body.append(f"  {word} {part.name};")
                if not part.name.startswith("wasi:"):
                    key = whole["package"] + (whole["version"] or "")
                    packages.setdefault(key, {}).setdefault(whole["interface"], part)
            elif not part.name:
                body += _Scope(part, owners, taken).lines("  ", f"{word} ")
            elif not world.is_component:
                # numbers and places in memory: what they stand for is not in the module
                body += [
                    f"  // {word}s {one_line(part.name)}.{one_line(str(function))}"
                    for function in part.functions
                ]
            else:
                inner = _Scope(part, owners, set()).lines("    ", "")
                body += [
                    *_note(part.name, "  "),
                    f"  {word} {identifier(part.name)}: interface {{",
                    *inner,
                    "  }",
                ]
    lines = [f"// {one_line(comment)}", f"package local:{name};", "", f"world {name} {{", *body, "}"]
    for package, interfaces in packages.items():
        lines += ["", f"package {package} {{"]
        for interface, part in interfaces.items():
            lines += [f"  interface {interface} {{", *_Scope(part, owners, set()).lines("    ", ""), "  }"]
        lines.append("}")
    return "\n".join(lines)


def identifier(name: str) -> str:
    """Return a name as WIT writes it: words of small letters and digits with dashes between them."""
    if _PLAIN.fullmatch(name) is None:
        words: list[str] = []
        for word in _WORD.findall(name):
            if words and word.isdigit():
                words[-1] += word
            else:
                words.append(word.lower())
        name = "-".join(words) or "x"
        name = f"n{name}" if name[0].isdigit() else name
    return f"%{name}" if name in _KEYWORDS else name


class _Untyped(Exception):
    """WIT has no type for a value; the argument is what it is."""


class _Scope:
    """The types and functions of one interface, or of those that stand in a world by themselves."""

    def __init__(self, part: Part, owners: dict[str, str], taken: set[str]) -> None:
        self._part, self._owners, self._taken = part, owners, taken
        self._types: dict[Shape, str] = {}
        self._declared: list[list[str]] = []
        self._used: dict[str, None] = {}

    def lines(self, indent: str, word: str) -> list[str]:
        """Return everything in order, functions with a word before them, each line with an indent."""
        self._taken |= {identifier(name) for name in self._part.resources}
        functions = [
            (self._own(function.name), function) for function in self._part.functions if not _of(function)
        ]
        made = [line for name, function in functions for line in self._function(name, function, word)]
        resources = [line for name in self._part.resources for line in self._resource(name)]
        uses = [f"use {self._owners[name]}.{{{identifier(name)}}};" for name in self._used]
        declared = [line for lines in self._declared for line in lines]
        return [f"{indent}{line}" for line in (*uses, *declared, *resources, *made)]

    def _function(self, name: str, function: Function, word: str) -> Iterator[str]:
        yield from _note(function.name, "", name)
        try:
            yield f"{word}{name}: {self._typed(function, name, 0)};"
        except (_Untyped, ValueError) as exc:
            yield f"// {one_line(str(function))}: there is no WIT for {one_line(str(exc))}"

    def _typed(self, function: Function, hint: str, first: int) -> str:
        """Return parameters from `first` on, and the result; records in them are named after `hint`."""
        taken: set[str] = set()
        params = []
        for position, param in enumerate(function.params[first:]):
            name = _unique(identifier(param.name or f"a{position}"), taken)
            params.append(f"{name}: {self._reference(param.type, f'{hint}-{name}')}")
        results = [self._reference(result.type, f"{hint}-result") for result in function.results]
        given = results[0] if len(results) == 1 else f"tuple<{', '.join(results)}>"
        return f"func({', '.join(params)})" + (f" -> {given}" if results else "")

    def _resource(self, name: str) -> Iterator[str]:
        lines = []
        for function in self._part.functions:
            match = _RESOURCE.fullmatch(function.name)
            if match is None or match[2] != name:
                continue
            hint = f"{name}-{match[3] or 'new'}"
            try:
                if match[1] == "constructor":
                    lines.append(
                        self._typed(function, hint, 0).partition(" ->")[0].replace("func", "constructor", 1)
                    )
                else:
                    static = "static " if match[1] == "static" else ""
                    typed = self._typed(function, hint, 0 if static else 1)
                    lines.append(f"{identifier(match[3] or '')}: {static}{typed}")
            except (_Untyped, ValueError) as exc:
                lines.append(f"// {one_line(str(function))}: there is no WIT for {one_line(str(exc))}")
        yield f"resource {identifier(name)}" + (" {" if lines else ";")
        yield from (f"  {line}{'' if line.startswith('//') else ';'}" for line in lines)
        if lines:
            yield "}"

    def _own(self, name: str) -> str:
        return _unique(identifier(name), self._taken)

    def _reference(self, type_: str, hint: str) -> str:
        return self._refer(notation.parse(type_), hint.replace("%", ""))

    def _refer(self, shape: Shape, hint: str) -> str:
        """Return how a type is written, after what it is made of was declared."""
        kind, parts = shape.kind, shape.parts
        if not parts and not shape.names:
            return self._simple(kind)
        if kind in ("own", "borrow"):
            name = shape.names[0]
            if name not in self._part.resources:
                if ":" not in self._owners.get(name, ""):
                    raise _Untyped(f"the resource {name} of something else")
                self._used[name] = None
            return identifier(name) if kind == "own" else f"borrow<{identifier(name)}>"
        if kind in ("record", "variant", "enum", "flags"):
            return self._declare(shape, hint)
        inner = ["_" if part is None else self._refer(part, hint) for part in parts]
        if kind == "map":
            return f"list<tuple<{', '.join(inner)}>>"
        if kind == "result" and inner[1:] == ["_"]:
            inner = inner[:1]
        if kind not in ("list", "option", "tuple", "result"):
            raise _Untyped(kind)
        return f"{kind}<{', '.join(inner)}>"

    def _simple(self, kind: str) -> str:
        if kind in _SAME or kind == "result":
            return kind
        if kind == "json":
            return self._declare(Shape("json"), "json")
        found = {"str": "string", "bytes": "list<u8>", **_NUMBERS}.get(kind)
        if found is None:
            raise _Untyped(kind)
        return found

    def _declare(self, shape: Shape, hint: str) -> str:
        name = self._types.get(shape)
        if name is None:
            if shape.kind == "record" and not shape.names:
                raise _Untyped("a record without fields")
            name = self._types[shape] = self._own(hint)
            lines: list[str] = []
            self._declared.append(lines)
            lines += self._declaration(shape, name)
        return name

    def _declaration(self, shape: Shape, name: str) -> Iterator[str]:
        if shape.kind == "json":
            yield "/// The text of any value that JSON can say."
            yield f"type {name} = string;"
            return
        yield f"{shape.kind} {name} {{"
        for case, part in zip(shape.names, shape.parts or (None,) * len(shape.names), strict=True):
            own = identifier(case)
            typed = "" if part is None else self._refer(part, f"{name}-{own}".replace("%", ""))
            around = {"record": f": {typed}", "variant": f"({typed})" if typed else ""}.get(shape.kind, "")
            yield from _note(case, "  ")
            yield f"  {own}{around},"
        yield "}"


def _of(function: Function) -> bool:
    """Tell whether a function belongs to a resource."""
    return _RESOURCE.fullmatch(function.name) is not None


def _unique(name: str, taken: set[str]) -> str:
    """Return a name that is not taken yet, and take it."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name.removeprefix('%')}-n{number}"
    taken.add(found)
    return found


def _note(name: str, indent: str, own: str = "") -> Iterable[str]:
    """Return a line of documentation with what something is called in the module, where WIT calls it otherwise."""
    if (own or identifier(name)).removeprefix("%") != name:
        yield f"{indent}/// {one_line(name)}"
