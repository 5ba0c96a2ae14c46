"""`echelon doctor` and `toolchain doctor`: is everything here that Echelon needs, and does it work?"""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from echelon.cli import values
from echelon.cli.parser import Arguments, Command
from echelon.cli.status import FAILED, OK
from echelon.cli.terminal import Terminal, clean
from echelon.config import Config
from echelon.errors import ConfigError, EchelonError
from echelon.runtime.host_facts import HostFacts
from echelon.runtime.limits import GIB, MIB

State = Literal["ok", "remark", "broken"]

PYTHON: Final = (3, 11)
NEEDED: Final = ("wasmtime", "cffi", "granian", "msgspec", "apsw", "python-multipart")
OPTIONAL: Final = {
    "uvloop": "the server is faster with it: pip install uvloop",
    "watchfiles": 'reload needs it: pip install "echelon[reload]"',
    "asyncpg": 'a store on PostgreSQL needs it: pip install "echelon[postgres]"',
    "h2": 'KV Connect needs it: pip install "echelon[connect]"',
    "opentelemetry-sdk": 'exporting traces needs it: pip install "echelon[telemetry]"',
}
LEAST_DISK: Final = 512 * MIB
LEAST_MEMORY: Final = 512 * MIB
LEAST_FILES: Final = 1024
_COLOURS: Final = {"ok": "green", "remark": "yellow", "broken": "red"}
_BROKEN: Final = (EchelonError, OSError, ImportError, AttributeError, ValueError)
"""What a damaged installation raises."""
_SELF_TEST: Final = (
    '(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))'
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `advice` is what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    look = _compilers if command.name == "toolchain doctor" else _all
    checks = []
    for check in look(arguments.config):
        checks.append(check)
        if not arguments.json:
            _show(check, terminal)
    broken = [check.name for check in checks if check.state == "broken"]
    if arguments.json:
        document = [{name: getattr(check, name) for name in Check.__slots__} for check in checks]
        terminal.result(values.to_json({"healthy": not broken, "checks": document}, indent=2))
    if broken:
        terminal.error(f"{len(broken)} of {len(checks)} checks failed: {', '.join(broken)}")
    return FAILED if broken else OK


def _show(check: Check, terminal: Terminal) -> None:
    mark = terminal.paint(f"{check.state:<6}", _COLOURS[check.state], out=True)
    terminal.page(f"{mark}  {check.name:<16}  {clean(check.found)}")
    if check.advice:
        terminal.page(f"{'':<26}{clean(check.advice)}")
    terminal.flush()


def _all(file: str | None) -> Iterator[Check]:
    yield _python()
    yield from _packages()
    yield _engine()
    try:
        config = Config.load(file)
        problem = ""
    except ConfigError as exc:
        config, problem = Config(), str(exc)
    yield from _languages(config)
    yield _optimizer()
    yield from _sandbox()
    if problem:
        yield Check("configuration", "broken", problem, "correct it; `echelon config` shows what is read")
    else:
        yield Check("configuration", "ok", f"{len(config.origins())} settings; `echelon config` shows them")
    yield _directory("state", config.state)
    yield _directory("compilers", _home())
    yield _directory("native code", config.wasm.cache)
    yield _port(config)
    yield from _machine()


def _compilers(file: str | None) -> Iterator[Check]:
    yield from _languages(Config.load(file))
    yield _optimizer()
    yield from _sandbox()
    yield _directory("compilers", _home())


def _python() -> Check:
    found = (
        f"{platform.python_implementation()} {platform.python_version()} on {platform.platform(terse=True)}"
    )
    if sys.version_info[:2] >= PYTHON:
        return Check("python", "ok", f"{found} ({sys.executable})")
    return Check("python", "broken", found, "install Python 3.11 or newer")


def _packages() -> Iterator[Check]:
    versions = {name: _version(name) for name in (*NEEDED, *OPTIONAL)}
    missing = [name for name in NEEDED if versions[name] is None]
    found = ", ".join(f"{name} {versions[name]}" for name in NEEDED if versions[name])
    advice = f"install them: pip install --force-reinstall echelon (missing: {', '.join(missing)})"
    yield Check("packages", "broken", found, advice) if missing else Check("packages", "ok", found)
    for name, why in OPTIONAL.items():
        version = versions[name]
        if version is None:
            yield Check(name, "remark", "not installed", why)
        else:
            yield Check(name, "ok", version)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _engine() -> Check:
    """Compile and run a module for real."""
    try:
        from echelon.runtime import native

        version = native.engine_version()
        total = asyncio.run(_self_test())
    except _BROKEN as exc:
        advice = "reinstall the engine: pip install --force-reinstall wasmtime cffi"
        return Check("engine", "broken", f"{type(exc).__name__}: {exc}", advice)
    if total != 42:
        return Check("engine", "broken", f"wasmtime {version} adds 40 and 2 to {total}", "report this")
    return Check("engine", "ok", f"wasmtime {version}; a module was compiled and called")


async def _self_test() -> object:
    from echelon.plugin.compilers.wat import assemble
    from echelon.runtime.core import Runtime, RuntimeSettings

    with tempfile.TemporaryDirectory(prefix="echelon-doctor-") as cache:
        async with Runtime(RuntimeSettings(instances=1, cache=Path(cache))) as runtime:
            module = await runtime.load(assemble(_SELF_TEST), name="self-test")
            return await module.call("add", 40, 2)


def _languages(config: Config) -> Iterator[Check]:
    from echelon.plugin import languages
    from echelon.plugin.generator import Generator

    try:
        found = asyncio.run(Generator(languages.compilers(config)).languages())
    except _BROKEN as exc:  # a plug-in, or the engine that assembles WAT
        yield Check("languages", "broken", f"{type(exc).__name__}: {exc}")
        return
    for language in found:
        probe = language.probe
        detail = f" ({probe.detail})" if probe.detail else ""
        if probe.found:
            yield Check(language.name, "ok", f"{probe.version}{detail}")
        else:
            yield Check(language.name, "remark", f"no compiler{detail}", f"to use it, type: {probe.install}")


def _optimizer() -> Check:
    from echelon.plugin import toolchain
    from echelon.plugin.optimizer import Optimizer

    found = Optimizer().version()
    if found:
        return Check("wasm-opt", "ok", found)
    advice = f"modules get smaller with it; to use it, type: {toolchain.BINARYEN.command}"
    return Check("wasm-opt", "remark", "not installed, or older than version 120", advice)


def _sandbox() -> Iterator[Check]:
    """Tell which of the walls around a compiler stand on this machine."""
    from echelon.plugin.sandbox import process

    for name, why in process.protections().items():
        if not why:
            yield Check(name, "ok", "active for compilers")
        elif name in process.REQUIRED:
            advice = "native compilers refuse to run without it; use a newer kernel, or a container that permits it"
            yield Check(name, "remark", f"not active: {why}", advice)
        else:
            yield Check(name, "remark", f"not active: {why}")


def _home() -> Path:
    from echelon.plugin import toolchain

    return toolchain.home()


def _directory(name: str, path: Path) -> Check:
    """Check that a folder, or the one it would be made in, can be written and has room."""
    existing = next((folder for folder in (path, *path.parents) if folder.exists()), path)
    if not existing.is_dir():
        return Check(name, "broken", f"{existing} is not a folder", "remove it, or choose another folder")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as exc:
        advice = "choose a folder that you may write to"
        return Check(name, "broken", f"{path} cannot be written: {exc.strerror or exc}", advice)
    free = shutil.disk_usage(existing).free
    found = f"{path}{'' if path.exists() else ' (not made yet)'}, {free / GIB:.1f} GiB free"
    if free < LEAST_DISK:
        return Check(name, "remark", found, f"less than {LEAST_DISK // MIB} MiB are free: make room")
    return Check(name, "ok", found)


def _port(config: Config) -> Check:
    from echelon.http.server import claim_port

    host, port = config.server.host, config.server.port
    try:
        claim_port(host, port)
    except ConfigError as exc:
        return Check("port", "remark", str(exc))
    return Check("port", "ok", f"{host}:{port} is free" if port else "a free one is taken")


def _machine() -> Iterator[Check]:
    facts = HostFacts.read()
    yield Check("processors", "ok", f"{facts.processors:g}")
    if facts.memory is not None:
        low = facts.memory < LEAST_MEMORY
        advice = f"Echelon is comfortable with {LEAST_MEMORY // MIB} MiB or more" if low else ""
        yield Check("memory", "remark" if low else "ok", f"{facts.memory / GIB:.1f} GiB", advice)
    yield from _resource_limits()


def _resource_limits() -> Iterator[Check]:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = files != resource.RLIM_INFINITY and files < LEAST_FILES
    advice = f"a busy server needs more: ulimit -n {LEAST_FILES}" if few else ""
    shown = "unlimited" if files == resource.RLIM_INFINITY else str(files)
    yield Check("open files", "remark" if few else "ok", shown, advice)
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY:
        advice = "the instance pool reserves address space, not memory: ulimit -v unlimited"
        yield Check("address space", "remark", f"{space / GIB:.1f} GiB", advice)
