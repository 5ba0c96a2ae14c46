"""Compiling and running what a visitor typed: tight limits, a few at a time, few permissions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from echelon import Application, Limits, Permissions
from echelon.console.calls import call_from_json
from echelon.console.problems import to_json
from echelon.console.values import outcome_to_json
from echelon.errors import Busy
from echelon.plugin.artifacts import Artifact

LIMITS = Limits(memory="48MiB", time="500ms", output="32KiB", host_calls=1000)
AT_ONCE = 8
"""Runs in one process at the same time; the next one is told to come back."""
MAX_SOURCE = 32_768

Short = Annotated[str, msgspec.Meta(max_length=100)]
Switch = Literal["env", "kv", "sys"]
GRANTS: dict[str, list[Any]] = {"env": ["PLAYGROUND_*"], "kv": [["playground"]], "sys": ["locale"]}
"""What each switch grants: the variables below, keys that begin with "playground", the host's language."""
VARIABLES = {"PLAYGROUND_PLACE": "the demo"}


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is compiled."""

    language: Short
    source: Annotated[str, msgspec.Meta(max_length=MAX_SOURCE)]


class Attempt(Source, frozen=True, forbid_unknown_fields=True):
    """What is compiled and called, and the permissions that are switched on."""

    function: Short
    args: Annotated[list[Any], msgspec.Meta(max_length=16)] = []
    permissions: Annotated[list[Switch], msgspec.Meta(max_length=3)] = []


class Playground:
    """Runs attempts, at most `AT_ONCE` of them side by side."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._running = 0

    async def compile(self, source: Source) -> dict[str, Any]:
        """Compile, and say what the module exports; raises what the compiler raises, and Busy."""
        async with self:
            return await self._describe(await self._compile(source))

    async def run(self, attempt: Attempt) -> dict[str, Any]:
        """Compile and call; raises what the compiler, the guest or the runtime raises, and Busy."""
        async with self:
            artifact = await self._compile(attempt)
            variables = VARIABLES if "env" in attempt.permissions else None  # what is given is granted
            grants = {name: GRANTS[name] for name in attempt.permissions}
            module = await self._app.wasm.load(
                artifact.wasm, name="your module", limits=LIMITS, permissions=Permissions(**grants)
            )
            try:
                outcome = await call_from_json(module, attempt.function or None, attempt.args, env=variables)
                answer = outcome_to_json(outcome)
                exported = {"exports": [function.to_dict() for function in module.exports()]}
            finally:
                module.close()
            text = msgspec.json.encode(answer["value"]).decode()  # browsers round large integers
            return {**answer, "text": text, **exported, **_facts(artifact)}

    async def __aenter__(self) -> None:
        if self._running >= AT_ONCE:
            raise Busy("the playground is busy; try again in a moment")
        self._running += 1

    async def __aexit__(self, *_: object) -> None:
        self._running -= 1

    async def _compile(self, source: Source) -> Artifact:
        return await self._app.generator.compile(source.source, source.language)

    async def _describe(self, artifact: Artifact) -> dict[str, Any]:
        module = await self._app.wasm.load(artifact.wasm, name="your module", limits=LIMITS)
        try:
            return {"exports": [function.to_dict() for function in module.exports()], **_facts(artifact)}
        finally:
            module.close()


def _facts(artifact: Artifact) -> dict[str, Any]:
    return {
        "size": len(artifact.wasm),
        "cached": artifact.cached,
        "compile_ms": artifact.compile_ms,
        "diagnostics": to_json(artifact.diagnostics),
    }
