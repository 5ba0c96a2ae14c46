"""The functions of a module as a class for Python's type checkers (PEP 484, PEP 544): the text of a `.pyi` file."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from echelon.plugin.interface import notation
from echelon.plugin.interface.notation import Shape
from echelon.plugin.interface.world import World, one_line
from echelon.runtime.module import Module
from echelon.runtime.signature import Function, Value

_WORD: Final = re.compile(r"[^\W_]+")
_INTEGERS: Final = frozenset(f"{sign}{bits}" for sign in "isu" for bits in (8, 16, 32, 64))
_PLAIN: Final = {
    "f32": "float", "f64": "float", "bool": "bool", "str": "str", "string": "str", "char": "str", "json": "Any",
    "v128": "bytes",
}  # fmt: skip
_HIDDEN: Final = frozenset(dir(Module)) | {
    "cached", "compile_ms", "language", "limits", "name", "permissions", "runtime", "state",
}  # fmt: skip
"""Attributes of a module, which hide functions of these names."""


def text(world: World, comment: str) -> str:
    """Return the class of a module and what has to be imported for it; `comment` says what it was made of."""
    writer = _Writer(world)
    functions = [function for part in world.exports for function in part.functions]
    names = Counter(_attribute(world, function) for function in functions)
    body: list[str] = []
    for part in world.exports:
        for function in part.functions:
            name = _attribute(world, function)
            whole = f"{part.name}#{function.name}" if part.name else function.name
            if names[name] == 1 and _is_attribute(name):
                body.append(
                    f"    async def {name}({writer.parameters(function)}) -> {writer.result(function)}: ..."
                )
            else:
                shown = one_line(str(function)).replace(one_line(function.name), one_line(whole), 1)
                body.append(f"    # by its name only, with call(): {shown}")
    if not any(line.startswith("    async") for line in body):
        body.append("    ...")
    said = one_line(comment).replace("\\", "/").replace('"', "'")
    imports = list(writer.imports())
    return "\n".join([f'"""{said}"""', "", *imports, "", f"class {class_name(world.name)}(Protocol):", *body])


def class_name(name: str) -> str:
    """Return the name of the class for a module: its words with capital letters."""
    made = "".join(word[0].upper() + word[1:] for word in _WORD.findall(name))
    if not made.isidentifier():
        made = f"Module{made}"
    return f"{made}_" if keyword.iskeyword(made) or made in ("Any", "Protocol") else made


def _attribute(world: World, function: Function) -> str:
    return function.name.replace("-", "_") if world.is_component else function.name


def _is_attribute(name: str) -> bool:
    """Tell whether a function of this name is an attribute of its module."""
    hidden = name in _HIDDEN or name.startswith("_")
    return name.isidentifier() and not keyword.iskeyword(name) and not hidden


class _Writer:
    """Writes types, and remembers what has to be imported for them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._used: dict[str, set[str]] = {"typing": {"Protocol"}}

    def imports(self) -> Iterator[str]:
        for module in sorted(self._used):
            yield f"from {module} import {', '.join(sorted(self._used[module]))}"

    def parameters(self, function: Function) -> str:
        taken = {"self", "more"}
        found = ["self"]
        required = self._world.required.get(function.name, len(function.params))
        for position, param in enumerate(function.params):
            name = _parameter(param.name, position)
            while name in taken:
                name += "_"
            taken.add(name)
            optional = " = ..." if position >= required else ""
            found.append(f"{name}: {self._type(param, taken=True)}{optional}")
        if function.params:
            found.append("/")
        if function.name in self._world.more:
            found.append(f"*more: {self._use('typing', 'Any')}")
        return ", ".join(found)

    def result(self, function: Function) -> str:
        found = []
        for result in function.results:
            shape = _parsed(result)
            if shape is not None and shape.kind == "result":  # the error case is raised
                shape = shape.parts[0] if shape.parts else None
                found.append("None" if shape is None else self._of(shape, taken=False))
            else:
                found.append(self._type(result, taken=False))
        return found[0] if len(found) == 1 else f"tuple[{', '.join(found)}]" if found else "None"

    def _type(self, value: Value, *, taken: bool) -> str:
        shape = _parsed(value)
        return self._use("typing", "Any") if shape is None else self._of(shape, taken=taken)

    def _of(self, shape: Shape, *, taken: bool) -> str:
        """Return the type of values that a module takes, or gives."""
        kind = shape.kind
        if kind in _INTEGERS:
            return "int"
        if kind in _PLAIN:
            return self._use("typing", "Any") if kind == "json" else _PLAIN[kind]
        if kind == "bytes" or (kind == "list" and shape.parts[0] == Shape("u8") and self._world.is_component):
            return "bytes | bytearray | memoryview" if taken else "bytes"
        inner = [self._nothing(part, taken) for part in shape.parts]
        if kind == "list":
            return f"{self._use('collections.abc', 'Sequence') if taken else 'list'}[{inner[0]}]"
        if kind == "option":
            return f"{inner[0]} | None"
        if kind == "tuple":
            return f"tuple[{', '.join(inner) or '()'}]"
        if kind == "map":
            return f"{self._use('collections.abc', 'Mapping') if taken else 'dict'}[{', '.join(inner)}]"
        if kind == "record":
            any_ = self._use("typing", "Any")
            return f"{self._use('collections.abc', 'Mapping') if taken else 'dict'}[str, {any_}]"
        return self._of_components(shape, inner, taken)

    def _of_components(self, shape: Shape, inner: list[str], taken: bool) -> str:
        values = "echelon.runtime.component"
        if shape.kind in ("enum", "flags"):
            names = ", ".join(f'"{name}"' for name in shape.names)
            one = f"{self._use('typing', 'Literal')}[{names}]" if names else "str"
            if shape.kind == "enum":
                return one
            return f"{self._use('collections.abc', 'Collection') if taken else 'set'}[{one}]"
        if shape.kind == "variant":
            return f"{self._use(values, 'Variant')} | str" if taken else self._use(values, "Variant")
        if shape.kind == "result":
            return f"{self._use(values, 'Ok')} | {self._use(values, 'Err')}"
        return self._use("typing", "Any")  # handles, and what only the engine has

    def _nothing(self, part: Shape | None, taken: bool) -> str:
        return "None" if part is None else self._of(part, taken=taken)

    def _use(self, module: str, name: str) -> str:
        self._used.setdefault(module, set()).add(name)
        return name


def _parsed(value: Value) -> Shape | None:
    try:
        return notation.parse(value.type)
    except ValueError:
        return None


def _parameter(name: str, position: int) -> str:
    made = name.replace("-", "_")
    if not made.isidentifier():
        return f"a{position}"
    return f"{made}_" if keyword.iskeyword(made) else made
