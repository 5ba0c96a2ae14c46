"""`echelon inspect`: what a module offers and wants, read from its bytes; nothing of it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from echelon.cli import failures, source, values, worlds
from echelon.cli.parser import Arguments, Command, Usage
from echelon.cli.status import OK
from echelon.cli.terminal import Terminal, clean, table
from echelon.errors import LinkError, LoadError
from echelon.plugin.artifacts import Artifact
from echelon.plugin.interface import wit
from echelon.runtime import binary, exports, linking
from echelon.runtime.binary import Import, ModuleInfo
from echelon.runtime.component.imports import ComponentImports, Everything
from echelon.runtime.core import Runtime
from echelon.runtime.host import HostModule
from echelon.runtime.http_guest import HANDLE, check_handles
from echelon.runtime.limits import KIB, MIB, PAGE
from echelon.runtime.loader import COMMAND, Loaded
from echelon.runtime.signature import Function

_WASI: Final = "wasi_snapshot_preview1"
_FILES: Final = ("read", "write")
_WASI_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "environ_get": ("env",),
    "environ_sizes_get": ("env",),
    "path_open": _FILES,
    "path_filestat_get": ("read",),
    "path_readlink": ("read",),
    "path_create_directory": ("write",),
    "path_filestat_set_times": ("write",),
    "path_link": _FILES,
    "path_remove_directory": ("write",),
    "path_rename": ("write",),
    "path_symlink": ("write",),
    "path_unlink_file": ("write",),
    "sock_accept": ("net",),
    "sock_recv": ("net",),
    "sock_send": ("net",),
    "sock_shutdown": ("net",),
}
_KIT_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "env_get": ("env",),
    "read_file": ("read",),
    "write_file": ("write",),
    "fetch": ("net",),
    **dict.fromkeys(("kv_get", "kv_set", "kv_delete", "kv_list", "kv_atomic"), ("kv",)),
}
_COMPONENT_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "get-environment": ("env",),
    "[method]descriptor.open-at": _FILES,
    "[method]descriptor.stat-at": ("read",),
    "[method]descriptor.read-directory": ("read",),
    "[method]descriptor.readlink-at": ("read",),
    "[method]descriptor.link-at": _FILES,
    "[method]descriptor.rename-at": _FILES,
    **{
        f"[method]descriptor.{name}-at": ("write",)
        for name in ("create-directory", "remove-directory", "set-times", "symlink", "unlink-file")
    },
}
_NEEDS: Final = {_WASI: _WASI_NEEDS, "echelon": _KIT_NEEDS}


def run(command: Command, arguments: Arguments, terminal: Terminal) -> int:
    if arguments.wit and arguments.json:
        raise Usage("--wit and --json are two forms; write one of them")
    path = source.existing_file(arguments.file)
    try:
        artifact = asyncio.run(source.read(path, terminal, source.How(arguments.language)))
    except source.CompileFailed as exc:
        return exc.status
    try:
        if arguments.wit:
            world = asyncio.run(worlds.read(path, artifact))
            terminal.result(wit.text(world, worlds.comment(path, artifact)))
            return OK
        found = describe(path, artifact)
    except LoadError as exc:
        raise failures.in_file(exc, path) from exc
    terminal.result(values.to_json(found, indent=2)) if arguments.json else _show(found, terminal)
    return OK


def describe(path: Path, artifact: Artifact) -> dict[str, Any]:
    """Return everything there is to know of a module; raises LoadError for bytes that are none."""
    if artifact.wasm[:8] == binary.COMPONENT_MAGIC:
        return asyncio.run(_describe_component(path, artifact))
    info = binary.parse(artifact.wasm)
    found = worlds.functions_of_script(artifact.wasm)
    if found is not None:
        return _describe_script(path, artifact, *found)
    signature, plans = exports.read(artifact.wasm, info)
    providers = Runtime().providers
    loaded = Loaded(artifact.wasm, artifact.digest, info, signature, plans, [])
    return {
        "id": artifact.digest,
        "name": path.stem,
        "language": artifact.language if signature.language == "wasm" else signature.language,
        "kind": _kind(loaded),
        "size": len(artifact.wasm),
        "memory": _memory(info),
        "exports": [function.to_dict() | {"signature": str(function)} for function in loaded.exports()],
        "imports": [_import(item, providers) for item in info.imports],
        "permissions": needs(info),
        "provenance": artifact.provenance(),
    }


def _describe_script(
    path: Path, artifact: Artifact, language: str, functions: list[Function]
) -> dict[str, Any]:
    """Describe a source that an engine runs: it imports nothing itself, and may ask for whatever it is granted."""
    return {
        "id": artifact.digest,
        "name": path.stem,
        "language": language,
        "kind": "HTTP guest" if any(function.name == HANDLE for function in functions) else "script",
        "size": len(artifact.wasm),
        "memory": None,
        "exports": [function.to_dict() | {"signature": str(function)} for function in functions],
        "imports": [],
        "permissions": {},
        "provenance": artifact.provenance(),
    }


async def _describe_component(path: Path, artifact: Artifact) -> dict[str, Any]:
    """Do the same for a component, whose types are known once it is compiled; nothing of it runs."""
    offered = ComponentImports()
    async with Runtime() as runtime:
        runtime.component_imports = Everything()
        module = await runtime.load(artifact.wasm, name=path.stem)
        imports: list[dict[str, Any]] = [
            {"type": None, **item, "provided": offered.provides(item["module"], item["name"])}
            for item in module.imports()
        ]
        exports = [function.to_dict() | {"signature": str(function)} for function in module.exports()]
        return {
            "id": artifact.digest,
            "name": path.stem,
            "language": module.language,
            "kind": "WASI command"
            if any("wasi:cli/run@" in item["name"] for item in exports)
            else "component",
            "size": len(artifact.wasm),
            "memory": None,
            "exports": exports,
            "imports": imports,
            "permissions": component_needs(module.imports()),
            "provenance": artifact.provenance(),
        }


def component_needs(imports: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """Return the permissions that a component's WASI imports could ask for, and the imports that are the reason."""
    found: dict[str, list[str]] = {}
    for item in imports:
        if item["module"].startswith("wasi:"):
            for permission in _COMPONENT_NEEDS.get(item["name"], ()):
                found.setdefault(permission, []).append(item["name"].rpartition(".")[2])
    return found


def _kind(loaded: Loaded) -> str:
    """Return what the module can be used as, apart from calling its exports."""
    if COMMAND in loaded.plans:
        return "WASI command"
    try:
        check_handles(loaded, "")
    except LoadError:
        return "module"
    return "HTTP guest"


def _memory(info: ModuleInfo) -> dict[str, int | None] | None:
    if not info.memories:
        return None
    bounds = info.memories[0]
    most = None if bounds.maximum is None else bounds.maximum * PAGE
    return {"minimum": bounds.minimum * PAGE, "maximum": most}


def _import(item: Import, providers: Sequence[HostModule]) -> dict[str, Any]:
    return {
        "module": item.module,
        "name": item.name,
        "kind": item.kind,
        "type": None if item.type is None else str(item.type),
        "provided": _is_provided(item, providers),
    }


def _is_provided(item: Import, providers: Sequence[HostModule]) -> bool:
    """Tell whether this Echelon has what the import asks for, with the type it asks for."""
    try:
        linking.resolve(ModuleInfo(size=0, imports=[item]), providers)
    except LinkError:
        return False
    return True


def needs(info: ModuleInfo) -> dict[str, list[str]]:
    """Return the permissions that the module's imports could ask for, and the imports that are the reason."""
    found: dict[str, list[str]] = {}
    for item in info.imports:
        for permission in _NEEDS.get(item.module, {}).get(item.name, ()):
            found.setdefault(permission, []).append(item.name)
    return found


def _show(found: dict[str, Any], terminal: Terminal) -> None:
    facts = [
        ("digest", found["id"]),
        ("language", found["language"]),
        ("kind", found["kind"]),
        ("size", f"{found['size']} bytes"),
        ("memory", _memory_text(found["memory"])),
    ]
    lines = table(facts)
    lines += _section("exports", [item["signature"] for item in found["exports"]], terminal)
    lines += _section("imports", _import_lines(found["imports"]), terminal)
    reasons = [(f"--allow-{name}", ", ".join(names)) for name, names in found["permissions"].items()]
    lines += _section("permissions it could need", table(reasons) or ["none"], terminal)
    if found["provenance"] is not None:
        lines += _section("compiled here", table(_made(found["provenance"])), terminal)
    terminal.page("\n".join(lines))


def _section(title: str, items: list[str], terminal: Terminal) -> list[str]:
    return ["", terminal.paint(title, "bold", out=True), *(f"  {clean(item)}" for item in items or ["none"])]


def _made(provenance: dict[str, Any]) -> list[tuple[str, str]]:
    kept = [name for name in ("names", "debug") if provenance[name]]
    chosen = [f"{name}={value}" for name, value in provenance["options"].items()]
    return [
        ("compiler", provenance["compiler"]),
        ("options", ", ".join([f"optimize={provenance['optimize']}", *kept, *chosen])),
        *([tuple(provenance["optimizer"].split(" ", 1))] if provenance["optimizer"] else []),
        ("source", provenance["source"]),
        ("made", provenance["made"] or "not known"),
    ]


def _import_lines(imports: list[dict[str, Any]]) -> list[str]:
    return table(
        [
            (
                f"{item['module']}.{item['name']}",
                f"{item['type'] or item['kind']}" + ("" if item["provided"] else "   (nothing provides it)"),
            )
            for item in imports
        ]
    )


def _memory_text(memory: dict[str, int | None] | None) -> str:
    if memory is None:
        return "none"
    low, high = memory["minimum"] or 0, memory["maximum"]
    return f"{_size(low)}, " + ("grows up to its limit" if high is None else f"at most {_size(high)}")


def _size(count: int) -> str:
    return f"{count / MIB:g} MiB" if count >= MIB else f"{count / KIB:g} KiB"
