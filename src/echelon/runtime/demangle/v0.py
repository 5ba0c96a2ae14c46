"""Rust's second scheme: a path with the types and constants of its generics.

As is the custom, hashes of crates, lifetimes that nobody named and types of constants are left out.

Source: Rust RFC 2603 and the compiler's book, "v0 symbol format".
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Final

from echelon.runtime.demangle.cursor import Cursor, Malformed

_BASE_62: Final = string.digits + string.ascii_lowercase + string.ascii_uppercase
_HEX: Final = "0123456789abcdef"
_BASIC: Final = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize",
    "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...",
    "x": "i64", "y": "u64", "z": "!",
}  # fmt: skip
_UNSIGNED, _SIGNED = "htmyoj", "aslxni"
_MAX_BOUND: Final = 64
"""Lifetimes that are named by `for<…>` at one place."""


def read(name: str) -> str:
    """Return the path without the name of the crate that instantiated it."""
    symbol = _Symbol(name, 2)
    path = symbol.path(value=True)
    if symbol.peek().isupper():
        symbol.path(value=False)
    if symbol.peek() not in ("", ".", "$"):
        raise Malformed
    return path


class _Symbol(Cursor):
    __slots__ = ("_bound",)

    def __init__(self, text: str, pos: int) -> None:
        super().__init__(text, pos)
        self._bound = 0

    def path(self, *, value: bool) -> str:
        """Read a path; generics of a value are written with a turbofish."""
        with self:
            return self.made(self._path(self.next(), value))

    def type(self) -> str:
        with self:
            return self.made(self._type(self.next()))

    def _path(self, kind: str, value: bool) -> str:
        if kind == "C":
            return self._identifier()[0]
        if kind == "N":
            return self._nested(value)
        if kind in "MX":
            self._disambiguator()
            self.path(value=False)
        if kind in "MXY":
            own = self.type()
            return f"<{own}>" if kind == "M" else f"<{own} as {self.path(value=False)}>"
        if kind == "I":
            return f"{self.path(value=value)}{'::' if value else ''}<{self._list(self._generic)}>"
        if kind == "B":
            return self._again(lambda: self.path(value=value))
        raise Malformed

    def _nested(self, value: bool) -> str:
        space = self.next()
        if not (space.isascii() and space.isalpha()):
            raise Malformed
        parent = self.path(value=value)
        name, number = self._identifier()
        if space.islower():
            return f"{parent}::{name}" if name else parent
        label = {"C": "closure", "S": "shim"}.get(space, space)
        return f"{parent}::{{{label}{':' if name else ''}{name}#{number}}}"

    def _type(self, kind: str) -> str:
        if kind in _BASIC:
            return _BASIC[kind]
        if kind in "RQ":
            lifetime = self._lifetime() if self.take("L") else ""
            named = "" if lifetime in ("", "'_") else f"{lifetime} "
            return f"&{named}{'mut ' if kind == 'Q' else ''}{self.type()}"
        if kind in "PO":
            return f"*{'const' if kind == 'P' else 'mut'} {self.type()}"
        if kind == "A":
            return f"[{self.type()}; {self._constant()}]"
        if kind == "S":
            return f"[{self.type()}]"
        if kind == "T":
            items = self._items(self.type)
            return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
        if kind == "F":
            return self._for(self._function)
        if kind == "D":
            bounds = self._for(lambda: " + ".join(self._items(self._trait)))
            self.expect("L")
            lifetime = self._lifetime()
            return f"dyn {bounds}" if lifetime == "'_" else f"dyn {bounds} + {lifetime}"
        if kind == "B":
            return self._again(self.type)
        return self._path(kind, value=False)

    def _function(self) -> str:
        unsafe = "unsafe " if self.take("U") else ""
        abi = ""
        if self.take("K"):
            abi = "C" if self.take("C") else self._plain().replace("_", "-")
            abi = f'extern "{abi}" '
        parameters = self._list(self.type)
        result = self.type()
        return f"{unsafe}{abi}fn({parameters}){'' if result == '()' else f' -> {result}'}"

    def _trait(self) -> str:
        path = self.path(value=False)
        bindings = []
        while self.take("p"):
            name = self._plain()
            bindings.append(f"{name} = {self.type()}")
        if not bindings:
            return path
        if path.endswith(">"):
            return f"{path[:-1]}, {', '.join(bindings)}>"
        return f"{path}<{', '.join(bindings)}>"

    def _generic(self) -> str:
        if self.take("L"):
            return self._lifetime()
        return self._constant() if self.take("K") else self.type()

    def _constant(self) -> str:
        with self:
            kind = self.next()
            if kind == "p":
                return "_"
            if kind == "B":
                return self._again(self._constant)
            sign = "-" if kind in _SIGNED and self.take("n") else ""
            digits = self.run(_HEX)
            self.expect("_")
            if len(digits) > 32:
                raise Malformed
            return self.made(sign + _literal(kind, int(digits or "0", 16)))

    def _for(self, read: Callable[[], str]) -> str:
        """Read what a binder of lifetimes may stand before."""
        count = self._number_after("G")
        if count > _MAX_BOUND:
            raise Malformed
        names = [_lifetime_name(self._bound + place) for place in range(count)]
        self._bound += count
        found = read()
        self._bound -= count
        return f"for<{', '.join(names)}> {found}" if names else found

    def _lifetime(self) -> str:
        index = self._base_62()
        if index == 0:
            return "'_"
        if index > self._bound:
            raise Malformed
        return _lifetime_name(self._bound - index)

    def _list(self, read: Callable[[], str]) -> str:
        return ", ".join(self._items(read))

    def _items(self, read: Callable[[], str]) -> list[str]:
        found = []
        while not self.take("E"):
            found.append(read())
        return found

    def _again(self, read: Callable[[], str]) -> str:
        """Read what stands at an earlier place of the name."""
        here = self.pos - 1
        place = self._base_62() + 2
        if place >= here:
            raise Malformed
        after, self.pos = self.pos, place
        found = read()
        self.pos = after
        return found

    def _identifier(self) -> tuple[str, int]:
        number = self._disambiguator()
        return self._plain(), number

    def _disambiguator(self) -> int:
        return self._number_after("s")

    def _plain(self) -> str:
        encoded = self.take("u")
        length = 0 if self.take("0") else self.decimal()
        self.take("_")
        text = self.characters(length) if length else ""
        if not text.isascii():
            raise Malformed
        return self.made(_decode(text) if encoded else text)

    def _number_after(self, mark: str) -> int:
        return self._base_62() + 1 if self.take(mark) else 0

    def _base_62(self) -> int:
        digits = self.run(_BASE_62)
        self.expect("_")
        if len(digits) > 11:
            raise Malformed
        value = 0
        for digit in digits:
            value = value * 62 + _BASE_62.index(digit)
        return value + 1 if digits else 0


def _literal(kind: str, value: int) -> str:
    if kind in _UNSIGNED + _SIGNED:
        return str(value) if value < 1 << 64 else hex(value)
    if kind == "b" and value < 2:
        return ("false", "true")[value]
    if kind == "c" and value < 0x110000 and not 0xD800 <= value < 0xE000:
        return repr(chr(value)) if chr(value) != "'" else r"'\''"
    raise Malformed


def _lifetime_name(place: int) -> str:
    return f"'{string.ascii_lowercase[place]}" if place < 26 else f"'_{place}"


def _decode(text: str) -> str:
    """Decode an identifier that is not ASCII."""
    plain, separator, rest = text.rpartition("_")
    try:
        found = (
            f"{plain}-{rest}".encode().decode("punycode") if separator else text.encode().decode("punycode")
        )
    except (UnicodeError, OverflowError) as exc:
        raise Malformed from exc
    if not found.isprintable():
        raise Malformed
    return found
