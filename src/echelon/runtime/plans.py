"""How to call one export of a module: its types, its packers, its ABI; made once when the module is loaded."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from echelon.runtime import records
from echelon.runtime.abi import FORMATS, Abi, Guest, pack_pointer, packer, unpack_pointer, unpacker
from echelon.runtime.binary import FuncType
from echelon.runtime.instance import MAX_VALUES, VALUE_OFFSET, VALUE_SIZE, Instance
from echelon.runtime.signature import Function

CORE_KINDS: Final = {"i32": 0, "i64": 1, "f32": 2, "f64": 3, "v128": 4, "funcref": 5, "externref": 6}
_KIND_BYTES: Final = {kind: bytes([kind]) for kind in CORE_KINDS.values()}
VALUE_LAYOUT: Final = {
    "i32": "B7xi20x",
    "u32": "B7xI20x",
    "i64": "B7xq16x",
    "u64": "B7xQ16x",
    "f32": "B7xf20x",
    "f64": "B7xd16x",
}
"""A whole value: its kind, then itself."""
_pack_pointer_value: Final = struct.Struct("<B7xI20x").pack_into
_PYTHON: Final = {
    "f32": "float", "f64": "float", "bool": "bool", "str": "str", "bytes": "bytes", "list": "list",
    "v128": "bytes of length 16",
    "funcref": "None", "externref": "None",
}  # fmt: skip
_LONGEST: Final = 60
"""Characters of a type that an error shows."""

_PARTS: Final = re.compile(r"[,{]")
"""What is in a type with fields, of which the error says which one does not fit."""

_ACCEPTED: Final[dict[str, tuple[type, ...]]] = {
    "float": (float, int), "int": (int,), "bool": (bool,), "str": (str,), "list": (list, tuple),
    "bytes": (bytes, bytearray, memoryview), "bytes of length 16": (), "None": (type(None),),
}  # fmt: skip


class FunctionPlan:
    """How to call one export; made once when the module is loaded.

    `arity` counts what a caller passes, `slots` what the engine is given. `fits` tells whether the call's memory holds
    all its values; what does not fit must never be called. `slow` is set while calls of it use to outlast a slice on
    the event loop.
    """

    __slots__ = (
        "_abi",
        "_kinds",
        "_packs",
        "_params",
        "_result_kinds",
        "_unpacks",
        "arity",
        "encoded",
        "fits",
        "function",
        "get_one",
        "name",
        "put_all",
        "returns",
        "simple",
        "slots",
        "slow",
    )  # fmt: skip

    def __init__(self, function: Function, core: FuncType, abi: Abi | None) -> None:
        self.function, self.name = function, function.name
        self.encoded = (function.export or function.name).encode()
        self.arity = self.slots = len(core.params)
        self.returns = len(core.results)
        self._abi = abi
        self._params = function.params
        self._kinds = tuple(CORE_KINDS.get(t, -1) for t in core.params)
        self._packs = tuple(packer(p.type) for p in function.params)
        self._unpacks = tuple(unpacker(r.type) for r in function.results)
        self._result_kinds = tuple(CORE_KINDS.get(t, -1) for t in core.results)
        self.fits = self.slots <= MAX_VALUES and self.returns <= MAX_VALUES
        self.simple = self.fits and None not in self._packs and None not in self._unpacks
        self.get_one = self._unpacks[0] if self.simple and self.returns == 1 else None
        self.put_all = self._make_put()
        self.slow = False

    async def call(
        self, instance: Instance, arguments: Sequence[Any], plans: Mapping[str, FunctionPlan], *, kept: bool
    ) -> Any:
        """Call the export; raises TypeError or ValueError for bad arguments, GuestError for what the guest does."""
        if self.simple:
            self.put(instance, arguments)
            await instance.invoke(self)
            return self.get(instance)
        guest, abi = Guest(instance, plans), self._abi
        if abi is None:
            self.check_callable()
            raise TypeError(f"{self.function} takes or returns values that its signature does not lay out")
        self.check_count(arguments)
        lowered = []
        for position, (param, pack, value) in enumerate(
            zip(self._params, self._packs, arguments, strict=True)
        ):
            if pack is not None:
                lowered.append(value)
                continue
            try:
                lowered.append(await abi.lower(guest, param.wire, value))
            except (TypeError, ValueError, struct.error) as exc:
                raise self._bad_argument(position, value, exc) from None
        self.put(instance, lowered)
        await instance.invoke(self)
        raw = self._raw_results(instance)
        values = [
            value if unpack is not None else await abi.lift(guest, result.wire, value)
            for result, unpack, value in zip(self.function.results, self._unpacks, raw, strict=True)
        ]
        if kept:
            await abi.release(guest)
        return values[0] if len(values) == 1 else tuple(values) if values else None

    def check_count(self, arguments: Sequence[Any]) -> None:
        """Raise TypeError when the number of arguments is wrong."""
        self.check_callable()
        if len(arguments) != self.arity:
            given, wanted = len(arguments), self.arity
            raise TypeError(
                f"{self.function} takes {wanted} argument{'' if wanted == 1 else 's'}, {given} given"
            )

    def put(self, instance: Instance, arguments: Sequence[Any]) -> None:
        """Write arguments into the scratch; raises TypeError or ValueError that names the first bad one."""
        if len(arguments) != self.arity:
            self.check_count(arguments)
        try:
            self.put_all(instance.scratch.args_buffer, arguments)
        except (struct.error, OverflowError, TypeError, ValueError):
            self.put_each(instance.scratch.args_buffer, arguments)

    def put_each(self, buffer: Any, arguments: Sequence[Any]) -> None:
        """Write arguments one after another; raises TypeError or ValueError that names the first bad one."""
        for position, (kind, pack, value) in enumerate(zip(self._kinds, self._packs, arguments, strict=True)):
            offset = VALUE_SIZE * position
            buffer[offset] = _KIND_BYTES[kind]
            try:
                (pack or pack_pointer)(buffer, offset + VALUE_OFFSET, value)
            except (struct.error, OverflowError, TypeError, ValueError) as exc:
                raise self._bad_argument(position, value, exc) from None

    def _make_put(self) -> Callable[[Any, Sequence[Any]], None]:
        """Return what writes all arguments; for plain numbers, that is one call of `struct`."""
        types = [param.type if param.type in FORMATS else "u32" for param in self._params]
        if not self.arity:
            return lambda _buffer, _arguments: None
        if any(
            pack is not None and param.type not in FORMATS
            for pack, param in zip(self._packs, self._params, strict=True)
        ):
            return self.put_each
        if "v128" in types or self.arity > MAX_VALUES or -1 in self._kinds:
            return self.put_each
        layout = struct.Struct("<" + "".join(VALUE_LAYOUT[t] for t in types))
        pack, kinds = layout.pack_into, self._kinds
        if self.arity == 1:
            return lambda buffer, arguments: pack(buffer, 0, kinds[0], arguments[0])
        if self.arity == 2:
            return lambda buffer, arguments: pack(buffer, 0, kinds[0], arguments[0], kinds[1], arguments[1])
        return lambda buffer, arguments: pack(
            buffer, 0, *chain.from_iterable(zip(kinds, arguments, strict=True))
        )

    def check_callable(self) -> None:
        """Raise TypeError when the host cannot make the function's arguments."""
        if not self.fits:
            raise TypeError(
                f"{self.name} has more than {MAX_VALUES} parameters or results; none can be called"
            )
        if -1 in self._kinds or -1 in self._result_kinds:
            raise TypeError(f"{self.function} takes or returns values of a type that the host does not know")

    def _bad_argument(self, position: int, value: Any, error: Exception) -> Exception:
        param = self._params[position]
        shown = param.type if len(param.type) <= _LONGEST else f"{param.type[:_LONGEST]}…"
        where = f"{self.name}() argument {position + 1} ({param.name + ': ' if param.name else ''}{shown})"
        base = param.type.removeprefix("option<").partition("<")[0].rstrip(">")
        if base == "json":
            return type(error)(f"{where}: {error}")
        if _PARTS.search(param.type):
            return records.misfit(f"{where}: {param.name or 'it'}", error)
        wanted = _PYTHON.get(base, "int")
        if isinstance(value, _ACCEPTED[wanted]):
            return ValueError(f"{where}: {f'{value} is out of range' if wanted == 'int' else error}")
        option = " or None" if param.type.startswith("option<") else ""
        return TypeError(f"{where}: expected {wanted}{option}, got {type(value).__name__}")

    def get(self, instance: Instance) -> Any:
        """Read the results of a simple function: None, a value, or a tuple."""
        if self.get_one is not None:
            return self.get_one(instance.scratch.results_buffer, VALUE_OFFSET)
        return tuple(self._raw_results(instance)) if self.returns else None

    def _raw_results(self, instance: Instance) -> list[Any]:
        buffer = instance.scratch.results_buffer
        return [
            (unpack or unpack_pointer)(buffer, VALUE_OFFSET + VALUE_SIZE * position)
            for position, unpack in enumerate(self._unpacks)
        ]

    def takes_pointers(self, count: int) -> bool:
        """Tell whether the function has `count` parameters and at most one result, all of them i32.

        Nothing else may be called with `put_pointers()`: further arguments would be what another call left behind.
        """
        return self._kinds == (0,) * count and self._result_kinds in ((), (0,))

    def put_pointers(self, instance: Instance, arguments: Sequence[int]) -> None:
        """Write unsigned numbers, for a function of the language's own runtime that `takes_pointers()`."""
        for position, value in enumerate(arguments):
            _pack_pointer_value(instance.scratch.args_buffer, VALUE_SIZE * position, 0, value)

    def get_pointer(self, instance: Instance) -> int:
        """Read an unsigned result."""
        return unpack_pointer(instance.scratch.results_buffer, VALUE_OFFSET)
