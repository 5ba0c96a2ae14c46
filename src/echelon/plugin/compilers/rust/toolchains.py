"""The compiler of Rust on this machine: of rustup, of the system, or the one that ECHELON_RUSTC names.

It comes with a standard library for some targets; whether it has one for WebAssembly says the folder of that library,
not the compiler. Programs of rustup's that stand in for a toolchain's are not run: they would make folders, and fetch.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VARIABLE: Final = "ECHELON_RUSTC"
TARGETS: Final = ("wasm32-wasip1", "wasm32-wasi", "wasm32-unknown-unknown")
"""Best first. The second is the first one's name before Rust 1.78."""

ZIG_LINK: Final = Path(__file__).parent / "kit" / "zig-link"
OLDEST: Final = (1, 63)
SECONDS: Final = 20.0
INSTALL_SYSTEM: Final = "apt-get install rustc libstd-rust-dev-wasm32 lld"
INSTALL_RUSTUP: Final = "rustup target add wasm32-wasip1"
_LINKERS: Final = re.compile(r"wasm-ld(?:-(\d+))?")


@dataclass(frozen=True, slots=True)
class Rust:
    """A compiler that can make WebAssembly. `linker` is the program, `flags` what rustc is told of it."""

    program: Path
    version: str
    sysroot: Path
    target: str
    linker: Path
    linker_version: str
    flags: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def libraries(self) -> Path:
        return library(self.sysroot, self.target)


def find(environ: Mapping[str, str] = os.environ, zig: Path | None = None) -> Rust | str:
    """Return the first compiler that serves, or what is lacking; `zig` links where nothing else does."""
    lacking: list[str] = []
    for program in candidates(environ):
        told = _told(program)
        if told is None:
            lacking.append(f"{program} does not tell its version")
            continue
        version, sysroot = told
        if _numbers(version) < OLDEST:
            lacking.append(f"{program} is Rust {version}, older than {OLDEST[0]}.{OLDEST[1]}")
            continue
        target = next((name for name in TARGETS if _is_library(library(sysroot, name))), None)
        if target is None:
            lacking.append(f"{program} has no standard library for WebAssembly")
            continue
        linker = _linker(sysroot, environ, zig)
        if linker is None:
            lacking.append("there is no linker for WebAssembly (wasm-ld)")
            continue
        return Rust(program, version, sysroot, target, *linker)
    return "; ".join(lacking) or "there is no rustc"


def install(environ: Mapping[str, str] = os.environ) -> str:
    """Return what to type when nothing was found."""
    return INSTALL_RUSTUP if next(_of_rustup(environ), None) else INSTALL_SYSTEM


def library(sysroot: Path, target: str) -> Path:
    """Return where the standard library for a target would be."""
    return sysroot / "lib" / "rustlib" / target / "lib"


def candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield every compiler there is, best first and each once."""
    if chosen := environ.get(VARIABLE):
        yield Path(chosen).expanduser().absolute()
        return
    seen: set[Path] = set()
    for path in (*_of_rustup(environ), *_on_path("rustc", environ)):
        real = path.resolve()
        if real not in seen and not real.name.startswith("rustup"):
            seen.add(real)
            yield real


def _of_rustup(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the compilers that rustup has installed, its default first."""
    home = environ.get("RUSTUP_HOME")
    base = Path(home) if home else Path(environ.get("HOME", "/")) / ".rustup"
    try:
        found = sorted(path.name for path in (base / "toolchains").iterdir())
        settings = (base / "settings.toml").read_text("utf-8", "replace")
    except OSError:
        return
    default = re.search(r'^default_toolchain\s*=\s*"([^"]+)"', settings, re.MULTILINE)
    for name in sorted(found, key=lambda name: (not default or name != default[1], name)):
        program = base / "toolchains" / name / "bin" / "rustc"
        if program.is_file():
            yield program


def _on_path(name: str, environ: Mapping[str, str]) -> Iterator[Path]:
    for folder in (*environ.get("PATH", os.defpath).split(os.pathsep), "/usr/bin"):
        path = Path(folder) / name
        if folder and os.access(path, os.X_OK) and path.is_file():
            yield path


def _told(program: Path) -> tuple[str, Path] | None:
    """Ask a compiler for its version and its folder."""
    version = _asked([str(program), "-vV"])
    sysroot = _asked([str(program), "--print", "sysroot"])
    found = re.search(r"^release: (\S+)", version, re.MULTILINE)
    return (found[1], Path(sysroot.strip())) if found and sysroot.strip() else None


def _asked(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.defpath},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _is_library(folder: Path) -> bool:
    return next(folder.glob("libstd-*.rlib"), None) is not None


def _linker(
    sysroot: Path, environ: Mapping[str, str], zig: Path | None
) -> tuple[Path, str, tuple[str, ...], dict[str, str]] | None:
    """Return a linker, its version, what rustc is told, and the environment it needs to be told so."""
    bundled = [
        path for name in ("rust-lld", "gcc-ld/wasm-ld") for path in sysroot.glob(f"lib/rustlib/*/bin/{name}")
    ]
    for path in (*bundled, *_linkers(environ)):
        version = _asked([str(path), *(["-flavor", "wasm"] if path.name == "rust-lld" else []), "--version"])
        if version:
            options = ("-Clinker-flavor=wasm-ld", f"-Clinker={path}")
            return path.resolve(), version.splitlines()[0], options, {}
    if zig is None:
        return None
    version = _asked([str(zig), "version"]).strip()
    return (
        zig,
        f"zig {version}",
        ("-Clinker-flavor=wasm-ld", f"-Clinker={ZIG_LINK}"),
        {"ECHELON_ZIG": str(zig)},
    )


def shell(found: Rust) -> tuple[Path, ...]:
    """Return what runs the script that Zig needs; nothing where another linker was found."""
    return (Path("/bin/sh"),) if found.linker.name == "zig" else ()


def _linkers(environ: Mapping[str, str]) -> list[Path]:
    """Return every wasm-ld on the PATH, the newest first."""
    found: dict[Path, int] = {}
    for folder in (*environ.get("PATH", os.defpath).split(os.pathsep), "/usr/bin"):
        for path in Path(folder).glob("wasm-ld*") if folder else ():
            match = _LINKERS.fullmatch(path.name)
            if match and os.access(path, os.X_OK):
                found.setdefault(path, int(match[1] or 0))
    return sorted(found, key=lambda path: -found[path])
