"""The seam between the generator and a compiler: a job goes in, a module or diagnostics come out.

Any object with the members of `Compiler` is one; deriving from `Compiler` supplies `warm` and `close`:

    class Upper(Compiler):
        name = "upper"
        suffixes = (".upper",)

        def probe(self) -> Probe:
            return Probe(found=True, version="1")

        async def compile(self, job: Job) -> Compiled:
            return Compiled(my_compiler(job.text))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, get_args, runtime_checkable

from echelon.errors import Diagnostic
from echelon.plugin.projects import Project
from echelon.runtime.signature import Signature

Optimize = Literal["none", "speed", "size"]
OPTIMIZE: Final[tuple[str, ...]] = get_args(Optimize)


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a compiler can be used here.

    `version` is what people know it by; `revision` names everything else that changes its output.
    `install` is what to type when it is missing, `detail` what was found or what is lacking.
    """

    found: bool
    version: str = ""
    revision: str = ""
    install: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What to compile: source files by relative path, of which `entry` is the one whose exports count.

    `names` asks for the names of functions and the lines of the source that errors show, `debug` for everything a
    debugger reads; a compiler that writes them unasked need not mind, they are left out afterwards. `options` are
    those the compiler says it takes. `max_output` bounds the module in bytes. `project` is a folder of this machine
    whose file `entry` is, None for a handful of texts. All but the texts is checked.
    """

    files: Mapping[str, str]
    entry: str
    optimize: Optimize = "none"
    max_output: int = 16 << 20
    names: bool = True
    debug: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    project: Project | None = None

    @property
    def text(self) -> str:
        return self.files[self.entry]


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compiler made: a module, or None and at least one diagnostic that says why not.

    `lines` says where its code comes from, as `runtime.lines.encode` writes it.
    """

    wasm: bytes | None
    diagnostics: tuple[Diagnostic, ...] = ()
    signature: Signature | None = None
    lines: bytes | None = None


class Compiler(Protocol):
    """One language. Used on one event loop; `compile` may be called many times at once."""

    name: str
    suffixes: tuple[str, ...]

    def probe(self) -> Probe:
        """Look for the compiler. May block; runs in a thread."""
        ...

    async def warm(self) -> None:
        """Get ready ahead of the first compile; must not wait long and may do nothing."""
        return

    async def compile(self, job: Job) -> Compiled:
        """Compile within the compiler's own limits on time and memory."""
        ...

    async def close(self) -> None:
        """End every process the compiler started; later calls of `compile` may fail."""
        return


@runtime_checkable
class Importing(Protocol):
    """What a compiler may offer besides, so that a source given as a path brings the files it imports."""

    def imports(self, path: str, text: str) -> Iterable[str]:
        """Return the relative paths where files imported by `path` may be; most will not exist.

        A pattern such as "lib/*.go" stands for every file that matches it.
        """
        ...


@runtime_checkable
class OfProjects(Protocol):
    """What a compiler may offer besides: it compiles whole projects, given by the path of a file of this name."""

    projects: Sequence[str]
    """Names of files, such as "Cargo.toml"; the folder around one is the project."""


@runtime_checkable
class Configurable(Protocol):
    """What a compiler may offer besides: options of its language, as `Job.options` holds them."""

    options: Mapping[str, Sequence[str]]
    """The values that each option accepts, by its name; none listed means any text."""


@runtime_checkable
class Delegating(Protocol):
    """What a compiler may offer besides: values of its options that mean another language's compiler."""

    delegates: Mapping[str, str]
    """The name of that language, by option and value, written "semantics=javascript"."""


@runtime_checkable
class Optimizing(Protocol):
    """What a compiler has whose own optimisation is Binaryen's: wasm-opt is not asked after it.

    Its modules take long when optimised; who does not wait gets one that is not, first.
    """

    binaryen: str
    """Its version."""


@runtime_checkable
class Engines(Protocol):
    """What a compiler offers whose modules are scripts: the engine that runs them."""

    def engine(self, digest: str) -> bytes | None:
        """Return the engine of that digest ("sha256:…"), None for one that it does not have. May block."""
        ...


MEMBERS: Final = ("name", "suffixes", "probe", "warm", "compile", "close")
