"""Python functions that guests import: their types follow from their annotations.

    shop = app.wasm.host("shop")

    @shop
    async def stock(article: str) -> U32: ...          imported as "shop" "stock", (i32, i32) -> i32

A number crosses as itself. A text, bytes, and everything else as JSON, is a pointer and a length in the guest's
memory; as a result it is its length, which the guest then fetches with `echelon.take`, or -1 for None. A function runs
on the event loop's thread, wherever its guest runs, so it shares the application's state without locks.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union

import msgspec

from echelon.errors import ConfigError, GuestError
from echelon.runtime.binary import Import
from echelon.runtime.guest_kit import keep
from echelon.runtime.host import Call, HostFunction, HostModule
from echelon.runtime.limits import MIB
from echelon.runtime.types import Core

F = TypeVar("F", bound=Callable[..., Any])

MAX_ARGUMENT: Final = 16 * MIB
"""Bytes of one text, bytes or JSON that a guest passes to a host function."""

MAX_RESULT: Final = 16 * MIB
"""Bytes of one that a host function returns."""

_RESERVED: Final = frozenset({"echelon", "wasi_snapshot_preview1", "wasi_unstable"})
_PLAIN: Final = {int: "i64", float: "f64"}
_RANGES: Final = {
    "i32": (-(1 << 31), 1 << 31), "u32": (0, 1 << 32), "i64": (-(1 << 63), 1 << 63), "u64": (0, 1 << 64),
}  # fmt: skip
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

Read = Callable[..., Any]
"""`(call, *core values) -> Python value`; raises GuestError."""
Write = Callable[[Call, Any], Any]
"""`(call, Python value) -> core value`; raises TypeError, ValueError or OverflowError."""


def host_function(namespace: str, function: Callable[..., Any], name: str) -> HostFunction:
    """Return the import `namespace.name` made of a typed function; raises ConfigError for a bad signature."""
    where = f"the host function {namespace}.{name}"
    hints, names = _signature(function, where)
    takes_call = bool(names) and hints.get(names[0]) is Call
    readers: list[tuple[int, Read]] = []
    core: list[str] = []
    for parameter in names[1:] if takes_call else names:
        if parameter not in hints:
            raise ConfigError(
                f"{where}: annotate the parameter {parameter!r}; what guests pass follows from it"
            )
        kinds, read = _reader(hints[parameter], f"{where}: its parameter {parameter!r}")
        readers.append((len(kinds), read))
        core += kinds
    if "return" not in hints:
        raise ConfigError(f'{where}: annotate what it returns; "-> None" for nothing')
    results, write = _writer(hints["return"], where)

    def invoke(call: Call, raw: tuple[Any, ...]) -> Any:
        values: list[Any] = [call] if takes_call else []
        at = 0
        for width, read in readers:
            values.append(read(call, *raw[at : at + width]))
            at += width
        return function(*values)

    def answer(call: Call, *raw: Any) -> Any:
        return write(call, invoke(call, raw))

    async def answer_later(call: Call, *raw: Any) -> Any:
        value = invoke(call, raw)
        return write(call, await value if waits else value)

    waits = inspect.iscoroutinefunction(function)
    # At once means on the guest's own stack, which is small. A text or JSON could make a parser recurse as deep as
    # the guest likes, so what takes one waits for its turn on the event loop's stack.
    at_once = answer if not waits and all(width == 1 for width, _ in readers) else None
    return HostFunction(namespace, name, tuple(core), results, answer_later, suspends=True, at_once=at_once)


def _signature(function: Callable[..., Any], where: str) -> tuple[dict[str, Any], list[str]]:
    """Return the annotations of a function, and the names of its parameters in order; raises ConfigError."""
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(f"{where}: a generator cannot be called by a guest; return the values at once")
    try:
        parameters = inspect.signature(function).parameters
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, ValueError) as exc:
        raise ConfigError(f"{where}: its annotations cannot be read: {exc}") from exc
    for parameter in parameters.values():
        if parameter.kind not in _POSITIONAL:
            raise ConfigError(
                f"{where}: a guest passes arguments by position; make {str(parameter)!r} an ordinary one"
            )
    return hints, list(parameters)


def _core_of(annotation: Any) -> str | None:
    """Return the type of a number, None when the annotation is none."""
    if typing.get_origin(annotation) is Annotated:
        marks = [mark.name for mark in annotation.__metadata__ if isinstance(mark, Core)]
        if marks:
            return str(marks[0])
    return _PLAIN.get(annotation)


def _reader(annotation: Any, where: str) -> tuple[tuple[str, ...], Read]:
    """Return the core types of a parameter and what makes its value of them; raises ConfigError."""
    core = _core_of(annotation)
    if core is not None:
        return (core,), lambda _call, value: value
    if annotation is bool:
        return ("i32",), lambda _call, value: value != 0
    if annotation is bytes:
        return ("u32", "u32"), _read_bytes
    if annotation is str:
        return ("u32", "u32"), _read_text
    decode = _decoder(annotation, where)

    def read(call: Call, pointer: int, length: int) -> Any:
        try:
            return decode(_read_bytes(call, pointer, length))
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise GuestError(f"the guest passed JSON to its host that does not fit: {exc}") from None

    return ("u32", "u32"), read


def _read_bytes(call: Call, pointer: int, length: int) -> bytes:
    if length > MAX_ARGUMENT:
        raise GuestError(f"the guest passed {length} bytes to its host, at most {MAX_ARGUMENT} are accepted")
    return call.guest_memory().read(pointer, length)


def _read_text(call: Call, pointer: int, length: int) -> str:
    try:
        return _read_bytes(call, pointer, length).decode()
    except UnicodeDecodeError as exc:
        raise GuestError(f"the guest passed a text to its host that is not UTF-8: {exc.reason}") from None


def _decoder(annotation: Any, where: str) -> Callable[[bytes], Any]:
    try:
        msgspec.json.schema(
            annotation
        )  # a type of which JSON knows nothing is refused here, not at the first call
        return msgspec.json.Decoder(annotation).decode
    except (TypeError, NameError) as exc:
        known = (
            "I32 … F64 of echelon.runtime.types, int, float, bool, str, bytes, or what JSON can be read as"
        )
        raise ConfigError(
            f"{where} has a type that cannot cross to a guest: {exc}; there are {known}"
        ) from exc


def _writer(annotation: Any, where: str) -> tuple[tuple[str, ...], Write]:
    """Return the core type of a result and what checks and lowers its value."""
    if annotation is None or annotation is NoneType:
        return (), _write_nothing
    core = _core_of(annotation)
    if core in _RANGES:
        return (core,), _integer_writer(core)
    if core is not None:
        return (core,), _write_float
    if annotation is bool:
        return ("i32",), _write_bool
    members = (
        set(typing.get_args(annotation))
        if typing.get_origin(annotation) in (Union, UnionType)
        else {annotation}
    )
    optional = NoneType in members
    rest = members - {NoneType}
    encode: Callable[[Any], bytes] = msgspec.json.encode
    if rest == {str} or rest == {bytes}:
        encode = _encode_text if rest == {str} else _encode_bytes
    else:
        _decoder(annotation, f"{where}: its result")

    def write(call: Call, value: Any) -> int:
        if value is None and optional:
            return -1
        content = encode(value)
        if len(content) > MAX_RESULT:
            raise ValueError(f"its result has {len(content)} bytes, at most {MAX_RESULT} go to a guest")
        return keep(call, content)

    return ("i32",), write


def _write_nothing(_call: Call, value: Any) -> None:
    if value is not None:
        raise TypeError(f"it is declared to return None and returned {type(value).__name__}")


def _integer_writer(kind: str) -> Write:
    low, high = _RANGES[kind]

    def write(_call: Call, value: Any) -> int:
        if not isinstance(value, int):
            raise TypeError(f"it is declared to return an int and returned {type(value).__name__}")
        if not low <= value < high:
            raise OverflowError(f"its result {value} is not in {low}..{high - 1}")
        return int(value)

    return write


def _write_float(_call: Call, value: Any) -> float:
    if not isinstance(value, float | int):
        raise TypeError(f"it is declared to return a float and returned {type(value).__name__}")
    return float(value)


def _write_bool(_call: Call, value: Any) -> int:
    if not isinstance(value, bool):
        raise TypeError(f"it is declared to return a bool and returned {type(value).__name__}")
    return int(value)


def _encode_text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"it is declared to return a str and returned {type(value).__name__}")
    return value.encode()


def _encode_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"it is declared to return bytes and returned {type(value).__name__}")
    return bytes(value)


@dataclass(slots=True)
class HostFunctions:
    """The functions that an application gives its guests, by namespace."""

    _functions: dict[str, dict[str, HostFunction]] = field(default_factory=dict)

    def add(self, namespace: str, function: F, name: str | None, others: Sequence[HostModule]) -> F:
        """Register a function; raises ConfigError for a name that is taken or a signature no guest can call."""
        name = getattr(function, "__name__", "") if name is None else name
        for text, what in ((namespace, "namespace"), (name, "name")):
            if not text or not text.isprintable() or len(text) > 255:
                raise ConfigError(
                    f"{text!r} is not a {what} for host functions; write a short printable text"
                )
        if namespace in _RESERVED:
            raise ConfigError(f'the namespace "{namespace}" is Echelon\'s own; choose another for {name}()')
        made = host_function(namespace, function, name)
        wanted = Import(namespace, name, "func", None)
        if any(provider.find(wanted) is not None for provider in (self, *others)):
            raise ConfigError(f'there is a host function "{namespace}" "{name}" already')
        self._functions.setdefault(namespace, {})[name] = made
        return function

    def find(self, wanted: Import) -> HostFunction | None:
        return self._functions.get(wanted.module, {}).get(wanted.name) if wanted.kind == "func" else None

    def modules(self) -> Sequence[str]:
        return tuple(self._functions)

    def names(self, module: str) -> Sequence[str]:
        return tuple(self._functions.get(module, ()))
