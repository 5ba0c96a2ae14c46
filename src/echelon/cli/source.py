"""A file of any language as a module: what `build`, `call` and `inspect` share.

Compiled modules are kept in Echelon's own folder, not in the project, so that these commands leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from echelon.cli import failures
from echelon.cli.parser import Usage
from echelon.cli.terminal import Terminal
from echelon.config import Config
from echelon.errors import CompileError, InvalidModule
from echelon.plugin import languages, toolchain
from echelon.plugin.artifacts import Artifact, ArtifactStore, digest_of
from echelon.plugin.compiler import Compiler, Delegating, Optimize
from echelon.plugin.generator import BINARY, Generator
from echelon.plugin.sources import WASM_MAGIC
from echelon.runtime.binary import MAX_MODULE
from echelon.runtime.remote import is_url


@dataclass(frozen=True, slots=True)
class How:
    """How a source is compiled; as `Generator.compile` takes it."""

    language: str | None = None
    optimize: Optimize = "none"
    names: bool | None = None
    debug: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


class CompileFailed(Exception):
    """A source did not compile and its messages were written; `status` is the exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def existing_file(name: str) -> Path:
    """Return the path of a file that can be read; raises Usage that says what is wrong with it."""
    if is_url(name):
        raise Usage(
            f"{name} is a URL and this takes a file; download it, or load it in an application (wasm.hosts)"
        )
    path = Path(name)
    try:
        if path.is_dir():
            known = next((path / project for project in ("Cargo.toml",) if (path / project).is_file()), None)
            raise Usage(f"{name} is a folder; name a file in it" + (f": {known}" if known else ""))
        with path.open("rb"):
            return path
    except FileNotFoundError:
        raise Usage(f"there is no file {name}") from None
    except (OSError, ValueError) as exc:
        raise Usage(f"{name} cannot be read: {getattr(exc, 'strerror', None) or exc}") from None


async def read(path: Path, terminal: Terminal, how: How | None = None) -> Artifact:
    """Return the module of a file, compiled if it is source; warnings go to standard error.

    Raises CompileFailed after the messages were written, InvalidModule, ConfigError for an unknown language or option.
    """
    how = how or How()
    if how.language in (None, BINARY) and (path.suffix == ".wasm" or _is_binary(path)):
        return _binary(path)
    compilers = languages.compilers(Config.load())
    language = how.language or Generator(compilers).language_for(path)
    return await _compile(path, terminal, _only(compilers, language), replace(how, language=language))


def _only(compilers: list[Compiler], language: str) -> list[Compiler]:
    """Keep the compilers that may be needed, so that no other one is got ready; all when none is, for its error."""
    asked = next((compiler for compiler in compilers if compiler.name == language), None)
    if asked is None:
        return compilers
    needed = {language, *(asked.delegates.values() if isinstance(asked, Delegating) else ())}
    return [compiler for compiler in compilers if compiler.name in needed]


async def _compile(path: Path, terminal: Terminal, compilers: list[Compiler], how: How) -> Artifact:
    async with Generator(compilers) as generator:
        try:
            artifact = await generator.compile(
                path, how.language, how.optimize, names=how.names, debug=how.debug, options=how.options
            )
        except CompileError as exc:
            raise CompileFailed(failures.compile_failed(exc, path, terminal)) from exc
    failures.diagnostics(artifact.diagnostics, path, terminal)
    return artifact


def _is_binary(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(WASM_MAGIC)) == WASM_MAGIC


def _binary(path: Path) -> Artifact:
    size = path.stat().st_size
    if size > MAX_MODULE:
        raise InvalidModule(f"{path} has {size} bytes, at most {MAX_MODULE} are accepted")
    wasm = path.read_bytes()
    digest = digest_of(wasm)
    return _stored(digest) or Artifact(wasm, digest, BINARY)


def _stored(digest: str) -> Artifact | None:
    """Return a module that was compiled here before, with what is known of how."""
    store = ArtifactStore(toolchain.home() / "artifacts")
    return store.get(digest) if store.trusted() else None
