"""What a file offers and wants, whatever it is: what `inspect --wit` and `build --stub` write about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from echelon.errors import InvalidModule
from echelon.plugin.artifacts import Artifact
from echelon.plugin.interface import world
from echelon.plugin.interface.world import World
from echelon.runtime import binary, cpython, exports, script
from echelon.runtime.component.imports import Everything
from echelon.runtime.core import Runtime
from echelon.runtime.signature import Function, Value


async def read(path: Path, artifact: Artifact) -> World:
    """Return the interface of a module, script or component, named after its file; nothing of it runs.

    Raises LoadError for bytes that are none.
    """
    if artifact.wasm[:8] == binary.COMPONENT_MAGIC:
        return await _of_component(path, artifact)
    info = binary.parse(artifact.wasm)
    found = functions_of_script(artifact.wasm)
    if found is not None:
        return _of_script(path, artifact.wasm, found[1])
    signature, plans = exports.read(artifact.wasm, info)
    return world.of_module(path.stem, exports.public_functions(plans, signature), info.imports)


def functions_of_script(wasm: bytes) -> tuple[str, list[Function]] | None:
    """Return the language of a script and what it exports, None for a module that is none."""
    python = cpython.read_header(wasm)
    if python is not None:
        return cpython.LANGUAGE, [cpython.function_of(*item) for item in python.exports.items()]
    header = script.read_header(wasm)
    if header is None:
        return None
    return header.language, [
        Function(name, tuple(Value("json", param) for param in params), (Value("json"),))
        for name, params in header.exports.items()
    ]


def _of_script(path: Path, wasm: bytes, functions: list[Function]) -> World:
    """Add which arguments may be left out: of functions of JavaScript all."""
    python = cpython.read_header(wasm)
    declared = {} if python is None else python.exports
    names = [function.name for function in functions]
    required = {name: declared[name].required if name in declared else 0 for name in names}
    more = frozenset(name for name in names if name not in declared or declared[name].more)
    return replace(world.of_module(path.stem, functions, ()), required=required, more=more)


async def _of_component(path: Path, artifact: Artifact) -> World:
    """Read the types of a component, which are known once it is compiled."""
    async with Runtime() as runtime:
        runtime.component_imports = Everything()
        module = await runtime.load(artifact.wasm, name=path.stem)
        if module.component_type is None:
            raise InvalidModule("its types cannot be read")
        return world.of_component(path.stem, module.component_type)


def comment(path: Path, artifact: Artifact) -> str:
    """Return one line that says what a text was made of."""
    return f"The interface of {path.name}, {artifact.digest}"
