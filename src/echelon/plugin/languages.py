"""Which languages there are: the built-in compilers, those of `echelon.toml`, and those of installed packages."""

from __future__ import annotations

from echelon.config import Config
from echelon.plugin import system
from echelon.plugin.compiler import Compiler
from echelon.plugin.compilers import configured
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.compilers.c import compilers as c
from echelon.plugin.compilers.cpython.compiler import CPython
from echelon.plugin.compilers.go.compiler import Go
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.compilers.python.compiler import TypedPython
from echelon.plugin.compilers.rust.compiler import Rust
from echelon.plugin.compilers.wat import Wat


def compilers(config: Config | None = None) -> list[Compiler]:
    """Return a compiler for each language; raises ConfigError for a plug-in that does not load."""
    config = config or Config()
    settings = config.generator
    return [
        Wat(),
        TypedPython(),
        AssemblyScript(settings.javascript, seconds=settings.compile_time),  # type: ignore[arg-type]  # checked by config
        *c.make(),
        Go(),
        Rust(),
        JavaScript(),
        CPython(cache=config.wasm.cache if config.wasm.cache.name else None),
        *configured.make(config.compilers),
        *(system.instance(plugin) for plugin in system.load(system.COMPILERS)),
    ]
