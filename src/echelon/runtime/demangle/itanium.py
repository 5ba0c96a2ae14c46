"""The scheme of C++, as Clang and GCC have it, written as LLVM's tools write it.

Expressions are not read: where the types of a function hold one, its name comes without them. Neither is what names no
function.

Source: Itanium C++ ABI, section 5.1 (external names).
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Final

from echelon.runtime.demangle import cpp_parts as parts
from echelon.runtime.demangle.cpp_parts import Pack, Part, Row, Value, each, text_of
from echelon.runtime.demangle.cursor import Cursor, Malformed

_THUNKS: Final = {"Th": "non-virtual thunk to ", "Tv": "virtual thunk to "}
_ROUTINES: Final = {
    "TW": "thread-local wrapper routine for ",
    "TH": "thread-local initialization routine for ",
}
_DIGITS: Final = frozenset(string.digits)
_BASE_36: Final = string.digits + string.ascii_uppercase
_WORD: Final = string.ascii_letters + string.digits + "_$"
_ENDS: Final = ("", "E", ".", "_")
_MAX_DIGITS: Final = 40
"""Digits of a number that is a template argument."""


def read(name: str) -> str:
    """Return the function's path with template arguments and parameters."""
    symbol = _Symbol(name.encode().decode("latin-1"), 2)  # lengths of names count bytes
    found = symbol.encoding()
    if symbol.peek() not in ("", "."):
        raise Malformed
    return found.encode("latin-1").decode("utf-8", "replace")


class _Expression(Malformed):
    """The name goes on with an expression."""


@dataclass(slots=True)
class _Function:
    """What the name of a function says about the rest of it."""

    has_result: bool = False
    special: bool = False
    qualifiers: str = ""


class _Symbol(Cursor):
    """`_known` are the parts that can be referred to again, `_arguments` those of the innermost template."""

    __slots__ = ("_arguments", "_known", "_lambdas")

    def __init__(self, text: str, pos: int) -> None:
        super().__init__(text, pos)
        self._known: list[Value] = []
        self._arguments: list[Value] = []
        self._lambdas = 0

    def encoding(self) -> str:
        """Read a function with what it takes."""
        with self:
            outside, self._arguments = self._arguments, []
            found = self.made(self._special() or self._function())
            self._arguments = outside
            return found

    def _special(self) -> str:
        kind = self.text[self.pos : self.pos + 2]
        if kind in _THUNKS:
            self.pos += 1
            self._call_offset()
            return _THUNKS[kind] + self.encoding()
        if kind == "Tc":
            self.pos += 2
            self._call_offset()
            self._call_offset()
            return f"covariant return thunk to {self.encoding()}"
        if kind in _ROUTINES:
            self.pos += 2
            return _ROUTINES[kind] + text_of(self._name(None))
        return ""

    def _call_offset(self) -> None:
        for _ in range(2 if self.next() == "v" else 1):
            self.take("n")
            self.decimal()
            self.expect("_")

    def _function(self) -> str:
        about = _Function()
        name = text_of(self._name(about))
        if self.peek() in _ENDS:
            return name + about.qualifiers
        try:
            return self._typed(name, about)
        except _Expression:
            self.run(_WORD)
            if self._depth > 1:
                raise
            return name

    def _typed(self, name: str, about: _Function) -> str:
        """Read result and parameters of a function."""
        result = self.type() if about.has_result and not about.special else None
        taken: list[Value] = []
        if not self.take("v"):
            while self.peek() not in _ENDS:
                taken.append(self.type())
        call = f"{name}({parts.listed(taken)})"
        if result is None:
            return call + about.qualifiers
        if not isinstance(result, Part):
            raise Malformed
        space = "" if result.right else " "
        return f"{result.left}{space}{call}{result.right}{about.qualifiers}"

    # --- names ---

    def _name(self, about: _Function | None) -> Value:
        """Read a name; `about` is None for that of a type."""
        with self:
            if self.take("N"):
                return self._nested(about)
            if self.take("Z"):
                return self._local(about)
            if self.peek() == "S" and self.peek(1) != "t":
                return self._instance(self._substitution(), about)
            if self.take("St"):
                name = each(parts.within, Part("std"), self._unqualified(about))
            else:
                name = self._unqualified(about)
            if self.peek() != "I":
                return name
            self._known.append(name)
            return self._instance(name, about)

    def _instance(self, name: Value, about: _Function | None) -> Value:
        """Read the arguments of a template."""
        found = self._counted(each(parts.template, name, *self._template_arguments(about)))
        if about is not None:
            about.has_result = True
        return found

    def _nested(self, about: _Function | None) -> Value:
        qualifiers = self._qualifiers()
        qualifiers += " &" if self.take("R") else " &&" if self.take("O") else ""
        if about is not None:
            about.qualifiers = qualifiers
        so_far: Value | None = Part("std") if self.take("St") else None
        while not self.take("E"):
            if about is not None:
                about.has_result = False
            following = self.peek()
            if following == "I" and so_far is not None:
                so_far = self._instance(so_far, about)
            elif following == "S" and self.peek(1) != "t":
                if so_far is not None:
                    raise Malformed
                so_far = self._substitution()
                continue
            else:
                component = self._component(so_far, about)
                so_far = component if so_far is None else each(parts.within, so_far, component)
            self._known.append(self._counted(so_far))
        if so_far is None or not self._known:
            raise Malformed
        self._known.pop()
        return so_far

    def _component(self, so_far: Value | None, about: _Function | None) -> Value:
        following, second = self.peek(), self.peek(1)
        if following == "T":
            return self._parameter()
        if so_far is not None and following == "C" and second in "12345":
            self.pos += 2
            return self._structor("", so_far, about)
        if so_far is not None and following == "D" and second in "01245":
            self.pos += 2
            return self._structor("~", so_far, about)
        return self._unqualified(about)

    def _structor(self, sign: str, of: Value, about: _Function | None) -> Value:
        if about is not None:
            about.special = True
        return self._tagged(Part(sign + parts.base_name(text_of(of))))

    def _local(self, about: _Function | None) -> Value:
        """Read what is declared inside of a function."""
        outer = Part(self.encoding())
        self.expect("E")
        if self.take("s"):
            self._discriminator()
            return each(parts.within, outer, Part("string literal"))
        if self.take("d"):
            self.run(string.digits)
            self.expect("_")
            return each(parts.within, outer, self._name(about))
        name = self._name(about)
        self._discriminator()
        return each(parts.within, outer, name)

    def _discriminator(self) -> None:
        if self.take("__"):
            self.decimal()
            self.expect("_")
        elif self.peek() == "_" and self.peek(1) in _DIGITS:
            self.pos += 2

    def _unqualified(self, about: _Function | None) -> Value:
        self.take("L")
        following = self.peek()
        if following == "U":
            name = self._unnamed()
        elif following in _DIGITS:
            name = Part(self._source_name())
        else:
            name = self._operator(about)
        return self._tagged(name)

    def _tagged(self, name: Part) -> Part:
        while self.take("B"):
            name = Part(f"{name.left}[abi:{self._source_name()}]")
        return name

    def _source_name(self) -> str:
        name = self.made(self.characters(self.decimal()))
        return "(anonymous namespace)" if name.startswith("_GLOBAL__N") else name

    def _unnamed(self) -> Part:
        if self.take("Ut"):
            number = self.run(string.digits)
            self.expect("_")
            return Part(f"'unnamed{number}'")
        self.expect("Ul")
        self._lambdas += 1
        taken: list[Value] = []
        if not self.take("v"):
            while self.peek() != "E":
                taken.append(self.type())
        self._lambdas -= 1
        self.expect("E")
        number = self.run(string.digits)
        self.expect("_")
        return Part(f"'lambda{number}'({parts.listed(taken)})")

    def _operator(self, about: _Function | None) -> Part:
        code = self.characters(2)
        if code in parts.OPERATORS:
            return Part(f"operator{parts.OPERATORS[code]}")
        if code == "cv":
            if about is not None:
                about.special = True
            return Part(f"operator {text_of(self.type())}")
        if code == "li":
            return Part(f'operator"" {self._source_name()}')
        raise Malformed

    def _substitution(self) -> Value:
        self.expect("S")
        standard = parts.STANDARD.get(self.peek())
        if standard is not None:
            self.pos += 1
            plain = Part(standard)
            name = self._tagged(plain)
            if name != plain:
                self._known.append(name)
            return name
        place = self._index(_BASE_36)
        if place >= len(self._known):
            raise Malformed
        return self._counted(self._known[place])

    def _index(self, alphabet: str) -> int:
        digits = self.run(alphabet)
        self.expect("_")
        if len(digits) > 4:
            raise Malformed
        return int(digits, 36 if alphabet is _BASE_36 else 10) + 1 if digits else 0

    # --- templates ---

    def _parameter(self) -> Value:
        self.expect("T")
        place = self._index(string.digits)
        if self._lambdas:
            return Part("auto")
        if place >= len(self._arguments):
            raise Malformed
        found = self._arguments[place]
        return Pack(found) if isinstance(found, Row) else found

    def _template_arguments(self, about: _Function | None) -> list[Value]:
        self.expect("I")
        found: list[Value] = []
        if about is not None:
            self._arguments = found
        while not self.take("E"):
            found.append(self._template_argument())
        return found

    def _template_argument(self) -> Value:
        with self:
            if self.take("L"):
                return self._literal()
            if self.take("XadL_Z"):
                found = Part(f"&{self.encoding()}")
                self.expect("EE")
                return found
            if self.peek() == "X":
                raise _Expression
            if not self.take("J"):
                return self.type()
            values: list[Part] = []
            while not self.take("E"):
                value = self._template_argument()
                values += value if isinstance(value, Pack) else [value]
            return Row(values)

    def _literal(self) -> Part:
        if self.take("_Z"):
            found = Part(self.encoding())
            self.expect("E")
            return found
        if self.take("DnE") or self.take("Dn0E"):
            return Part("nullptr")
        if self.take("b0E") or self.take("b1E"):
            return Part("true" if self.text[self.pos - 2] == "1" else "false")
        suffix = parts.SUFFIXES.get(self.peek())
        kind = "" if suffix is not None else f"({text_of(self.type())})"
        if suffix is not None:
            self.pos += 1
        sign = "-" if self.take("n") else ""
        digits = self.run(string.digits)
        self.expect("E")
        if not 0 < len(digits) <= _MAX_DIGITS:
            raise Malformed
        return Part(f"{kind}{sign}{digits}{suffix or ''}")

    # --- types ---

    def type(self) -> Value:
        """Read a type; all but the builtin ones can be referred to again."""
        with self:
            following = self.peek()
            if not following:
                raise Malformed
            if following in parts.BUILTIN:
                self.pos += 1
                return Part(parts.BUILTIN[following])
            builtin = parts.BUILTIN_D.get(following + self.peek(1))
            if builtin is not None:
                self.pos += 2
                return Part(builtin)
            if following == "S" and self.peek(1) != "t":
                known = self._substitution()
                if self.peek() != "I":
                    return known
                found = self._instance(known, None)
            else:
                found = self._type(following)
            self._known.append(self._counted(found))
            return found

    def _type(self, following: str) -> Value:
        if following in "rVK":
            return self._qualified()
        if following == "F" or (following == "D" and self.peek(1) in ("o", "x")):
            return self._function_type("")
        if following == "D":
            return self._type_d()
        if following == "T" and self.peek(1) not in ("s", "u", "e"):
            parameter = self._parameter()
            if self.peek() != "I":
                return parameter
            self._known.append(parameter)
            return self._instance(parameter, None)
        if following in "NZS" or following in _DIGITS:
            return self._name(None)
        self.pos += 1
        if following == "P":
            return each(parts.pointer, self.type())
        if following == "R":
            return each(parts.reference, self.type())
        if following == "O":
            return each(parts.rvalue, self.type())
        if following == "C":
            return each(lambda part: parts.qualified(part, " complex"), self.type())
        if following == "A":
            size = self.run(string.digits)
            self.expect("_")
            return each(lambda part: parts.array(part, size), self.type())
        if following == "M":
            owner = self.type()
            return each(parts.member, owner, self.type())
        if following == "u":
            return Part(self._source_name())
        raise Malformed

    def _type_d(self) -> Value:
        self.expect("D")
        kind = self.next()
        if kind == "p":
            pattern = self.type()
            return Row(pattern if isinstance(pattern, Pack) else [pattern])
        if kind == "v":
            size = self.decimal()
            self.expect("_")
            return each(lambda part: Part(f"{text_of(part)} vector[{size}]"), self.type())
        if kind == "F":
            bits = self.decimal()
            self.expect("_")
            return Part(f"_Float{bits}")
        raise _Expression if kind in "tT" else Malformed

    def _qualified(self) -> Value:
        qualifiers = self._qualifiers()
        if self.peek() == "F" or self.text[self.pos : self.pos + 2] in ("Do", "Dx"):
            return self._function_type(qualifiers)
        return each(lambda part: parts.qualified(part, qualifiers), self.type())

    def _qualifiers(self) -> str:
        restrict, volatile, const = self.take("r"), self.take("V"), self.take("K")
        return (
            (" const" if const else "")
            + (" volatile" if volatile else "")
            + (" restrict" if restrict else "")
        )

    def _function_type(self, qualifiers: str) -> Value:
        noexcept = " noexcept" if self.take("Do") else ""
        self.take("Dx")
        self.expect("F")
        self.take("Y")
        result = self.type()
        taken: list[Value] = []
        while not self.take("E"):
            if self.take("RE"):
                qualifiers += " &"
                break
            if self.take("OE"):
                qualifiers += " &&"
                break
            if not self.take("v"):
                taken.append(self.type())
        return each(
            lambda first, *rest: parts.function(first, parts.listed(rest), qualifiers + noexcept),
            result,
            *taken,
        )

    def _counted(self, value: Value) -> Value:
        for part in value if isinstance(value, Pack) else (value,):
            self.made(part.left + part.right)
        return value
