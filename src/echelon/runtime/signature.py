"""The typed signature of a module: what its exports take and return, and how values cross the boundary.

A compiler that knows the source's types writes them into the custom section `echelon:signature` as JSON:

    {"version": 1, "language": "typescript", "abi": "assemblyscript",
     "exports": [{"name": "greet",
                  "params": [{"name": "who", "type": "str", "wire": {"kind": "string", "id": 2}}],
                  "results": [{"type": "str", "wire": {"kind": "string", "id": 2}}]}]}

`type` is what a caller sees. `wire` is how the ABI lays the value out in memory; the ABIs `core`, which has numbers
and bool only, and `linear` (see linear.py), where the type says it all, have none.

    type = i8 | i16 | i32 | i64 | u8 | u16 | u32 | u64 | f32 | f64 | bool | str | bytes | json
         | list<type> | option<type> | record{name: type, …} | tuple<type, …> | map<type, type>
         | v128 | funcref | externref        (only in a signature that comes from the module's own types)

Wires of the `assemblyscript` ABI (`id` is the class id of the runtime, rtId):

    "i8" … "f64" | "bool"                          a number; bool is an i32 of 0 or 1
    {"kind": "string", "id": 2}                    UTF-16LE
    {"kind": "buffer", "id": 1}                    an ArrayBuffer                          bytes
    {"kind": "view", "id": N, "item": wire}        a typed array: Uint8Array is bytes, others list<…>
    {"kind": "array", "id": N, "item": wire}       an Array<T>                             list<…>
    {"kind": "static", "id": N, "item": wire}      a StaticArray<T>                        list<…>
    {"kind": "nullable", "item": wire}             T | null                                option<…>
    {"kind": "json", "id": N, "item": wire}        an object whose first field is a string   json

The section is data from an untrusted file: it is bounded, parsed strictly and checked against the module's
real types before it is used; a forged signature can only make the guest misread its own memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

SECTION = "echelon:signature"
VERSION = 1
MAX_BYTES = 1 << 20
MAX_DEPTH = 8

Wire = str | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Value:
    """One parameter or result."""

    type: str
    name: str = ""
    wire: Wire = None

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.type} if self.name else {"type": self.type}


@dataclass(frozen=True, slots=True)
class Function:
    """One function as a caller sees it; `export` is what the module exports it as, where that is not its name."""

    name: str
    params: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    export: str = ""

    def __str__(self) -> str:
        params = ", ".join(f"{p.name}: {p.type}" if p.name else p.type for p in self.params)
        results = ", ".join(r.type for r in self.results)
        return f"{self.name}({params})" + (f" -> {results}" if results else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the form the control API answers with."""
        return {
            "name": self.name,
            "params": [p.to_dict() for p in self.params],
            "results": [r.type for r in self.results],
        }


@dataclass(frozen=True, slots=True)
class Signature:
    """Every typed export of a module."""

    abi: str = "core"
    language: str = "wasm"
    exports: dict[str, Function] = field(default_factory=dict)


class _Param(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    name: str = ""
    wire: str | dict[str, Any] | None = None


class _Export(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    params: list[_Param] = []
    results: list[_Param] = []


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    language: str
    abi: str
    exports: list[_Export]


def encode(signature: Signature) -> bytes:
    """Return the content of the custom section for `signature`."""

    def values(items: tuple[Value, ...]) -> list[_Param]:
        return [_Param(item.type, item.name, item.wire) for item in items]

    exports = [_Export(f.name, values(f.params), values(f.results)) for f in signature.exports.values()]
    return msgspec.json.encode(_Document(VERSION, signature.language, signature.abi, exports))


def decode(payload: bytes) -> Signature:
    """Read the content of the custom section; raises ValueError when it is not a signature."""
    if len(payload) > MAX_BYTES:
        raise ValueError(f"the {SECTION} section has {len(payload)} bytes, at most {MAX_BYTES} are read")
    try:
        document = msgspec.json.decode(payload, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(f"the {SECTION} section is malformed: {exc}") from exc
    if document.version != VERSION:
        raise ValueError(
            f"the {SECTION} section has version {document.version}, this Echelon reads {VERSION}"
        )

    def values(items: list[_Param]) -> tuple[Value, ...]:
        return tuple(Value(item.type, item.name, item.wire) for item in items)

    exports = {e.name: Function(e.name, values(e.params), values(e.results)) for e in document.exports}
    return Signature(document.abi, document.language, exports)
