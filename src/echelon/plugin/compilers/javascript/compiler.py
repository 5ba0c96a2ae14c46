"""JavaScript, and TypeScript with its semantics: esbuild bundles a job's files in confinement into one script."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from echelon.errors import Diagnostic
from echelon.plugin import toolchain
from echelon.plugin.compiler import Compiled, Compiler, Job, Probe
from echelon.plugin.compilers import command
from echelon.plugin.compilers.command import CommandCompiler, Missing, Program, Tool
from echelon.plugin.sandbox.process import Isolation
from echelon.runtime import script, script_map

NAME: Final = "javascript"
SUFFIXES: Final = (".js", ".mjs", ".jsx", ".tsx")
_IMPORTED: Final = (".tsx", ".ts", ".jsx", ".js", ".json")
"""What a name without a suffix may end with, in the order in which esbuild looks."""

_IMPORT: Final = re.compile(r"""\b(?:from|import|require)\s*\(?\s*["'](\.[^"'\n]*)["']""")
_PROBLEM: Final = re.compile(
    r"\[(?P<severity>ERROR|WARNING)\] (?P<message>[^\n]+)\n\n\s+(?P<file>[^\n:]+):(?P<line>\d+):(?P<column>\d+):"
)

_OVERFLOW: Final = "fatal error: stack overflow"


def _find(home: Path | None) -> Tool | Missing:
    recipe = toolchain.JAVASCRIPT
    if not recipe.installed(home):
        return Missing("its toolchain is not installed", recipe.command)
    folder = recipe.directory(home)
    digest = _digest(folder / "engine.wasm")
    return Tool(folder / "esbuild", recipe.version, [folder], revision=digest, detail=str(folder))


@lru_cache(4)
def _digest(engine: Path) -> str:
    return "sha256:" + hashlib.sha256(engine.read_bytes()).hexdigest()


def _commands(tool: Tool, job: Job, folder: Path) -> list[list[str]]:
    options = [
        "--bundle", "--format=cjs", "--platform=neutral", "--target=es2023", "--external:echelon",
        "--charset=utf8", "--log-level=warning", "--color=false", "--tsconfig-raw={}", "--jsx=automatic",
        "--sourcemap=inline", "--sources-content=false",
        f"--outfile={folder / command.MODULE}",
    ]  # fmt: skip
    if job.optimize != "none":
        options.append("--minify-syntax")
    return [[str(tool.program), str(folder / command.SOURCES / job.entry), *options]]


def _diagnose(text: str, job: Job) -> list[Diagnostic]:
    found = []
    for match in _PROBLEM.finditer(text):
        file = match["file"].strip().removeprefix("src/")
        known = file in job.files
        line, column = (int(match["line"]), int(match["column"]) + 1) if known else (0, 0)
        severity = "error" if match["severity"] == "ERROR" else "warning"
        found.append(Diagnostic(line, column, severity, match["message"], file if known else None))
    if _OVERFLOW in text:
        found.append(Diagnostic(0, 0, "error", "the source is nested too deeply; take it apart"))
    return found


class JavaScript(Compiler):
    """Makes scripts; what runs them is one engine that the toolchain brings."""

    name = NAME
    suffixes = SUFFIXES

    def __init__(self, home: Path | None = None, *, isolation: Isolation = "required") -> None:
        self._home = home
        program = Program(
            NAME, SUFFIXES, lambda: _find(home), _commands, _diagnose, processes=16, memory=4 << 30
        )
        self._command = CommandCompiler(program, isolation=isolation)

    def probe(self) -> Probe:
        return self._command.probe()

    async def compile(self, job: Job) -> Compiled:
        made = await self._command.compile(job)
        if made.wasm is None:
            return made
        code, places = _split(made.wasm.decode("utf-8", "replace"))
        remote = list(_remote(code, job))
        if remote:
            return Compiled(None, (*made.diagnostics, *remote))
        tool = _find(self._home)
        header = script.ScriptHeader(
            script.VERSION, NAME, tool.revision if isinstance(tool, Tool) else "", _exports(code)
        )
        return replace(made, wasm=script.pack(header, code, places if job.names else None))

    def imports(self, path: str, text: str) -> Iterator[str]:
        """Return where the relative imports of a file may be found."""
        for match in _IMPORT.finditer(text):
            found = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[1]))
            if found.startswith(".."):
                continue
            yield found
            yield from (found + suffix for suffix in _IMPORTED)
            yield from (f"{found}/index{suffix}" for suffix in _IMPORTED)
            if found.endswith(".js"):  # as TypeScript names the file that it makes of its own
                yield found.removesuffix("js") + "ts"

    def engine(self, digest: str) -> bytes | None:
        tool = _find(self._home)
        if isinstance(tool, Missing) or tool.revision != digest:
            return None
        return (toolchain.JAVASCRIPT.directory(self._home) / "engine.wasm").read_bytes()


_MAP: Final = "\n//# sourceMappingURL=data:application/json;base64,"


class _Map(msgspec.Struct):
    sources: list[str]
    mappings: str


def _split(bundle: str) -> tuple[str, bytes | None]:
    """Return a bundle without its source map, and the map with the job's names of files."""
    code, found, text = bundle.rpartition(_MAP)
    if not found:
        return bundle, None
    places = msgspec.json.decode(base64.b64decode(text), type=_Map)
    files = [name.removeprefix(f"{command.SOURCES}/") for name in places.sources]
    return code, script_map.encode(files, places.mappings)


_REMOTE: Final = re.compile(r"""\b(?:require|import)\("((?:https?:)?//[^"\n]*)"\)""")


def _remote(code: str, job: Job) -> Iterator[Diagnostic]:
    """Yield an error for each import of an address, which esbuild leaves for the script to make."""
    for address in dict.fromkeys(_REMOTE.findall(code)):
        for file, text in job.files.items():
            at = next(
                (
                    text.find(f"{quote}{address}{quote}")
                    for quote in "\"'`"
                    if f"{quote}{address}{quote}" in text
                ),
                -1,
            )
            if at >= 0:
                line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
                message = (
                    f'"{address[:200]}" is not fetched: put the file beside the source, import "./name.js"'
                )
                yield Diagnostic(line, column, "error", message, file)
                break


_EXPORT: Final = re.compile(r"__export\(\w+, \{\n(.*?)\n\}\);", re.S)
_FUNCTION: Final = re.compile(r"\bfunction\*? ([\w$]+)\(([\w$, ]*)\)")
_NAME: Final = re.compile(r'^\s*(?:"((?:[^"\\]|\\.)+)"|([\w$]+)): \(\) => ([\w$]+)', re.M)


def _exports(code: str) -> dict[str, list[str]]:
    """Return the names that the bundle exports, with the names of their parameters where these are plain.

    The last table is the entry's: other files' come before it.
    """
    tables = _EXPORT.findall(code)
    params: dict[str, list[str]] = {}
    for name, listed in _FUNCTION.findall(code):
        params.setdefault(name, [param.strip() for param in listed.split(",") if param.strip()])
    found: dict[str, list[str]] = {}
    for quoted, plain, local in _NAME.findall(tables[-1] if tables else ""):
        found[quoted or plain] = params.get(local, [])
    if "default" in found:
        found.setdefault(script.HANDLE, ["request"])
    return found
