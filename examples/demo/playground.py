"""Compiling and running what a visitor typed: no permissions, tight limits, a few at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from echelon import Application, Limits
from echelon.console.calls import call_from_json
from echelon.console.problems import to_json
from echelon.console.values import outcome_to_json
from echelon.errors import Busy

LIMITS = Limits(memory="16MiB", time="500ms", output="32KiB", host_calls=1000)
AT_ONCE = 8
"""Runs in one process at the same time; the next one is told to come back."""
MAX_SOURCE = 32_768

Short = Annotated[str, msgspec.Meta(max_length=100)]


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page sends."""

    language: Literal["typescript", "wat"]
    source: Annotated[str, msgspec.Meta(max_length=MAX_SOURCE)]
    function: Short
    args: Annotated[list[Any], msgspec.Meta(max_length=16)] = []


class Playground:
    """Runs attempts, at most `AT_ONCE` of them side by side."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._running = 0

    async def run(self, attempt: Attempt) -> dict[str, Any]:
        """Compile and call; raises what the compiler, the guest or the runtime raises, and Busy."""
        if self._running >= AT_ONCE:
            raise Busy("the playground is busy; try again in a moment")
        self._running += 1
        try:
            return await self._run(attempt)
        finally:
            self._running -= 1

    async def _run(self, attempt: Attempt) -> dict[str, Any]:
        artifact = await self._app.generator.compile(attempt.source, attempt.language)
        module = await self._app.wasm.load(artifact.wasm, name="your module", limits=LIMITS)
        try:
            outcome = await call_from_json(module, attempt.function or None, attempt.args)
            answer = outcome_to_json(outcome)
            return {
                **answer,
                "text": msgspec.json.encode(answer["value"]).decode(),  # browsers round large integers
                "exports": [str(function) for function in module.exports()],
                "size": module.size,
                "cached": artifact.cached,
                "compile_ms": artifact.compile_ms,
                "diagnostics": to_json(artifact.diagnostics),
            }
        finally:
            module.close()
