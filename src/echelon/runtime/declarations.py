"""Signatures in one line of text, as compilers without a front end of ours hand them on (see docs/abi.md).

    greet(who: str, times: u32) -> str

Such a line is the name under which a module exports the function: every compiler can name an export as it likes.
Or it stands in the custom section `echelon:exports`, one a line, for a function exported under its plain name, or under
that name after `echelon.`, which no function of a library has: that is what a language can do which works its types out
while it compiles.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from echelon.runtime import binary, records, signature, stripping
from echelon.runtime.binary import ModuleInfo
from echelon.runtime.signature import Function, Signature, Value

SECTION: Final = "echelon:exports"
ABI: Final = "linear"
PREFIX: Final = "echelon."
MAX_LINE: Final = 4_096
_LINE: Final = re.compile(r"([^\s(),:]+)\s*\(([^()]*)\)\s*(?:->\s*([^\s()][^()]*))?")
_VALUE: Final = re.compile(
    r"(?:([^\s:<>{}]+)\s*:\s*)?([^\s:<{]+|(?:list|option|record|tuple|map)[<{].*[>}])", re.DOTALL
)


def parse(line: str) -> Function:
    """Read a line as `str(Function)` writes it; raises ValueError."""
    if len(line) > MAX_LINE:
        raise ValueError(f"a signature has {len(line)} characters, at most {MAX_LINE} are read")
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"{line[:200]!r} is no signature; write one such as greet(who: str) -> str")
    name, params, results = found.groups()
    return Function(name, _values(line, params), _values(line, results or ""))


def _values(line: str, text: str) -> tuple[Value, ...]:
    return tuple(_value(line, part) for part in records.split(text))


def _value(line: str, text: str) -> Value:
    found = _VALUE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{line[:200]!r}: {text.strip()[:80]!r} is neither a type nor a name and a type")
    name, kind = found.groups()
    return Value(kind, name or "")


def read(wasm: bytes, info: ModuleInfo) -> Signature | None:
    """Return the signature that a module brings, in whatever form, or None; raises ValueError for a bad one."""
    section = binary.custom_section(wasm, info, signature.SECTION)
    if section is not None:
        return signature.decode(section)
    named = [name for name, (kind, _) in info.exports.items() if kind == "func" and "(" in name]
    section = binary.custom_section(wasm, info, SECTION) or b""
    size = len(section) + sum(map(len, named))
    if size > signature.MAX_BYTES:
        raise ValueError(f"the signatures have {size} bytes, at most {signature.MAX_BYTES} are read")
    functions = [replace(parse(name), export=name) for name in named]
    for function in map(parse, _lines(section)):
        prefixed = PREFIX + function.name
        functions.append(replace(function, export=prefixed) if prefixed in info.exports else function)
    exports: dict[str, Function] = {}
    for function in functions:
        if function.name in exports or (function.export and function.name in info.exports):
            raise ValueError(f'the module has two functions, or two signatures, named "{function.name}"')
        exports[function.name] = function
    return Signature(ABI, exports=exports) if exports else None


def _lines(section: bytes) -> list[str]:
    try:
        text = section.replace(b"\0", b"\n").decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"the {SECTION} section is not UTF-8: {exc.reason}") from exc
    return [line for line in text.split("\n") if line.strip()]


def collect(wasm: bytes, language: str) -> bytes:
    """Return a module with its signature in one section and plain export names; unchanged if it has no lines.

    Raises InvalidModule for bytes that are no module, ValueError for a bad signature.
    """
    info = binary.parse(wasm)
    found = read(wasm, info)
    if found is None or signature.SECTION in info.custom:
        return wasm
    renamed = {function.export: name for name, function in found.exports.items() if function.export}
    wasm = stripping.without(binary.rename_exports(wasm, renamed), SECTION.__eq__)
    exports = {name: replace(function, export="") for name, function in found.exports.items()}
    content = signature.encode(Signature(ABI, language, exports))
    return binary.add_custom_section(wasm, signature.SECTION, content)
