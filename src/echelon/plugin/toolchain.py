"""Compilers that do not come with Python: what is here, and how the missing ones are fetched.

Everything fetched goes to Echelon's own directory (`ECHELON_HOME`, by default `~/.local/share/echelon`),
never into the project, and only when `install` is called. What the package client brings is compared with a
digest fixed here before it is used, so a different package, from wherever it came, is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from echelon.errors import ConfigError, EchelonError, ToolchainMissing

Progress = Callable[[str], None]
JavascriptChoice = Literal["auto", "deno", "node"]

TYPESCRIPT_VERSION: Final = "0.28.20"
TYPESCRIPT_PACKAGES: Final = {
    "assemblyscript": TYPESCRIPT_VERSION,
    "binaryen": "131.0.0-nightly.20260721",
    "long": "5.3.2",
}
TYPESCRIPT_DIGEST: Final = "1d1cbed272cb1d9709d8b257f441b7a5ec6274b378340e94c7e7cf54c98a70aa"
"""SHA-256 over the files that are kept, by `tree_digest`."""
_UNUSED = shutil.ignore_patterns("*.map", "*.d.ts", "*.md", "bin", "node_modules", "portable", ".*")

INSTALL_TYPESCRIPT: Final = "echelon toolchain install typescript"
INSTALL_JAVASCRIPT: Final = 'pip install "echelon[typescript]"'
INSTALL_SECONDS: Final = 600.0
NODE_MINIMUM: Final = (20, 0)
"""The first Node with a permission model; older ones are not trusted with strangers' source."""


@dataclass(frozen=True, slots=True)
class Javascript:
    """A JavaScript runtime that can run a compiler."""

    kind: Literal["deno", "node"]
    path: Path
    version: str


@dataclass(frozen=True, slots=True)
class Toolchain:
    """One installable toolchain, as `echelon toolchain list` shows it."""

    language: str
    version: str
    found: bool
    path: Path
    install: str


def home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return Echelon's own directory, the same for every application of this user; it may not exist yet."""
    if chosen := environ.get("ECHELON_HOME"):
        return Path(chosen).expanduser().absolute()
    base = environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "echelon"


def find_javascript(choice: JavascriptChoice = "auto") -> Javascript | None:
    """Find a JavaScript runtime: the `deno` package first, then one on the PATH. Starts processes."""
    if choice not in ("auto", "deno", "node"):
        raise ConfigError(f'javascript: "{choice}" is not known; use auto, deno or node', key="javascript")
    found = _find_deno() if choice in ("auto", "deno") else None
    return found if found is not None or choice == "deno" else _find_node()


def _find_deno() -> Javascript | None:
    path = _packaged_deno() or shutil.which("deno")
    version = _version([path, "--version"]) if path else None
    return Javascript("deno", Path(path), version) if path and version else None


def _packaged_deno() -> str | None:
    """Return the program of the `deno` package. Its own finder fails now and then when threads call it."""
    try:
        package = importlib.metadata.distribution("deno")
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [file for file in package.files or () if file.stem == "deno" and file.suffix in ("", ".exe")]
    programs = [Path(str(package.locate_file(file))).resolve() for file in found]
    return next((str(path) for path in programs if path.is_file()), None)


def _find_node() -> Javascript | None:
    path = shutil.which("node")
    version = _version([path, "--version"]) if path else None
    if path is None or version is None or version_tuple(version) < NODE_MINIMUM:
        return None
    return Javascript("node", Path(path), version)


def _version(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return match[0] if match and done.returncode == 0 else None


def version_tuple(version: str) -> tuple[int, ...]:
    """Return "20.1.3" as (20, 1, 3)."""
    return tuple(int(part) for part in version.split(".")[:3])


def typescript_directory(base: Path | None = None) -> Path:
    """Return where the TypeScript toolchain of this Echelon is, or would be."""
    return (base or home()) / "toolchains" / "typescript" / TYPESCRIPT_VERSION


def typescript_installed(base: Path | None = None) -> bool:
    """Tell whether the TypeScript toolchain is here; it appears by one rename, so it is here whole or not."""
    return (typescript_directory(base) / "node_modules" / "assemblyscript" / "package.json").is_file()


def listed(base: Path | None = None) -> list[Toolchain]:
    """Return every toolchain that `install` knows."""
    directory = typescript_directory(base)
    found = typescript_installed(base)
    return [Toolchain("typescript", TYPESCRIPT_VERSION, found, directory, INSTALL_TYPESCRIPT)]


async def install(language: str, progress: Progress | None = None, base: Path | None = None) -> Path:
    """Fetch a toolchain and return where it is; does nothing when it is here already.

    Safe to run twice at once. Raises ConfigError for an unknown language, ToolchainMissing when nothing can
    fetch it, EchelonError when fetching fails or brings something else than expected.
    """
    if language != "typescript":
        known = ", ".join(item.language for item in listed(base))
        raise ConfigError(f'there is no toolchain "{language}" to install; there is: {known}', key="language")
    say = progress or (lambda _text: None)
    directory = typescript_directory(base)
    if typescript_installed(base):
        say(f"typescript {TYPESCRIPT_VERSION} is already in {directory}")
        return directory
    try:
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".installing-", dir=directory.parent) as work:
            await _fetch(Path(work), say)
            say("checking")
            await asyncio.to_thread(_settle, Path(work), directory)
    except OSError as exc:
        raise EchelonError(f"{exc.filename or directory}: cannot install typescript: {exc.strerror}") from exc
    say(f"typescript {TYPESCRIPT_VERSION} is in {directory}")
    return directory


async def _fetch(work: Path, say: Progress) -> None:
    """Let a package client put the packages below `work`; no package's script is run."""
    packages = {"private": True, "dependencies": TYPESCRIPT_PACKAGES}
    (work / "package.json").write_bytes(msgspec.json.encode(packages))
    deno = await asyncio.to_thread(_find_deno)
    npm = shutil.which("npm")
    environ = dict(os.environ)
    if deno is not None:
        command = [str(deno.path), "install", "--quiet", "--no-lock", "--node-modules-dir=auto"]
        environ["DENO_DIR"] = str(work / "cache")
    elif npm is not None:
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    else:
        raise ToolchainMissing(
            f"nothing here can fetch the TypeScript toolchain: {INSTALL_JAVASCRIPT}",
            install=INSTALL_JAVASCRIPT,
        )
    say(f"fetching {', '.join(f'{name} {version}' for name, version in TYPESCRIPT_PACKAGES.items())}")
    await _run(command, work, environ)


async def _run(command: list[str], work: Path, environ: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
    except TimeoutError:
        raise EchelonError(f"{Path(command[0]).name} took longer than {INSTALL_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        tail = output.decode("utf-8", "replace").strip()[-2000:]
        raise EchelonError(f"{Path(command[0]).name} could not fetch the TypeScript toolchain: {tail}")


def _settle(work: Path, directory: Path) -> None:
    """Keep what the compiler needs (a sixth of it), check it, and move it to its place by one rename."""
    slim = work / "slim"
    for name in TYPESCRIPT_PACKAGES:
        shutil.copytree(_package(work, name), slim / "node_modules" / name, ignore=_UNUSED)
    (slim / "package.json").write_bytes(b'{"private":true}')
    found = tree_digest(slim)
    if found != TYPESCRIPT_DIGEST:
        raise EchelonError(
            f"the fetched TypeScript toolchain is not the expected one (SHA-256 {found}, not"
            f" {TYPESCRIPT_DIGEST}), so it was not installed: check which package registry is configured"
        )
    try:
        slim.rename(directory)
    except OSError:
        if not typescript_installed(directory.parents[2]):  # otherwise another process was faster
            raise


def _package(work: Path, name: str) -> Path:
    """Find a package where npm (flat) or Deno (one folder a version) put it."""
    flat = work / "node_modules" / name
    nested = work.glob(f"node_modules/.deno/{name}@*/node_modules/{name}/package.json")
    path = flat.resolve() if flat.exists() else next((found.parent for found in nested), None)
    if path is None or not path.is_relative_to(work.resolve()):
        raise EchelonError(f"the package client did not bring {name}")
    return path


def tree_digest(directory: Path) -> str:
    """Return the SHA-256 over the paths and contents of every file below a directory."""
    total = hashlib.sha256()
    for path in sorted(directory.rglob("*"), key=lambda path: path.relative_to(directory).as_posix()):
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(directory).as_posix()}\0{content}\n".encode())
    return total.hexdigest()
