"""Python scripts: modules that hold a script's code and the digest of the engine that runs it.

The engine is CPython as a component, compiled to native code once for all scripts. A call gets a fresh instance of it,
in which the script is loaded, or laid as an image where loading it asked nothing of the host. What a script asks of its
host while it runs suspends it until the answer is there.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from echelon.errors import (
    Busy,
    Frame,
    GuestError,
    GuestExit,
    InvalidModule,
    MemoryExceeded,
    OutputExceeded,
    PermissionDenied,
    Trap,
)
from echelon.runtime import binary
from echelon.runtime import cpython_values as values
from echelon.runtime.component.instance import ComponentInstance
from echelon.runtime.cpython_host import ASKED
from echelon.runtime.frames import Reader, Writer
from echelon.runtime.hosted import HostedPlan, LoadedHosted
from echelon.runtime.limits import MIB, Limits
from echelon.runtime.script_image import Image, compare
from echelon.runtime.signature import Function, Signature, Value

if TYPE_CHECKING:
    from echelon.runtime.host import Call
    from echelon.runtime.instance import Instance
    from echelon.runtime.loader import Loaded
    from echelon.runtime.plans import FunctionPlan

SECTION: Final = "echelon:cpython"
CODE: Final = "echelon:cpython.code"
VERSION: Final = 1
LANGUAGE: Final = "cpython"
SECONDS: Final = 5.0
"""What running a script's top level may take for its image; slower ones are run by every call."""

MEMORY: Final = 32 * MIB
"""Bytes that a script may need above its engine's while its image is made."""

MAX_IMAGE: Final = 16 * MIB
"""Bytes that an image may differ from the engine's memory."""

_OPENED: Final = 1
"""What an image of a script says that has not run yet."""

_BEGUN: Final = "echelon.cpython"
_EXPORTS: Final = ("open_script", "run_script", "call_script")
_MAX_MESSAGE: Final = 4096


_TYPE: Final = r"(option<)?(list<){0,2}(i64|f64|bool|str|bytes|json)>{0,3}"
Type = Annotated[str, msgspec.Meta(pattern=rf"^{_TYPE}\Z")]
Result = Annotated[str, msgspec.Meta(pattern=rf"^({_TYPE}|none)\Z")]


class Param(msgspec.Struct, forbid_unknown_fields=True):
    """One parameter of a function of a script."""

    name: str
    type: Type


class Export(msgspec.Struct, forbid_unknown_fields=True):
    """A function of a script; `required` of its parameters have no default, `more` says that it takes any number."""

    params: list[Param]
    result: Result
    required: Annotated[int, msgspec.Meta(ge=0)]
    more: bool


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """What the section `echelon:cpython` says."""

    version: int
    engine: str
    exports: dict[str, Export]


class Failed(msgspec.Struct):
    """What the engine says of an exception; frames are file, line and function, outermost first."""

    type: str
    message: str
    frames: list[tuple[str, int, str]] = []
    exit: int | None = None
    memory: bool = False


def pack(header: Header, code: bytes) -> bytes:
    """Return the module that holds a script."""
    wasm = binary.add_custom_section(binary.MAGIC, SECTION, msgspec.json.encode(header))
    return binary.add_custom_section(wasm, CODE, code)


def read_header(wasm: bytes) -> Header | None:
    """Return the header of a module that is a Python script, None for any other; raises InvalidModule."""
    if wasm[:8] != binary.MAGIC or SECTION.encode() not in wasm[:64]:
        return None
    content = binary.custom_section(wasm, binary.parse(wasm), SECTION)
    if content is None:
        return None
    try:
        header = msgspec.json.decode(content, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidModule(f"the {SECTION} section is malformed: {exc}") from exc
    if header.version != VERSION:
        raise InvalidModule(f"the script has version {header.version}, this Echelon reads {VERSION}")
    return header


def function_of(name: str, export: Export) -> Function:
    """Return a function of a script as a caller sees it."""
    results = () if export.result == "none" else (Value(export.result),)
    return Function(name, tuple(Value(param.type, param.name) for param in export.params), results)


@dataclass(slots=True)
class LoadedPython(LoadedHosted):
    """A Python script, with the memory that its calls begin with."""

    code: bytes = field(kw_only=True)
    image: Image | None = field(default=None, kw_only=True)

    async def get_ready(self, open_instance: Callable[[Limits], Awaitable[Instance]]) -> None:
        """Make the image that calls begin with."""
        try:
            instance = await open_instance(Limits(memory=self.engine.minimum_memory + MEMORY, time=SECONDS))
        except (GuestError, Busy):  # calls will say so
            return
        try:
            self.image = await self._make_image(instance)
        finally:
            instance.close()
        if self.image is not None:
            self.minimum_memory = self.image.size

    async def _make_image(self, instance: Instance) -> Image | None:
        """Return the memory with the script run, or only opened where its top level fails or calls the host."""
        engine, call = _engine_of(instance)
        memory, image = engine.memory_at(0), None
        before = memory.read(0, memory.size)
        try:
            await self.invoke(engine, "open_script", self.code)
            image, calls = compare(before, memory, _OPENED, MAX_IMAGE), call.host_calls
            await self._run(engine)
        except (GuestError, PermissionDenied):  # calls will say so
            return image
        asked = call.host_calls - calls - call.state.get(ASKED, 0)
        return image if asked else compare(before, memory, 0, MAX_IMAGE) or image

    async def begin(self, instance: Instance) -> ComponentInstance:
        """Bring the script into an instance, unless it is there; raises what its top level raises."""
        engine, call = _engine_of(instance)
        if call.state.get(_BEGUN) is None:
            if self.image is None:
                await self.invoke(engine, "open_script", self.code)
            else:
                self.image.restore(engine.memory_at(0))
            if self.image is None or self.image.function:
                await self._run(engine)
            call.state[_BEGUN] = True
        return engine

    async def _run(self, engine: ComponentInstance) -> None:
        answer = await self.invoke(engine, "run_script")
        if answer:
            raise _failure(answer, engine)

    async def invoke(self, engine: ComponentInstance, name: str, *arguments: bytes) -> bytes:
        """Call one of the engine's functions."""
        plans = self.engine.plans
        answer = await plans[name].call(engine, arguments, plans, kept=engine.kept)
        return b"" if answer is None else bytes(answer)


def _engine_of(instance: Instance) -> tuple[ComponentInstance, Call]:
    if not isinstance(instance, ComponentInstance) or instance.call is None:
        raise GuestError("the instance is none of a script's engine")
    return instance, instance.call


def read_script(wasm: bytes, digest: str, header: Header, engine: Loaded) -> LoadedPython:
    """Return a script that runs in `engine`; raises InvalidModule."""
    info = binary.parse(wasm)
    code = binary.custom_section(wasm, info, CODE)
    if code is None or not all(name in engine.plans for name in _EXPORTS):
        raise InvalidModule("the script has no code, or names an engine that is none")
    plans: dict[str, FunctionPlan] = {}
    script = LoadedPython(
        wasm, digest, info, Signature(language=LANGUAGE), plans, [], engine=engine, code=bytes(code)
    )
    for name, export in header.exports.items():
        plans[name] = PythonPlan(name, export, script)
    return script


class PythonPlan(HostedPlan):
    """How to call one function of a script."""

    __slots__ = ("_export", "_script")

    def __init__(self, name: str, export: Export, script: LoadedPython) -> None:
        self.function, self.name, self.encoded = function_of(name, export), name, name.encode()
        self.arity, self.returns, self.slots = -1, 1, 0
        self.simple, self.slow, self.fits = False, False, True
        self._export, self._script = export, script

    def check_callable(self) -> None:
        """Every function of a script can be called."""

    def check_count(self, arguments: Sequence[Any]) -> None:
        given, export = len(arguments), self._export
        most = len(export.params)
        if given < export.required or (given > most and not export.more):
            wanted = f"{export.required} to {most}" if export.required != most else f"{most}"
            wanted = f"at least {export.required}" if export.more else wanted
            plural = "" if wanted == "1" else "s"
            raise TypeError(f"{self.function} takes {wanted} argument{plural}, {given} given")

    def takes_pointers(self, count: int) -> bool:
        return False

    async def call(
        self, instance: Instance, arguments: Sequence[Any], plans: Mapping[str, FunctionPlan], *, kept: bool
    ) -> Any:
        self.check_count(arguments)
        try:
            request = self._request(arguments)
        except (TypeError, ValueError) as exc:
            raise type(exc)(f"{self.name}(): {exc}") from None
        return values.decode(await self._ask(instance, request))

    def _request(self, arguments: Sequence[Any]) -> bytes:
        if len(arguments) == 1 and type(arguments[0]) is str:
            return values.TEXT + self.encoded + b"\0" + values.encode(arguments[0])[1:]
        return values.encode([self.name, list(arguments)])

    async def _ask(self, instance: Instance, request: bytes) -> bytes:
        engine = await self._script.begin(instance)
        answer = await self._script.invoke(engine, "call_script", request)
        limit = instance.limits.output
        if len(answer) > limit + 1:
            raise OutputExceeded(
                f"the guest returned more than {limit} bytes (its output limit)", limit=limit
            )
        if answer[:1] == values.ERROR:
            raise _failure(answer, instance)
        return answer

    async def exchange(self, instance: Instance, request: bytes) -> bytes:
        reader = Reader(request, "request")
        reader.number()
        method, path, query = reader.text(), reader.text(), reader.text()
        headers = [[reader.text(), reader.text()] for _ in range(reader.number())]
        head = msgspec.json.encode([method, path, query, headers])
        content = values.FRAMED + struct.pack("<I", len(head)) + head + reader.content()
        answer = await self._ask(instance, content)
        try:
            size = int.from_bytes(answer[1:5], "little")
            status, pairs = msgspec.json.decode(answer[5 : 5 + size], type=tuple[int, list[tuple[str, str]]])
            if not 0 <= status <= 999:
                raise ValueError(f"{status} is no status")
        except (ValueError, msgspec.MsgspecError, RecursionError) as exc:
            raise GuestError(f"the script's response cannot be read: {exc}") from None
        writer = Writer()
        for number in (1, status, len(pairs)):
            writer.number(number)
        for name, value in pairs:
            writer.text(name)
            writer.text(value)
        writer.content(answer[5 + size :])
        return bytes(writer.buffer)


def _failure(answer: bytes, instance: Instance) -> GuestError:
    """Return the error for an exception that a script did not catch."""
    try:
        failed = msgspec.json.decode(answer[1:], type=Failed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        return GuestError(f"the script failed in a way that cannot be read: {exc}")
    if failed.memory:
        limit = instance.limits.memory
        return MemoryExceeded(f"the guest needs more than {limit} bytes of memory", limit=limit)
    if failed.exit is not None:
        return GuestExit(f"the script ended with status {failed.exit}", code=failed.exit)
    frames = [Frame(function, 0, 0, file, line) for file, line, function in reversed(failed.frames)]
    text = f"{failed.type}: {failed.message}" if failed.message else failed.type
    place = f" ({frames[0].file}:{frames[0].line}, in {frames[0].function})" if frames else ""
    return Trap(f"the script raised {text[:_MAX_MESSAGE]}{place}", code="exception", frames=frames)
