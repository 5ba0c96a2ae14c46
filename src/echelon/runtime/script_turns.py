"""How a script is called: its turns in an instance of the engine, and the answers it waits for between them."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from echelon.errors import DeadlineExceeded, GuestError, OutputExceeded
from echelon.runtime.script_host import MAILBOX, PLACE
from echelon.runtime.script_values import (
    WAITING,
    decode_answer,
    decode_value,
    encode_value,
    out_of_memory,
    read_questions,
    thrown,
)

if TYPE_CHECKING:
    from echelon.runtime.host import Call
    from echelon.runtime.instance import Instance
    from echelon.runtime.memory import Memory
    from echelon.runtime.script import LoadedScript

_STRING: Final = 0xFFFF_FFF9
_EXCEPTION: Final = 6
"""Tags of the engine's values: a text in one piece, and what says that something was thrown."""

_WIDE: Final = 1 << 31
"""The bit of a text's length that says that its characters have two bytes each."""

_KIND: Final = 3 << 28
"""The bits that are set where a text is a part of another."""

_CHARACTERS: Final = 24
"""Where in a text its characters begin."""


class Turns:
    """A call of a script: its turns, and between them the answers it waits for."""

    def __init__(self, instance: Instance, script: LoadedScript) -> None:
        self._instance, self._script, self._questions = instance, script, script.questions
        self._places = script.places
        self._plans, self._began = script.engine.plans, perf_counter()

    async def run(self, port: str, text: bytes, held: Sequence[bytes] = ()) -> Any:
        """Let the script answer a call; `held` are texts that go beside it, as they are."""
        call = self._instance.call
        if call is not None and PLACE not in call.state:
            self.attach(call)
            await self._begin()
        for one in held:
            await self._turn(self._places.hold, one)
        return await self._settle(await self._turn(getattr(self._places, port), text))

    def attach(self, call: Call) -> None:
        """Tell the host's functions where this engine has its mailbox."""
        call.state[PLACE] = self._places.mailbox

    async def _begin(self) -> None:
        """Make the script ready in a fresh instance."""
        image = self._script.image
        if image is None:
            await self.run_script(await self.parse())
            return
        image.restore(self._memory)
        if image.function:
            await self.run_script(image.function)

    async def parse(self) -> int:
        """Return the script as a function that is still to be called."""
        code = b"(function(module,exports,require){\n" + self._script.code + b"\n})"
        place = await self._put(code)
        function = await self._engine("qjs_eval", place, len(code), self._places.filename, 0)
        if await self._engine("qjs_is_exception", function):
            raise await self._failure()
        await self._engine("wasm_free", place)
        return function

    async def run_script(self, function: int) -> None:
        """Let the script run, which makes its functions."""
        places = self._places
        self._memory.write_u32(places.mailbox, function)
        found = await self._engine("qjs_call", places.load, places.nothing, 1, places.mailbox)
        if await self._engine("qjs_is_exception", found):
            raise await self._failure()
        await self._settle(await self._turn(places.resume, b""))

    async def _settle(self, answer: str) -> Any:
        """Answer what the script asks until it has settled, and return what it settled with."""
        if answer[:1] == WAITING:
            answer = await self._within_time(answer)
        return decode_answer(answer, self._instance.limits, self._script.map)

    async def _within_time(self, answer: str) -> str:
        instance = self._instance
        limit = instance.limits.time
        try:
            async with asyncio.timeout(limit - (perf_counter() - self._began)) as instance.bound:
                return await self._answer_all(answer)
        except TimeoutError:
            raise DeadlineExceeded(f"the guest ran longer than {limit} s", limit=limit) from None
        finally:
            instance.bound = None

    async def _answer_all(self, answer: str) -> str:
        waiting: set[asyncio.Task[bytes]] = set()
        try:
            while answer[:1] == WAITING:
                waiting |= {asyncio.ensure_future(self._answer(*asked)) for asked in read_questions(answer)}
                if not waiting:
                    raise GuestError("the script waits for something that will never happen")
                if not any(task.done() for task in waiting):
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                task = next(task for task in waiting if task.done())
                waiting.remove(task)
                answer = await self._turn(self._places.deliver, task.result())
            return answer
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _answer(self, number: int, operation: str, text: str) -> bytes:
        call = self._instance.call
        if call is None:
            raise GuestError("the script has no host")
        call.count()
        good, value = await self._questions.answer(call, operation, decode_value(text))
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
            raise out_of_memory(self._instance.limits)
        self._memory.write(place, content + b"\0")
        return place

    async def _turn(self, function: int, text: bytes) -> str:
        """Call a function of the port with a text, run what its promises wait with, and return what it answers."""
        short = len(text) <= MAILBOX
        place = self._places.mailbox if short else await self._put(text)
        if short:
            self._memory.write(place, text)
        tag = await self._engine("script_turn", function, place, len(text), self._places.cells)
        if not short:
            await self._engine("wasm_free", place)
        if tag == _EXCEPTION:
            raise await self._failure()
        return await self._text(self._places.cells, flat=tag == _STRING)

    async def _text(self, value: int, *, flat: bool) -> str:
        """Read a text where the engine has it; one that lies in pieces is put together by the engine first."""
        memory = self._memory
        if flat:
            place = memory.read_u32(value)
            length, kind = struct.unpack("<II", memory.read(place, 8))
            if not kind & _KIND:
                wide = length >> 31
                content = memory.read(place + _CHARACTERS, self._bounded((length & ~_WIDE) << wide))
                return content.decode("utf-16-le", "replace") if wide else content.decode("latin-1")
        cells = self._places.cells + 8
        text = await self._engine("qjs_get_string_len", value, cells)
        content = memory.read(text, self._bounded(memory.read_u32(cells))) if text else b""
        await self._engine("qjs_free_cstring", text)
        return content.decode("utf-8", "replace")

    def _bounded(self, size: int) -> int:
        limit = self._instance.limits.output
        if size > limit:
            text = f"the guest returned more than {limit} bytes (its output limit)"
            raise OutputExceeded(text, limit=limit)
        return size

    async def _failure(self) -> GuestError:
        """Return what the engine threw outside of the host script: too deep a stack, or no memory left."""
        error = await self._engine("qjs_get_exception")
        return thrown("", await self._text(error, flat=False), (), self._instance.limits)
