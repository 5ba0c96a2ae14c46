"""What is fuzzed, each as a function of bytes; shared by the hypothesis tests and the atheris harness.

A target returns normally for whatever the product may answer, and raises for everything else. The engine itself is not
among them: it compiles in a process of its own, and the hostile tests give it what these let through. It is asked
whether it takes what our own compiler makes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import wasmtime

from echelon.errors import (
    EchelonError,
    Frame,
    GuestError,
    InvalidModule,
    KvStorageError,
    KvValueError,
    LinkError,
    OutputExceeded,
)
from echelon.kv import v8
from echelon.kv.limits import MAX_VALUE_BYTES
from echelon.plugin.compilers.python.compiler import translate
from echelon.runtime import binary, declarations, demangle, dwarf, http_guest, lines, signature
from echelon.runtime.abi import Guest
from echelon.runtime.assemblyscript import AssemblyScript
from echelon.runtime.assemblyscript_env import AssemblyScriptEnv
from echelon.runtime.component.loading import LoadedComponent, read_component
from echelon.runtime.demangle.cursor import MAX_WORK
from echelon.runtime.frames import Reader
from echelon.runtime.guest_kit import GuestKit
from echelon.runtime.guest_kv import read_key
from echelon.runtime.host import HostModule
from echelon.runtime.linear import Answer, Reading
from echelon.runtime.loader import Loaded, read_module
from echelon.runtime.memory import OutOfBounds
from echelon.runtime.signature import Value
from echelon.runtime.wasi import Wasi

ROOM = 16 << 10
"""Bytes that a guest may return to the codec's targets."""

V8_EXPANSION = 100
"""How much larger than its bytes, or than the largest value, a value of JavaScript may become."""

_PROVIDERS: tuple[HostModule, ...] = (Wasi(), GuestKit(), AssemblyScriptEnv())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, without an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("the codec waited")


# Modules ------------------------------------------------------------------------------------------------


def load(data: bytes) -> Loaded | None:
    """Read the declarations of a module: it is one, or it is refused with our own error of one line or two."""
    try:
        return read_module(data, "sha256:" + "0" * 64, _PROVIDERS)
    except (InvalidModule, LinkError) as exc:
        message = str(exc)
        if not message:
            raise AssertionError("an error without a message") from exc
        return None


def module(data: bytes) -> None:
    """The same for bytes behind the magic number, which fuzzers take long to find."""
    loaded = load(binary.MAGIC + data)
    if loaded is not None:
        for plan in loaded.plans.values():
            with contextlib.suppress(TypeError):
                plan.check_callable()
        loaded.exports()
        for start, end in loaded.info.bodies[:8]:
            with contextlib.suppress(InvalidModule):  # no engine has validated these bodies
                binary.grows_memory(loaded.wasm, loaded.info, (start + end) // 2)


def component(data: bytes) -> LoadedComponent | None:
    """Read a component behind its magic number, and write what would be appended to it."""
    try:
        loaded = read_component(binary.COMPONENT_MAGIC + data, "sha256:" + "0" * 64, ())
    except InvalidModule as exc:
        if not str(exc):
            raise AssertionError("an error without a message") from exc
        return None
    if any(len(binary.edited(loaded.wasm, edits)) > (4 << 20) + len(data) for edits in loaded.forms):
        raise AssertionError("an appendix without end")
    return loaded


# Signatures ---------------------------------------------------------------------------------------------


def typed(data: bytes) -> None:
    """Read a signature: it is one and survives being written again, or it is refused."""
    try:
        found = signature.decode(data)
    except ValueError:
        return
    again = signature.decode(signature.encode(found))
    if again != found:
        raise AssertionError(f"{found} was written as {again}")


def declared(data: bytes) -> None:
    """Read a signature in one line: it is one and survives being written again, or it is refused."""
    try:
        found = declarations.parse(data.decode("utf-8", "replace"))
    except ValueError:
        return
    if declarations.parse(str(found)) != found:
        raise AssertionError(f"{found} was written as {found}")


# The memory codec ---------------------------------------------------------------------------------------


class CodecMemory:
    """A guest's memory that is a bytearray, with the checks of the real one."""

    def __init__(self, content: bytes) -> None:
        self.bytes = bytearray(content)

    @property
    def size(self) -> int:
        return len(self.bytes)

    def _check(self, pointer: int, length: int) -> None:
        if pointer < 0 or length < 0 or pointer + length > len(self.bytes):
            raise OutOfBounds(f"{length} bytes at {pointer}")

    def read(self, pointer: int, length: int) -> bytes:
        self._check(pointer, length)
        return bytes(self.bytes[pointer : pointer + length])

    def write(self, pointer: int, data: bytes) -> None:
        self._check(pointer, len(data))
        self.bytes[pointer : pointer + len(data)] = data

    def read_u32(self, pointer: int) -> int:
        return int.from_bytes(self.read(pointer, 4), "little")


class CodecGuest(Guest):
    """A guest without an engine: allocates in a row, with the header that its language puts before each object."""

    def __init__(self, content: bytes = b"", room: int = ROOM) -> None:
        self.pinned = []
        self.room = room
        self.instance = _Limited(CodecMemory(content), room)  # type: ignore[assignment]
        self._plans = {}

    def has(self, export: str) -> bool:
        return export in ("__new", "__pin", "__unpin", "__collect")

    async def call(self, export: str, *arguments: int) -> int:
        if export != "__new":
            return arguments[0] if arguments else 0
        size, number = arguments
        memory = self.instance.memory.bytes  # type: ignore[union-attr]
        memory += number.to_bytes(4, "little") + size.to_bytes(4, "little")
        pointer = len(memory)
        memory += bytes(size + -size % 8)
        return pointer


class _Limits:
    def __init__(self, output: int) -> None:
        self.output = output


class _Limited:
    """As much of an instance as the codec looks at."""

    def __init__(self, memory: CodecMemory, output: int) -> None:
        self.memory, self.limits = memory, _Limits(output)


def weigh(value: Any) -> int:
    """Return how many bytes of a guest's memory a value stands for, at the least."""
    if isinstance(value, bytes | str):
        return len(value)
    return sum(max(1, weigh(item)) for item in value) if isinstance(value, list) else 0


def lift(wire: Any, pointer: int, content: bytes) -> Any:
    """Read a value from a guest's memory of any content: within its output limit, or not at all."""
    try:
        value = run(AssemblyScript().lift(CodecGuest(content), wire, pointer))
    except (GuestError, OutputExceeded, InvalidModule):
        return None
    if weigh(value) > ROOM:
        raise AssertionError(f"a value of {weigh(value)} bytes passed a limit of {ROOM}")
    return value


def codec(data: bytes) -> None:
    """Lift by a wire and a pointer that the bytes begin with, as JSON, from the memory that follows a zero byte."""
    head, _, content = data.partition(b"\0")
    try:
        wire, pointer = json.loads(head)
    except (ValueError, TypeError, RecursionError):
        wire, pointer = {"kind": "array", "id": 1, "item": {"kind": "string", "id": 2}}, len(head)
        content = data
    if isinstance(pointer, int) and not isinstance(pointer, bool) and 0 <= pointer < 1 << 32:
        lift(wire, pointer, content)


def there_and_back(wire: Any, value: Any) -> Any:
    """Lower a value into an empty guest and lift it again."""
    guest = CodecGuest(bytes(16), room=1 << 30)

    async def work() -> Any:
        abi = AssemblyScript()
        return await abi.lift(guest, wire, await abi.lower(guest, wire, value))

    return run(work())


def linear(kinds: Sequence[str], raw: int, content: bytes) -> Any:
    """Read results of these types, of which there may be none, from a guest's memory of any content."""
    try:
        answer = Answer([Value(kind) for kind in kinds])
    except ValueError:
        return None
    if not answer.in_memory:
        return None
    try:
        value = answer.read(Reading(CodecMemory(content), ROOM), raw)  # type: ignore[arg-type]  # `read` is all it needs
    except GuestError:
        return None
    if weigh(list(value) if isinstance(value, tuple) else value) > ROOM:
        raise AssertionError(f"a value of {weigh(value)} bytes passed a limit of {ROOM}")
    return value


def plain(data: bytes) -> None:
    """Read by types and an address, which the bytes begin with as JSON, from the memory that follows a zero byte."""
    head, _, content = data.partition(b"\0")
    try:
        kinds, raw = json.loads(head)
    except (ValueError, TypeError, RecursionError):
        kinds, raw, content = ["list<list<str>>"], len(head) << 32 | 4, data
    texts = isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds)
    if texts and isinstance(raw, int) and 0 <= raw < 1 << 64:
        linear(kinds, raw, content)


# What guests answer -------------------------------------------------------------------------------------


def response(data: bytes) -> None:
    """Read the response of an HTTP guest, and a key of the store: ours, or refused."""
    with contextlib.suppress(GuestError):
        answer = http_guest.decode_response(data)
        if not 200 <= answer.status <= 599:
            raise AssertionError(answer.status)
    with contextlib.suppress(EchelonError):
        read_key(Reader(data, "key"))


# What modules say of their source --------------------------------------------------------------------------

_SECTIONS = (dwarf.SECTION, ".debug_line_str", ".debug_str")


def tables(data: bytes) -> None:
    """Look places up in a line table: each has a path and a line, or there is none, within the steps there are."""
    found = dwarf.LineTables(data, dict.fromkeys(_SECTIONS, (0, len(data))))
    for _ in range(3):
        before = found._life
        for path, line in found.find((*range(1, 40), 1 << 16, (1 << 32) - 1)).values():
            if not path or line <= 0:
                raise AssertionError(f"{path}:{line} is no place")
        if not before - dwarf.MAX_STEPS <= found._life <= before:
            raise AssertionError(f"{before - found._life} steps were taken")


def source(data: bytes) -> None:
    """The same through a module that has these bytes as a section, of either kind, and what is shown of it."""
    for section in (*_SECTIONS[:1], lines.SECTION):
        wasm = binary.add_custom_section(binary.MAGIC, section, data)
        frames = tuple(Frame("f", 0, offset) for offset in (0, 9, 20, 1 << 20))
        for frame in lines.locate(wasm, binary.parse(wasm), frames):
            if len(frame.file or "") > 256 or not str(frame).isprintable():
                raise AssertionError(frame)


def name(data: bytes) -> None:
    """Read the name of a function: it comes out as a text of bounded length."""
    text = data.decode("utf-8", "replace")
    for prefix in ("", "_R", "_Z", "_ZN"):
        found = demangle.demangle(prefix + text)
        if len(found) > max(MAX_WORK, len(prefix + text)):
            raise AssertionError(f"a name of {len(found)} characters")
        found.encode()


# Values of JavaScript ---------------------------------------------------------------------------------


def stored(data: bytes) -> Any:
    """Read a value in V8's form: of a bounded size and fit to be stored again, or refused as damaged or foreign."""
    try:
        value = v8.decode(data)
    except (KvStorageError, KvValueError):
        return None
    again = v8.encode(value)
    if len(again) > V8_EXPANSION * max(len(data), MAX_VALUE_BYTES):
        raise AssertionError(f"{len(data)} bytes became {len(again)}")
    v8.decode(again)
    return value


def v8_value(data: bytes) -> None:
    """The same for bytes behind a header."""
    stored(data)
    for version in (13, 16):
        stored(bytes((0xFF, version)) + data)


# Source of Python -----------------------------------------------------------------------------------------


@functools.cache
def _engine() -> wasmtime.Engine:
    return wasmtime.Engine()


def typed_python(data: bytes) -> bytes | None:
    """Compile a program: to a module that the engine takes, or to one error at a place in the program."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    made = translate(text, "program.py")
    if made.wasm is not None:
        wasmtime.Module.validate(_engine(), made.wasm)
        return made.wasm
    [problem] = made.diagnostics
    lines = re.split("\r\n|\r|\n", text)
    if not (1 <= problem.line <= len(lines) and 1 <= problem.column <= len(lines[problem.line - 1]) + 2):
        raise AssertionError(f"{problem.line}:{problem.column} is no place: {problem.message}")
    if not problem.message or problem.severity != "error":
        raise AssertionError(problem)
    return None


TARGETS: dict[str, Callable[[bytes], object]] = {
    "load": load,
    "module": module,
    "component": component,
    "typed": typed,
    "declared": declared,
    "codec": codec,
    "plain": plain,
    "response": response,
    "tables": tables,
    "source": source,
    "name": name,
    "v8_value": v8_value,
    "typed_python": typed_python,
}
"""Every target by the name that the harness takes."""


if __name__ == "__main__":  # `python fuzz_targets.py TARGET FILE…` runs a target on what a fuzzer has kept
    for path in sys.argv[2:]:
        with open(path, "rb") as kept:
            TARGETS[sys.argv[1]](kept.read())
