"""Scripts: modules that hold the source of a script and the digest of the engine that runs it (see docs/abi.md).

Only the engine is compiled to native code, once for all scripts. A call gets a fresh instance of it, loads the script
there and calls the function. What a script awaits, its questions to the host, are answered between its turns, all that
wait at once.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.errors import DeadlineExceeded, GuestError, InvalidModule, MemoryExceeded, OutputExceeded, Trap
from echelon.runtime import binary, json_values, script_engine
from echelon.runtime.frames import Reader, Writer
from echelon.runtime.hosted import LoadedHosted
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.script_host import PLACE
from echelon.runtime.signature import Function, Signature, Value

if TYPE_CHECKING:
    from echelon.runtime.binary import ModuleInfo
    from echelon.runtime.instance import Instance
    from echelon.runtime.loader import Loaded
    from echelon.runtime.memory import Memory
    from echelon.runtime.script_questions import Questions

SECTION: Final = "echelon:script"
CODE: Final = "echelon:script.code"
VERSION: Final = 1
HANDLE: Final = "handle"
LOADED: Final = "echelon.script"
_BYTES: Final = "$bytes"
_INTEGER: Final = "$int"
_SAFE: Final = 1 << 53


class ScriptHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What the section `echelon:script` says; `exports` are names of functions and of their parameters."""

    version: int
    language: str
    engine: str
    exports: dict[str, list[str]]


class Places(msgspec.Struct, forbid_unknown_fields=True):
    """Where the parts of an engine lie in its memory."""

    mailbox: int
    cells: int
    filename: int
    nothing: int
    load: int
    call: int
    handle: int
    deliver: int
    poll: int


def pack(header: ScriptHeader, code: str) -> bytes:
    """Return the module that holds a script."""
    wasm = binary.add_custom_section(binary.MAGIC, SECTION, msgspec.json.encode(header))
    return binary.add_custom_section(wasm, CODE, code.encode())


def read_header(wasm: bytes) -> ScriptHeader | None:
    """Return the header of a module that is a script, None for any other; raises InvalidModule."""
    if wasm[:8] != binary.MAGIC or SECTION.encode() not in wasm[:64]:
        return None
    content = binary.custom_section(wasm, binary.parse(wasm), SECTION)
    if content is None:
        return None
    try:
        header = msgspec.json.decode(content, type=ScriptHeader)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidModule(f"the {SECTION} section is malformed: {exc}") from exc
    if header.version != VERSION:
        raise InvalidModule(f"the script has version {header.version}, this Echelon reads {VERSION}")
    return header


@dataclass(slots=True)
class LoadedScript(LoadedHosted):
    """A script, with where its engine's parts lie."""

    places: Places = field(kw_only=True)
    code: bytes = field(kw_only=True)


def read_script(
    wasm: bytes, digest: str, header: ScriptHeader, engine: Loaded, questions: Questions
) -> LoadedScript:
    """Return a script that runs in `engine`; raises InvalidModule."""
    info: ModuleInfo = binary.parse(wasm)
    content = binary.custom_section(engine.wasm, engine.info, script_engine.SECTION)
    code = binary.custom_section(wasm, info, CODE)
    if content is None or code is None:
        raise InvalidModule("the script has no code, or names an engine that is none")
    places = msgspec.json.decode(content, type=Places)
    plans: dict[str, FunctionPlan] = {}
    script = LoadedScript(
        wasm, digest, info, Signature(language=header.language), plans, [], engine=engine, places=places, code=code
    )  # fmt: skip
    for name, params in header.exports.items():
        plans[name] = ScriptPlan(name, params, script, questions)
    return script


class ScriptPlan(FunctionPlan):
    """How to call one function of a script. It takes as many arguments as the caller gives, as JavaScript has it."""

    __slots__ = ("_questions", "_script")

    def __init__(self, name: str, params: Sequence[str], script: LoadedScript, questions: Questions) -> None:
        values = tuple(Value("json", param) for param in params)
        self.function, self.name, self.encoded = Function(name, values, (Value("json"),)), name, name.encode()
        self.arity, self.returns, self.slots = -1, 1, 0
        self.simple, self.slow, self.fits = False, False, True
        self._script, self._questions = script, questions

    def check_callable(self) -> None:
        """Every function of a script can be called."""

    def check_count(self, arguments: Sequence[Any]) -> None:
        """A function of JavaScript takes any number of arguments."""

    def takes_pointers(self, count: int) -> bool:
        return False

    async def call(
        self, instance: Instance, arguments: Sequence[Any], plans: Mapping[str, FunctionPlan], *, kept: bool
    ) -> Any:
        text = encode_value([self.name, list(arguments)], f"{self.name}()")
        turns = _Turns(instance, self._script, self._questions)
        return await turns.within_time(turns.run("call", text))

    async def exchange(self, instance: Instance, request: bytes) -> bytes:
        """Answer an HTTP request: a request buffer in, a response buffer out (see http_guest.py)."""
        reader = Reader(request, "request")
        reader.number()
        method, path, query = reader.text(), reader.text(), reader.text()
        headers = [[reader.text(), reader.text()] for _ in range(reader.number())]
        url = f"{path}?{query}" if query else path
        text = encode_value([method, url, headers, reader.content()], "the request")
        turns = _Turns(instance, self._script, self._questions)
        answer = await turns.within_time(turns.run("handle", text))
        writer = Writer()
        try:
            status, pairs, body = answer
            for number in (1, int(status), len(pairs)):
                writer.number(number)
            for name, value in pairs:
                writer.text(name)
                writer.text(value)
            writer.content(body if isinstance(body, bytes) else str(body).encode())
        except Exception as exc:  # a script may have changed anything
            raise GuestError(f"the script's response cannot be read: {exc}") from None
        return bytes(writer.buffer)


class _Turns:
    """A call of a script: its turns, and between them the answers it waits for."""

    def __init__(self, instance: Instance, script: LoadedScript, questions: Questions) -> None:
        self._instance, self._script, self._places, self._questions = (
            instance,
            script,
            script.places,
            questions,
        )
        self._plans = script.engine.plans

    async def within_time(self, work: Awaitable[Any]) -> Any:
        limit = self._instance.limits.time
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError:
            raise DeadlineExceeded(f"the guest ran longer than {limit} s", limit=limit) from None

    async def run(self, port: str, text: bytes) -> Any:
        state = self._instance.call.state if self._instance.call is not None else {}
        if state.get(LOADED) is None:
            state[PLACE] = self._places.mailbox
            await self._load()
            state[LOADED] = _Loaded()
        return await self._settle(await self._ask(port, text))

    async def _load(self) -> None:
        code = b"(function(module,exports,require){" + self._script.code + b"\n})"
        place = await self._put(code)
        script = await self._engine("qjs_eval", place, len(code), self._places.filename, 0)
        await self._check(script)
        await self._settle(await self._call(self._places.load, script))

    async def _settle(self, answer: bytes) -> Any:
        """Give the script turns until it has settled, and answer what it asks between them."""
        waiting: set[asyncio.Task[bytes]] = set()
        try:
            while answer[:1] == b"3":
                asked = msgspec.json.decode(answer[1:], type=list[tuple[int, str, str]])
                waiting |= {asyncio.ensure_future(self._answer(*question)) for question in asked}
                if not await self._jobs():
                    if not waiting:
                        raise GuestError("the script waits for something that will never happen")
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        await self._ask("deliver", task.result())
                answer = await self._ask("poll", None)
            return _decode(answer)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _jobs(self) -> bool:
        """Run what promises have in their queue; tell whether there was anything."""
        ran = False
        while await self._engine("qjs_is_job_pending"):
            ran = True
            await self._engine("qjs_execute_pending_job")
            if self._instance.spent > self._instance.limits.time:
                raise TimeoutError
        return ran

    async def _answer(self, number: int, operation: str, text: str) -> bytes:
        call = self._instance.call
        if call is None:
            raise GuestError("the script has no host")
        call.count()
        good, value = await self._questions.answer(call, operation, decode_value(text.encode()))
        return encode_value([number, good, value], "the host's answer")

    # --- the engine ---

    async def _engine(self, name: str, *arguments: int) -> int:
        plan = self._plans[name]
        plan.put(self._instance, arguments)
        await self._instance.invoke(plan)
        value = plan.get(self._instance)
        return 0 if value is None else int(value) & 0xFFFF_FFFF

    @property
    def _memory(self) -> Memory:
        memory = self._instance.memory
        if memory is None:
            raise GuestError("the engine has no memory")
        return memory

    async def _put(self, content: bytes) -> int:
        place = await self._engine("wasm_malloc", len(content) + 1)
        if not place:
            limit = self._instance.limits.memory
            raise MemoryExceeded(f"the guest needs more than {limit} bytes of memory", limit=limit)
        self._memory.write(place, content + b"\0")
        return place

    async def _ask(self, port: str, text: bytes | None) -> bytes:
        function = int(getattr(self._places, port))
        if text is None:
            return await self._call(function, None)
        place = await self._put(text)
        argument = await self._engine("qjs_new_string", place, len(text))
        await self._engine("wasm_free", place)
        return await self._call(function, argument)

    async def _call(self, function: int, argument: int | None) -> bytes:
        places = self._places
        self._memory.write_u32(places.cells, argument or 0)
        found = await self._engine("qjs_call", function, places.nothing, argument is not None, places.cells)
        await self._check(found)
        text = await self._text(found)
        for value in (found,) if argument is None else (found, argument):
            await self._engine("qjs_free_value", value)
        return text

    async def _text(self, value: int) -> bytes:
        text = await self._engine("qjs_get_string_len", value, self._places.cells)
        size = self._memory.read_u32(self._places.cells)
        limit = self._instance.limits.output
        if size > limit:
            raise OutputExceeded(
                f"the guest returned more than {limit} bytes (its output limit)", limit=limit
            )
        content = self._memory.read(text, size) if text else b""
        await self._engine("qjs_free_cstring", text)
        return content

    async def _check(self, value: int) -> None:
        """Raise what the engine threw outside of the host script: too deep a stack, or no memory left."""
        if not await self._engine("qjs_is_exception", value):
            return
        error = await self._engine("qjs_get_exception")
        message = (await self._text(error)).decode("utf-8", "replace")
        raise _thrown("", message, "")


class _Loaded:
    """Marks an instance in which the script has been loaded."""


def encode_value(value: Any, where: str) -> bytes:
    """Return a value as the host script reads it; raises TypeError or ValueError that says `where` it is."""
    try:
        special, plain = _lower(value)
        return (b"1" if special else b"0") + json_values.encode(plain)
    except (TypeError, ValueError) as exc:
        raise type(exc)(f"{where}: {exc}") from None


def _lower(value: Any) -> tuple[bool, Any]:
    """Write bytes and large numbers as JSON can, and tell whether there were any."""
    if isinstance(value, bytes | bytearray | memoryview):
        return True, {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return True, {_INTEGER: str(value)}
    if isinstance(value, list | tuple):
        pairs = [_lower(item) for item in value]
        return any(special for special, _ in pairs), [item for _, item in pairs]
    if isinstance(value, dict):
        named = {key: _lower(item) for key, item in value.items()}
        return any(special for special, _ in named.values()), {key: item for key, (_, item) in named.items()}
    return False, value


def decode_value(text: bytes) -> Any:
    """Read a value of the host script; raises GuestError."""
    value = json_values.decode(text[1:])
    return _lift(value) if text[:1] == b"1" else value


def _lift(value: Any) -> Any:
    if isinstance(value, list):
        return [_lift(item) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        if len(value) == 1 and isinstance(value.get(_BYTES), str):
            return base64.b64decode(value[_BYTES], validate=True)
        if len(value) == 1 and isinstance(value.get(_INTEGER), str):
            return int(value[_INTEGER])
    except ValueError as exc:
        raise GuestError(f"the script returned a value that cannot be read: {exc}") from None
    return {key: _lift(item) for key, item in value.items()}


class _Thrown(msgspec.Struct):
    name: str = ""
    message: str = ""
    stack: str = ""


def _decode(answer: bytes) -> Any:
    if answer[:1] != b"2":
        return decode_value(answer)
    found = msgspec.json.decode(answer[1:], type=_Thrown)
    raise _thrown(found.name, found.message, found.stack)


def _thrown(name: str, message: str, stack: str) -> GuestError:
    """Return the error for what a script threw and did not catch."""
    text = f"{name}: {message}" if name else message or "an error without a message"
    lines = [line.strip() for line in stack.splitlines() if "echelon:host" not in line and line.strip()]
    place = f" ({'; '.join(lines[:8])})" if lines else ""
    return Trap(f"the script threw {text[:4096]}{place[:2048]}", code="exception")
