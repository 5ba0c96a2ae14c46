"""What names of C++ are put together from: its builtin types and operators, and how declarators wrap each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from echelon.runtime.demangle.cursor import Malformed

BUILTIN: Final = {
    "a": "signed char", "b": "bool", "c": "char", "d": "double", "e": "long double", "f": "float", "g": "__float128",
    "h": "unsigned char", "i": "int", "j": "unsigned int", "l": "long", "m": "unsigned long", "n": "__int128",
    "o": "unsigned __int128", "s": "short", "t": "unsigned short", "v": "void", "w": "wchar_t", "x": "long long",
    "y": "unsigned long long", "z": "...",
}  # fmt: skip
BUILTIN_D: Final = {
    "Da": "auto", "Dc": "decltype(auto)", "Dd": "decimal64", "De": "decimal128", "Df": "decimal32", "Dh": "half",
    "Di": "char32_t", "Dn": "std::nullptr_t", "Ds": "char16_t", "Du": "char8_t",
}  # fmt: skip
SUFFIXES: Final = {"i": "", "j": "u", "l": "l", "m": "ul", "x": "ll", "y": "ull"}
"""What follows a number of each of these types; numbers of other types have the type in front."""

STANDARD: Final = {
    "a": "std::allocator", "b": "std::basic_string", "d": "std::iostream", "i": "std::istream", "o": "std::ostream",
    "s": "std::string",
}  # fmt: skip
OPERATORS: Final = {
    "aN": "&=", "aS": "=", "aa": "&&", "ad": "&", "an": "&", "aw": " co_await", "cl": "()", "cm": ",", "co": "~",
    "dV": "/=", "da": " delete[]", "de": "*", "dl": " delete", "dv": "/", "eO": "^=", "eo": "^", "eq": "==",
    "ge": ">=", "gt": ">", "ix": "[]", "lS": "<<=", "le": "<=", "ls": "<<", "lt": "<", "mI": "-=", "mL": "*=",
    "mi": "-", "ml": "*", "mm": "--", "na": " new[]", "ne": "!=", "ng": "-", "nt": "!", "nw": " new", "oR": "|=",
    "oo": "||", "or": "|", "pL": "+=", "pl": "+", "pm": "->*", "pp": "++", "ps": "+", "pt": "->", "qu": "?",
    "rM": "%=", "rS": ">>=", "rm": "%", "rs": ">>", "ss": "<=>",
}  # fmt: skip

_MAX_PACK: Final = 32


class Part(NamedTuple):
    """A type or name, in what stands left and right of a name it would declare; `kind` is "function" or "array"."""

    left: str
    right: str = ""
    kind: str = ""


class Pack(tuple[Part, ...]):
    """The several values of a parameter pack: what is made of one is made of each."""


class Row(Pack):
    """The same, written one after the other."""


Value = Part | Pack


def text_of(value: Value) -> str:
    """Return a value as it is written."""
    if isinstance(value, Pack):
        return listed(value)
    return f"{value.left} {value.right}" if value.kind == "array" else value.left + value.right


def listed(values: Iterable[Value]) -> str:
    """Return values with commas between them; an empty row leaves nothing."""
    return ", ".join(text for text in map(text_of, values) if text)


def each(make: Callable[..., Part], *values: Value) -> Value:
    """Make a part of parts, or a pack of packs of one length."""
    length = next((len(value) for value in values if _varies(value)), None)
    if length is None:
        return make(*values)
    if length > _MAX_PACK or any(_varies(value) and len(value) != length for value in values):
        raise Malformed
    return Pack(
        make(*(value[place] if _varies(value) else value for value in values)) for place in range(length)
    )


def _varies(value: Value) -> bool:
    return isinstance(value, Pack) and not isinstance(value, Row)


def pointer(to: Part) -> Part:
    """Return `T*`."""
    return _declarator(to, "*")


def reference(to: Part) -> Part:
    """Return `T&`; a reference to a reference is one."""
    return to._replace(left=to.left.rstrip("&") + "&") if to.left.endswith("&") else _declarator(to, "&")


def rvalue(to: Part) -> Part:
    """Return `T&&`; an lvalue reference stays what it is."""
    return to if to.left.endswith("&") else _declarator(to, "&&")


def member(owner: Part, of: Part) -> Part:
    """Return `T C::*`."""
    declared = f"{text_of(owner)}::*"
    return _declarator(of, declared) if of.kind else _declarator(of, f" {declared}")


def qualified(part: Part, qualifiers: str) -> Part:
    """Return `T const`."""
    return part._replace(left=part.left + qualifiers)


def array(of: Part, size: str) -> Part:
    """Return `T [3]`."""
    return Part(of.left, f"[{size}]{of.right}", "array")


def function(result: Part, parameters: str, qualifiers: str) -> Part:
    """Return `T (…)`."""
    return Part(f"{result.left} ", f"({parameters}){result.right}{qualifiers}", "function")


def template(name: Part, *arguments: Value) -> Part:
    """Return `N<…>`."""
    return Part(f"{text_of(name)}<{listed(arguments)}>")


def within(scope: Part, name: Part) -> Part:
    """Return `S::N`."""
    return Part(f"{text_of(scope)}::{text_of(name)}")


def base_name(text: str) -> str:
    """Return what the constructor of a class is called: its name without scopes, arguments and tags."""
    text = text.partition("[abi:")[0]
    depth, end = 0, len(text)
    for place in range(len(text) - 1, -1, -1):
        if text[place] in ">)":
            depth += 1
        elif text[place] in "<(":
            depth -= 1
            end = place if depth == 0 and text[place] == "<" else end
        elif depth == 0 and text[place] == ":":
            return text[place + 1 : end]
    return text[:end]


def _declarator(part: Part, sign: str) -> Part:
    if part.kind == "function":
        return Part(f"{part.left}({sign}", f"){part.right}")
    if part.kind == "array":
        return Part(f"{part.left} ({sign}", f") {part.right}")
    return Part(part.left + sign, part.right)
