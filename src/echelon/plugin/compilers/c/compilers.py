"""C, C++ and Zig as command-line compilers: what each is told, and how its messages read.

Sources of C and C++ become objects by Clang and a module by the linker; neither keeps or reads a cache. Zig works in
a cache of its own for each job. Every source of the job in the entry's language is compiled, the others are included.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from echelon.errors import Diagnostic
from echelon.plugin.compiler import Job
from echelon.plugin.compilers.c import zig_lines
from echelon.plugin.compilers.command import (
    MAX_DIAGNOSTICS,
    MAX_MESSAGE,
    MODULE,
    SOURCES,
    CommandCompiler,
    Missing,
    Program,
    Tool,
)
from echelon.plugin.sandbox.process import Isolation
from echelon.plugin.toolchain import places, zig

KIT: Final = Path(__file__).parent / "kit"
REVISION: Final = "2"
"""Changes when the same source would become another module."""

STACK: Final = 256 << 10
VIEW: Final = "view.json"
LEVELS: Final = {"none": "-O1", "speed": "-O3", "size": "-Oz"}
ZIG_LEVELS: Final = {"none": "Debug", "speed": "ReleaseSafe", "size": "ReleaseSmall"}
C_SUFFIXES: Final = (".c",)
CPP_SUFFIXES: Final = (".cpp", ".cc", ".cxx")

_CPP_DEFINES: Final = (
    "_LIBCPP_ABI_VERSION=1",
    "_LIBCPP_ABI_NAMESPACE=__1",
    "_LIBCPP_HAS_THREADS=0",
    "_LIBCPP_HAS_MONOTONIC_CLOCK",
    "_LIBCPP_HAS_TERMINAL",
    "_LIBCPP_HAS_MUSL_LIBC=1",
    "_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS",
    "_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
    "_LIBCPP_HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0",
    "_LIBCPP_HAS_FILESYSTEM=0",
    "_LIBCPP_HAS_RANDOM_DEVICE",
    "_LIBCPP_HAS_LOCALIZATION",
    "_LIBCPP_HAS_UNICODE",
    "_LIBCPP_HAS_WIDE_CHARACTERS",
    "_LIBCPP_HAS_NO_STD_MODULES",
    "_LIBCPP_PSTL_BACKEND_SERIAL",
    "_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE",
    "_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_IGNORE",
)
"""How the library of C++ was built; its headers have to be read the same way."""

_MESSAGE: Final = re.compile(
    r"^(?:(?P<file>[^\n:]+):(?P<line>\d+):(?P<column>\d+): |(?:[\w./-]*(?:wasm-ld|clang|zig)): )?"
    r"(?P<severity>(?:fatal )?error|warning|note): (?P<message>.+)$",
    re.MULTILINE,
)
_OBJECT: Final = re.compile(r"^(?P<file>[^\n:]+)\.o: (?P<message>.+)$")
_INCLUDE: Final = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_IMPORT: Final = re.compile(r'@(?:import|embedFile)\([ \t]*"([^"\n]+)"[ \t]*\)')


class Including(CommandCompiler):
    """A compiler whose sources name others by a path relative to their own folder."""

    def __init__(
        self, program: Program, names: re.Pattern[str], *, isolation: Isolation = "required"
    ) -> None:
        super().__init__(program, isolation=isolation)
        self._names = names

    def imports(self, path: str, text: str) -> Iterable[str]:
        """Return the paths that a source names and that stay within the source's folder."""
        folder = Path(path).parent
        for name in self._names.findall(text):
            if not name.startswith("/") and ".." not in Path(name).parts:
                yield (folder / name).as_posix()


def make(home: Path | None = None, *, isolation: Isolation = "required") -> list[Including]:
    """Return the three compilers; `home` is Echelon's own directory."""

    def find() -> Tool | Missing:
        return _find(home)

    programs = (
        (Program("c", C_SUFFIXES, find, _c_commands, diagnose, libraries=False), _INCLUDE),
        (Program("cpp", CPP_SUFFIXES, find, _c_commands, diagnose, libraries=False), _INCLUDE),
        (
            Program("zig", (".zig",), find, _zig_commands, diagnose, libraries=False, finish=_finish_zig),
            _IMPORT,
        ),
    )
    return [Including(program, names, isolation=isolation) for program, names in programs]


def _find(home: Path | None) -> Tool | Missing:
    if not zig.C.installed(home or places.home()):
        detail = "the compiler and its libraries are not here"
        if zig.installed_package() is not None:
            detail = f"{zig.PACKAGE} {zig.VERSION} is here, its libraries are not built yet"
        return Missing(detail, zig.C.command)
    root = zig.C.directory(home or places.home())
    revision = f"{REVISION} {places.tree_digest(KIT)}"
    return Tool(
        root / zig.PACKAGE / "zig", zig.VERSION, (root, KIT), {"SOURCE_DATE_EPOCH": "0"}, revision, str(root)
    )


def _c_commands(tool: Tool, job: Job, folder: Path) -> Iterator[Sequence[str]]:
    """Compile each source, then link them."""
    source, objects = folder / SOURCES, []
    _write_view(tool, folder)
    cpp = False
    for name in _sources(job, (*C_SUFFIXES, *CPP_SUFFIXES)):
        is_cpp = name.endswith(CPP_SUFFIXES)
        cpp |= is_cpp
        target = folder / f"{name.replace('/', '-')}.o"
        objects.append(str(target))
        yield [*_clang(tool, job, source, cpp=is_cpp), "-c", str(source / name), "-o", str(target)]
    yield _link(tool, job, folder, objects, "c++" if cpp else "c")


def _write_view(tool: Tool, folder: Path) -> None:
    """Say which folders there are for Clang; without that a source could ask which files the machine has."""
    roots = [
        {"type": "directory-remap", "name": str(path), "external-contents": str(path)}
        for path in (folder / SOURCES, KIT, tool.program.parent / "lib")
    ]
    view = {"version": 0, "case-sensitive": True, "redirecting-with": "redirect-only", "roots": roots}
    (folder / VIEW).write_bytes(msgspec.json.encode(view))


def _sources(job: Job, suffixes: tuple[str, ...]) -> list[str]:
    return [job.entry, *(name for name in job.files if name.endswith(suffixes) and name != job.entry)]


def _clang(tool: Tool, job: Job, source: Path, *, cpp: bool) -> list[str]:
    library = tool.program.parent / "lib"
    folders = [
        library / "include",
        library / "libc/include/wasm-wasi-musl",
        library / "libc/include/generic-musl",
    ]
    language = ["-x", "c", "-std=gnu23"]
    if cpp:
        folders = [library / "libcxx/include", library / "libcxxabi/include", *folders]
        language = ["-x", "c++", "-std=gnu++20", "-fno-exceptions", "-fno-rtti"]
        language += [f"-D{define}" for define in _CPP_DEFINES]
    return [
        str(tool.program),
        "clang",
        *language,
        "-ivfsoverlay",
        str(source.parent / VIEW),
        "--target=wasm32-wasip1",
        "-mcpu=lime1",
        LEVELS[job.optimize],
        "-Wall",
        "-fvisibility=hidden",
        "-fno-ident",
        "-fno-color-diagnostics",
        "-fno-caret-diagnostics",
        *(["-g"] if job.debug else ["-gline-tables-only"] if job.names else []),
        f"-ffile-prefix-map={source}/=",
        f"-ffile-prefix-map={library}/=zig/",
        f"-ffile-prefix-map={KIT}/=",
        "-fdebug-compilation-dir=.",
        "-nostdlibinc",
        "-nobuiltininc",
        *(part for path in folders for part in ("-isystem", str(path))),
        "-isystem",
        str(KIT),
    ]


def _link(tool: Tool, job: Job, folder: Path, objects: Sequence[str], kind: str) -> list[str]:
    """Link to a WASI reactor; what needs nothing of the libraries imports nothing."""
    root = tool.program.parent.parent / zig.SYSROOT
    names = {
        "c": ("libc.a", "libzigc.a"),
        "c++": ("libc++.a", "libc++abi.a", "libc.a", "libzigc.a"),
        "zig": (),
    }[kind]
    start = (
        ["--no-entry", "--export-dynamic"]
        if kind == "zig"
        else ["--entry", "_initialize", str(root / "crt1-reactor.o")]
    )
    return [
        str(tool.program),
        "wasm-ld",
        *start,
        "--export-memory",
        "--stack-first",
        "-z",
        f"stack-size={STACK}",
        "--build-id=none",
        "--fatal-warnings",
        *([] if job.names or job.debug else ["--strip-debug"]),
        "-o",
        str(folder / MODULE),
        *objects,
        *(str(root / name) for name in (*names, "libcompiler_rt.a")),
    ]


def _zig_commands(tool: Tool, job: Job, folder: Path) -> Iterator[Sequence[str]]:
    """Compile the entry as a module of the kit's root, which brings panics that can be read; then link."""
    target = str(folder / "main.o")
    cache = str(folder / "cache")
    yield [
        str(tool.program),
        "build-obj",
        "--color",
        "off",
        "-target",
        "wasm32-wasi",
        "-mcpu=lime1",
        f"-O{ZIG_LEVELS[job.optimize]}",
        "-fno-compiler-rt",
        "-fsingle-threaded",
        "--cache-dir",
        cache,
        "--global-cache-dir",
        cache,
        f"-femit-bin={target}",
        *([] if job.names or job.debug else ["-fstrip"]),
        *("--dep", "echelon", "--dep", "guest", f"-Mroot={KIT / 'root.zig'}"),
        *("--dep", "echelon", f"-Mguest={folder / SOURCES / job.entry}"),
        f"-Mechelon={KIT / 'echelon.zig'}",
    ]
    yield _link(tool, job, folder, [target], "zig")


def _finish_zig(wasm: bytes, tool: Tool, job: Job, folder: Path) -> bytes:
    """Name files as the job, the kit and the library do."""
    bases = {
        folder / SOURCES: Path(),
        KIT: Path(),
        tool.program.parent / "lib": Path("zig"),
        folder / "cache": Path("zig"),
    }

    def named(path: str) -> str:
        whole = Path(os.path.normpath(folder / path))
        for base, name in bases.items():
            if whole.is_relative_to(base):
                return (name / whole.relative_to(base)).as_posix()
        return whole.name

    return zig_lines.portable(wasm, folder, named, debug=job.debug)


def diagnose(text: str, job: Job) -> list[Diagnostic]:
    """Read what Clang, Zig and the linker say; what is wrong in a library's file counts where the job asked for it."""
    found: list[Diagnostic] = []
    for match in _MESSAGE.finditer(text):
        file, message = (
            (match["file"] or "").removeprefix(f"{SOURCES}/") or None,
            match["message"].strip()[:MAX_MESSAGE],
        )
        ours = file if file in job.files else None
        line, column = (int(match["line"]), int(match["column"])) if ours else (0, 0)
        if match["severity"] == "note":
            if found and found[-1].file is None and ours:
                found[-1] = replace(found[-1], line=line, column=column, file=ours)
            continue
        if file is None and (linked := _OBJECT.match(message)):
            ours = next((name for name in job.files if name.replace("/", "-") == linked["file"]), None)
            message = linked["message"]
        if len(found) == MAX_DIAGNOSTICS:
            break
        found.append(
            Diagnostic(line, column, match["severity"].removeprefix("fatal "), _shown(message), ours)
        )
    return found


def _shown(message: str) -> str:
    """Leave the folders of this machine out of a message."""
    return message.replace(f"{KIT}/", "")
