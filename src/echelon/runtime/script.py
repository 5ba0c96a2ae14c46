"""Scripts: modules that hold the source of a script and the digest of the engine that runs it (see docs/abi.md).

Only the engine is compiled to native code, once for all scripts. A call gets a fresh instance of it with the memory of
one that has loaded the script (see script_image.py), and calls the function. What a script awaits, its questions to the
host, are answered between its turns, all that wait at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.errors import Busy, GuestError, InvalidModule
from echelon.runtime import binary, script_engine, script_image, script_map
from echelon.runtime.frames import Reader, Writer
from echelon.runtime.hosted import HostedPlan, LoadedHosted
from echelon.runtime.limits import Limits
from echelon.runtime.plans import FunctionPlan
from echelon.runtime.script_map import ScriptMap
from echelon.runtime.script_turns import Turns
from echelon.runtime.script_values import encode_value
from echelon.runtime.signature import Function, Signature, Value

if TYPE_CHECKING:
    from echelon.runtime.binary import ModuleInfo
    from echelon.runtime.instance import Instance
    from echelon.runtime.loader import Loaded
    from echelon.runtime.script_image import Image
    from echelon.runtime.script_questions import Questions

SECTION: Final = "echelon:script"
CODE: Final = "echelon:script.code"
VERSION: Final = 1
HANDLE: Final = "handle"
_LONG: Final = 1024
"""Characters of a text that goes beside the other arguments, as it is."""


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
    hold: int
    deliver: int
    resume: int


def pack(header: ScriptHeader, code: str, places: bytes | None = None) -> bytes:
    """Return the module that holds a script; `places` is what `script_map.encode` wrote."""
    wasm = binary.add_custom_section(binary.MAGIC, SECTION, msgspec.json.encode(header))
    wasm = binary.add_custom_section(wasm, CODE, code.encode())
    return wasm if places is None else binary.add_custom_section(wasm, script_map.SECTION, places)


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
    questions: Questions = field(kw_only=True)
    map: ScriptMap | None = field(kw_only=True)
    image: Image | None = field(default=None, kw_only=True)

    async def get_ready(self, open_instance: Callable[[Limits], Awaitable[Instance]]) -> None:
        """Make the image that calls begin with."""
        memory = self.engine.minimum_memory + script_image.MEMORY
        try:
            instance = await open_instance(Limits(memory=memory, time=script_image.SECONDS))
        except (GuestError, Busy):  # calls will say so
            return
        try:
            self.image = await script_image.make(Turns(instance, self), instance)
        finally:
            instance.close()
        if self.image is not None:
            self.minimum_memory = self.image.size


def read_script(
    wasm: bytes, digest: str, header: ScriptHeader, engine: Loaded, questions: Questions
) -> LoadedScript:
    """Return a script that runs in `engine`; raises InvalidModule."""
    info: ModuleInfo = binary.parse(wasm)
    content = binary.custom_section(engine.wasm, engine.info, script_engine.SECTION)
    code = binary.custom_section(wasm, info, CODE)
    places_of = binary.custom_section(wasm, info, script_map.SECTION)
    if content is None or code is None:
        raise InvalidModule("the script has no code, or names an engine that is none")
    places = msgspec.json.decode(content, type=Places)
    plans: dict[str, FunctionPlan] = {}
    script = LoadedScript(
        wasm, digest, info, Signature(language=header.language), plans, [], engine=engine, places=places, code=code,
        questions=questions, map=None if places_of is None else ScriptMap(places_of),
    )  # fmt: skip
    for name, params in header.exports.items():
        plans[name] = ScriptPlan(name, params, script)
    return script


class ScriptPlan(HostedPlan):
    """How to call one function of a script. It takes as many arguments as the caller gives, as JavaScript has it."""

    __slots__ = ("_script",)

    def __init__(self, name: str, params: Sequence[str], script: LoadedScript) -> None:
        values = tuple(Value("json", param) for param in params)
        self.function, self.name, self.encoded = Function(name, values, (Value("json"),)), name, name.encode()
        self.arity, self.returns, self.slots = -1, 1, 0
        self.simple, self.slow, self.fits = False, False, True
        self._script = script

    def check_callable(self) -> None:
        """Every function of a script can be called."""

    def check_count(self, arguments: Sequence[Any]) -> None:
        """A function of JavaScript takes any number of arguments."""

    def takes_pointers(self, count: int) -> bool:
        return False

    async def call(
        self, instance: Instance, arguments: Sequence[Any], plans: Mapping[str, FunctionPlan], *, kept: bool
    ) -> Any:
        values, places, held = list(arguments), [], []
        for place, value in enumerate(values):
            if isinstance(value, str) and len(value) >= _LONG:
                places.append(place)
                held.append(_utf8(value, f"{self.name}() argument {place + 1}"))
                values[place] = None
        text = encode_value([self.name, values, places], f"{self.name}()")
        return await Turns(instance, self._script).run("call", text, held)

    async def exchange(self, instance: Instance, request: bytes) -> bytes:
        """Answer an HTTP request: a request buffer in, a response buffer out (see http_guest.py)."""
        reader = Reader(request, "request")
        reader.number()
        method, path, query = reader.text(), reader.text(), reader.text()
        headers = [[reader.text(), reader.text()] for _ in range(reader.number())]
        url = f"{path}?{query}" if query else path
        body: bytes | None = reader.content()
        held = [body] if body and _is_text(body) else []
        text = encode_value([method, url, headers, None if held or not body else body], "the request")
        answer = await Turns(instance, self._script).run("handle", text, held)
        writer = Writer()
        try:
            status, pairs, content = answer
            for number in (1, int(status), len(pairs)):
                writer.number(number)
            for name, value in pairs:
                writer.text(name)
                writer.text(value)
            writer.content(content)
        except Exception as exc:  # a script may have changed anything
            raise GuestError(f"the script's response cannot be read: {exc}") from None
        return bytes(writer.buffer)


def _utf8(text: str, where: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{where}: the text has half of a surrogate pair") from None


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
