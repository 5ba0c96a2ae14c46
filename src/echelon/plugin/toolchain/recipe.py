"""A toolchain that `echelon toolchain install` can fetch: what it is, and how its parts get here.

Everything fetched goes to Echelon's own directory (`ECHELON_HOME`, by default `~/.local/share/echelon`), never into
the project, and only when `install` is called. What a package client brings is compared with digests fixed in Echelon
before it is used, so a different package, from wherever it came, is refused.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from echelon.errors import EchelonError, ToolchainMissing
from echelon.plugin.toolchain import places
from echelon.plugin.toolchain.javascript import INSTALL_JAVASCRIPT, find_javascript

Progress = Callable[[str], None]
Fetch = Callable[[Path, Progress], Awaitable[Path]]

INSTALL_SECONDS: Final = 1800.0
INSTALL_PIP: Final = "python -m ensurepip"
UNUSED: Final = ("*.map", "*.d.ts", "*.md", "bin", "node_modules", "portable", ".*")
"""What no JavaScript compiler needs at run time."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One toolchain. `fetch` puts it below the folder it is given and returns the folder to keep.

    `marker` is a file in it that is there when it is whole. `size` is what people are told. `digest` is what
    `places.tree_digest` says of what is kept, None where the package client checks digests itself. `brings` names the
    recipes that are installed along with it.
    """

    name: str
    version: str
    size: str
    marker: str
    fetch: Fetch
    digest: str | None = None
    brings: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What to type to install it."""
        return f"echelon toolchain install {self.name}"

    def directory(self, base: Path | None = None) -> Path:
        """Return where it is, or would be."""
        return (base or places.home()) / "toolchains" / self.name / self.version

    def installed(self, base: Path | None = None) -> bool:
        """Tell whether it is here; it appears by one rename, so it is here whole or not."""
        return (self.directory(base) / self.marker).is_file()


def npm(packages: Mapping[str, str], unused: Sequence[str] = UNUSED) -> Fetch:
    """Return how to fetch packages of the npm registry by exact version, without what matches `unused`."""

    async def fetch(work: Path, say: Progress) -> Path:
        say(f"fetching {', '.join(f'{name} {version}' for name, version in packages.items())}")
        await npm_install(packages, work)
        slim = work / "slim"
        for name in packages:
            target = slim / "node_modules" / name
            await asyncio.to_thread(
                shutil.copytree, npm_package(work, name), target, ignore=shutil.ignore_patterns(*unused)
            )
        (slim / "package.json").write_bytes(b'{"private":true}')
        return slim

    return fetch


async def npm_install(packages: Mapping[str, str], work: Path) -> None:
    """Let a package client put packages and what they depend on below `work`; no package's script is run."""
    (work / "package.json").write_bytes(msgspec.json.encode({"private": True, "dependencies": packages}))
    deno = await asyncio.to_thread(find_javascript, "deno")
    client = shutil.which("npm")
    environ = dict(os.environ)
    if deno is not None:
        command = [str(deno.path), "install", "--quiet", "--no-lock", "--node-modules-dir=auto"]
        environ["DENO_DIR"] = str(work / "cache")
    elif client is not None:
        command = [client, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    else:
        message = f"nothing here can fetch packages of JavaScript: {INSTALL_JAVASCRIPT}"
        raise ToolchainMissing(message, install=INSTALL_JAVASCRIPT)
    await run(command, work, environ)


def npm_package(work: Path, name: str) -> Path:
    """Find a package where npm (flat) or Deno (one folder a version) put it."""
    flat = work / "node_modules" / name
    stored = name.replace("/", "+")
    nested = work.glob(f"node_modules/.deno/{stored}@*/node_modules/{name}/package.json")
    path = flat.resolve() if flat.exists() else next((found.parent for found in nested), None)
    if path is None or not path.is_relative_to(work.resolve()):
        raise EchelonError(f"the package client did not bring {name}")
    return path


def wheel(package: str, version: str, digests: Sequence[str]) -> Fetch:
    """Return how to fetch one package of the Python package index; `digests` are the SHA-256 of its wheels."""

    async def fetch(work: Path, say: Progress) -> Path:
        say(f"fetching {package} {version}")
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in digests)
        (work / "requirements.txt").write_text(f"{package}=={version} {hashes}\n")
        options = ["--target", str(work / "slim"), "--no-deps", "--only-binary", ":all:", "--require-hashes"]
        await run([*_pip(), *options, "-r", str(work / "requirements.txt")], work, dict(os.environ))
        return work / "slim"

    return fetch


def _pip() -> list[str]:
    import importlib.util

    if importlib.util.find_spec("pip") is not None:
        return [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",
            "--disable-pip-version-check",
        ]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    message = f"nothing here can fetch packages of Python; type: {INSTALL_PIP}"
    raise ToolchainMissing(message, install=INSTALL_PIP)


async def run(command: Sequence[str], work: Path, environ: Mapping[str, str]) -> str:
    """Run a package client, or what builds a toolchain; return what it said, raise EchelonError with it if it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=work,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    name = Path(command[0]).name
    try:
        output, _ = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
    except TimeoutError:
        raise EchelonError(f"{name} took longer than {INSTALL_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = output.decode("utf-8", "replace")
    if process.returncode:
        raise EchelonError(f"{name} could not fetch the toolchain: {said.strip()[-2000:]}")
    return said
