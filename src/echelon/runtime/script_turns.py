"""How a script is called: its turns in an instance of the engine, and the answers it waits for between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import msgspec

from echelon.errors import DeadlineExceeded, GuestError, MemoryExceeded, OutputExceeded
from echelon.runtime.script_host import PLACE
from echelon.runtime.script_values import decode_answer, decode_value, encode_value, thrown

if TYPE_CHECKING:
    from echelon.runtime.host import Call
    from echelon.runtime.instance import Instance
    from echelon.runtime.memory import Memory
    from echelon.runtime.script import LoadedScript


class Turns:
    """A call of a script: its turns, and between them the answers it waits for."""

    def __init__(self, instance: Instance, script: LoadedScript) -> None:
        self._instance, self._script, self._questions = instance, script, script.questions
        self._places = script.places
        self._plans = script.engine.plans

    async def within_time(self, work: Awaitable[Any]) -> Any:
        limit = self._instance.limits.time
        try:
            async with asyncio.timeout(limit):
                return await work
        except TimeoutError:
            raise DeadlineExceeded(f"the guest ran longer than {limit} s", limit=limit) from None

    async def run(self, port: str, text: bytes) -> Any:
        call = self._instance.call
        if call is not None and PLACE not in call.state:
            self.attach(call)
            await self._begin()
        return await self._settle(await self._ask(port, text))

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
        code = b"(function(module,exports,require){" + self._script.code + b"\n})"
        place = await self._put(code)
        function = await self._engine("qjs_eval", place, len(code), self._places.filename, 0)
        await self._check(function)
        await self._engine("wasm_free", place)
        return function

    async def run_script(self, function: int) -> None:
        """Let the script run, which makes its functions."""
        await self._settle(await self._call(self._places.load, function))

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
            return decode_answer(answer, self._instance.limits)
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
            raise MemoryExceeded(
                f"the guest needs more than its limit of {limit} bytes of memory", limit=limit
            )
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
        raise thrown("", message, "", self._instance.limits)
