"""`echelon call`: one call of a function, or one run of a WASI command, in a fresh sandbox."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from echelon.cli import failures, source, values
from echelon.cli.parser import EVERYTHING, Arguments, Command, Usage
from echelon.cli.prompt import Prompt, can_ask
from echelon.cli.status import OK, status_of
from echelon.cli.terminal import Terminal, clean, is_terminal
from echelon.cli.trace import Trace
from echelon.config import Config
from echelon.errors import ConfigError, FunctionNotFound, GuestError, GuestExit, LoadError, PermissionDenied
from echelon.plugin.artifacts import Artifact
from echelon.runtime.core import Runtime, RuntimeSettings
from echelon.runtime.limits import Limits
from echelon.runtime.loader import COMMAND
from echelon.runtime.module import Module
from echelon.runtime.permissions import KINDS, Permissions
from echelon.runtime.result import Outcome
from echelon.runtime.signature import Function

MAX_STDIN: Final = 64 << 20
"""Bytes of standard input that are passed on: they are read whole before the guest starts."""
_READS_INPUT: Final = ("fd_read", "fd_pread")
_SLOTS: Final = 4


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    path = source.existing_file(arguments.file)
    permissions, limits = _permissions(arguments), _limits(arguments)
    try:
        return asyncio.run(_call(path, arguments, permissions, limits, terminal))
    except source.CompileFailed as exc:
        return exc.status


async def _call(
    path: Path, arguments: Arguments, permissions: Permissions, limits: Limits, terminal: Terminal
) -> int:
    artifact = await source.read(path, terminal, source.How(arguments.language))
    async with Runtime(_settings(limits)) as runtime, AsyncExitStack() as stack:
        module = await _load(runtime, path, artifact, permissions, limits)
        if not arguments.no_prompt and can_ask(terminal):
            module.grants.ask_somebody = Prompt(terminal)
        if arguments.trace_permissions:
            trace = Trace()
            stack.callback(_show_trace, trace, module, terminal)
            module.permissions = module.permissions.watched(trace.note)
        await _open_store(module, arguments, stack)
        try:
            if arguments.function is None:
                value, outcome = None, await _run_command(module, path, arguments.rest or [])
            else:
                value, outcome = await _run_function(module, path, arguments)
        except (GuestError, PermissionDenied) as exc:
            return _failed(exc, arguments.function, terminal)
    _show(value, outcome, arguments.json, terminal)
    return OK


def _show_trace(trace: Trace, module: Module, terminal: Terminal) -> None:
    options = trace.options(module.permissions)
    if module.permissions.check_sys("clock") and any(
        "clock" in i["name"] or "now" in i["name"] for i in module.imports()
    ):
        options = f"{options} --allow-sys=clock".lstrip()
    terminal.note(f"permissions used: {clean(options)}" if options else "permissions used: none")


async def _open_store(module: Module, arguments: Arguments, stack: AsyncExitStack) -> None:
    """Open the store for a module that could use it; raises Usage when there is none."""
    imports = module.imports()
    if not module.is_hosted and not any(
        i["module"] == "echelon" and i["name"].startswith("kv_") for i in imports
    ):
        return
    if not (module.permissions.kv or module.permissions.may_grow):
        return
    from echelon.kv import open_kv

    given = arguments.store is not None
    path = Path(arguments.store) if given else Config.load(arguments.config).kv.path
    if not given and not path.exists():
        if not module.permissions.kv:
            return
        raise Usage(f"there is no store {path}; name one with --store FILE, it is made if it is not there")
    if not path.parent.is_dir():
        raise Usage(f"there is no folder {path.parent} to make the store {path.name} in")
    module.runtime.kv = await stack.enter_async_context(open_kv(path))


def _failed(error: GuestError | PermissionDenied, function: str | None, terminal: Terminal) -> int:
    if error.outcome is not None:
        _pass_on(error.outcome, terminal)
    if isinstance(error, GuestExit):
        what = "the command ended" if error.code else f"{function} ended the guest"
        terminal.error(f"{what} with exit status {error.code}{'' if error.code else ' instead of a value'}")
        return status_of(error)
    return failures.report(error, terminal)


async def _load(
    runtime: Runtime, path: Path, artifact: Artifact, permissions: Permissions, limits: Limits
) -> Module:
    try:
        return await runtime.load(artifact.wasm, name=path.name, permissions=permissions, limits=limits)
    except LoadError as exc:
        raise failures.in_file(exc, path) from exc


async def _run_command(module: Module, path: Path, words: list[str]) -> Outcome:
    """Run the main program of a WASI command."""
    if COMMAND not in {function.name for function in module.exports()}:
        raise Usage(f"{path} is not a WASI command: name a function to call; {_known(module)}")
    return await module.run(args=(path.name, *words), stdin=_standard_input(module))


async def _run_function(module: Module, path: Path, arguments: Arguments) -> tuple[str | None, Outcome]:
    """Call a function; the value comes back as the line to print, None when it returns nothing."""
    words = [*arguments.args, *(arguments.rest or ())]
    function = _find(module, arguments.function)
    given = values.read_arguments(function, words, any_number=module.is_hosted)
    try:
        outcome = await module.run(function.name, *given)
    except (TypeError, ValueError) as exc:  # what only the module knows: ranges, sizes, references
        raise Usage(str(exc)) from exc
    return (values.show(outcome.value) if _has_value(function, outcome) else None), outcome


def _has_value(function: Function, outcome: Outcome) -> bool:
    """Tell None that is a value from none at all."""
    if outcome.value is not None:
        return True
    return [result.type.partition("<")[0] for result in function.results] == ["option"]


def _find(module: Module, name: str) -> Function:
    exports = module.exports()
    found = next((function for function in exports if function.name == name), None)
    if found is None:
        command = COMMAND in {function.name for function in exports}
        hint = "; to run it as a WASI command, write its arguments after --" if command else ""
        raise FunctionNotFound(f'{module.name} has no function "{name}"; {_known(module)}{hint}')
    return found


def _known(module: Module) -> str:
    return "it exports " + (", ".join(str(function) for function in module.exports()) or "no function")


def _show(value: str | None, outcome: Outcome, as_json: bool, terminal: Terminal) -> None:
    if as_json:
        terminal.result(values.to_json(outcome.to_dict(), indent=2))
        return
    _pass_on(outcome, terminal)
    if value is not None:
        terminal.result(value)


def _pass_on(outcome: Outcome, terminal: Terminal) -> None:
    """Write what the guest printed and logged."""
    terminal.raw(outcome.stdout)
    terminal.raw(outcome.stderr, error=True)
    for entry in outcome.logs:
        terminal.note(f"{terminal.paint(entry.level + ':', 'cyan')} {clean(entry.message)}")


def _standard_input(module: Module) -> bytes:
    """Read standard input if the module can and it is not a terminal; raises Usage when it is too long."""
    reads = any(item["name"] in _READS_INPUT for item in module.imports())
    stream = sys.stdin
    if not reads or stream is None or stream.closed or is_terminal(stream):
        return b""
    data: bytes = stream.buffer.read(MAX_STDIN + 1)
    if len(data) > MAX_STDIN:
        raise Usage(f"standard input has more than {MAX_STDIN} bytes, which is all a guest is given")
    return data


def _settings(limits: Limits) -> RuntimeSettings:
    """Return a small runtime whose ceilings are what was asked for: whoever types the limits owns the machine."""
    usual = RuntimeSettings()
    return replace(
        usual,
        instances=_SLOTS,
        max_memory=max(usual.max_memory, limits.memory),
        max_time=max(usual.max_time, limits.time),
        limits=Limits(),
    )


def _permissions(arguments: Arguments) -> Permissions:
    allow, deny = _flags(arguments, "allow"), _flags(arguments, "deny")
    for verb, flags in (("allow", allow), ("deny", deny)):
        for kind, text in flags.items():
            try:
                Permissions.from_flags({kind: text})
            except ConfigError as exc:
                reason = str(exc).removeprefix(f"permissions.{kind}: ")
                raise Usage(f"--{verb}-{kind}: {reason}") from exc
    given = Permissions.from_flags(allow, deny)
    return given if arguments.permissions is None else _named_set(arguments).join(given)


def _named_set(arguments: Arguments) -> Permissions:
    sets = Config.load(arguments.config).permissions
    found = sets.get(arguments.permissions)
    if found is None:
        known = f"there are {', '.join(sets)}" if sets else "write [permissions.NAME] in echelon.toml"
        raise Usage(f"--permissions: there is no set {arguments.permissions!r}; {known}")
    return found


def _flags(arguments: Arguments, verb: str) -> dict[str, str | None]:
    """Return what each of the options names, None for everything; an option may be repeated."""
    found: dict[str, str | None] = {}
    for kind in KINDS:
        given: list[str] = getattr(arguments, f"{verb}_{kind}")
        if given:
            found[kind] = None if EVERYTHING in given else ",".join(given)
    return found


def _limits(arguments: Arguments) -> Limits:
    given: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("memory", "time", "stack", "output")
        if getattr(arguments, name) is not None
    }
    for name in ("fuel", "host_calls"):
        text = getattr(arguments, name)
        if text is not None:
            given[name] = _count(text, f"--{name.replace('_', '-')}")
    try:
        return Limits(**given)
    except ConfigError as exc:
        option = (exc.key or "").replace("_", "-")
        raise Usage(f"--{option}: {str(exc).removeprefix(f'{exc.key}: ')}") from exc


def _count(text: str, option: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) < 1:
        raise Usage(f"{option}: {text!r} is not a whole number greater than zero")
    return int(text)
