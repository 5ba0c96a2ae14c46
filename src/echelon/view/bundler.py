"""From sources to what is served: one script that renders every page, and files for the browser.

esbuild runs twice, each time confined: for the server, where our own renderer stands in for Preact, and for the
browser, where it is Preact, when there are islands or styles. The default export of each file below `islands/` is
replaced by a component that marks its place for the browser.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from echelon.errors import CompileError, Diagnostic, ToolchainMissing
from echelon.plugin import toolchain
from echelon.plugin.sandbox import process
from echelon.plugin.sandbox.process import Confinement, Isolation, SandboxError
from echelon.runtime import script, script_map
from echelon.view.joining import join_templates
from echelon.view.sources import ASSETS, Sources, is_island

KIT: Final = Path(__file__).with_name("kit")
PREFIX: Final = "/_views"
"""Where the files for the browser are served."""
SECONDS: Final = 30.0
MEMORY: Final = 4 << 30
DISK: Final = 256 << 20
_BASE: Final = os.path.realpath(tempfile.gettempdir())
_ENTRY: Final = "views.entry.js"
_FILES: Final = '"echelon:island-files"'
"""Stands in the script for what is known when the browser's files are made."""
_STYLES: Final = "styles.css"
_LOADER: Final = KIT / "browser" / "islands.js"
_COMMON: Final = (
    "--bundle", "--charset=utf8", "--log-level=warning", "--color=false", "--tsconfig-raw={}", "--jsx=automatic",
    "--jsx-import-source=preact", "--asset-names=[name]-[hash]", f"--public-path={PREFIX}",
    *[f"--loader:{suffix}=file" for suffix in ASSETS],
)  # fmt: skip
_PROBLEM: Final = re.compile(
    r"\[(?P<severity>ERROR|WARNING)\] (?P<message>[^\n]+)\n(?:\n\s+(?P<file>[^\n:]+):(?P<line>\d+):(?P<column>\d+):)?"
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was made. `pages` and `layouts` are files in the order in which the script numbers them.

    `assets` are files for the browser by name: `loader` starts islands, `imports` says which others a script needs,
    and every page links the `styles`.
    """

    script: bytes = field(repr=False)
    places: bytes = field(repr=False)
    pages: tuple[str, ...]
    layouts: tuple[str, ...]
    assets: Mapping[str, bytes] = field(repr=False)
    imports: Mapping[str, Sequence[str]]
    loader: str
    styles: tuple[str, ...]


def require_toolchain() -> Path:
    """Return where esbuild and the engine are; raises ToolchainMissing."""
    for recipe in (toolchain.JAVASCRIPT, toolchain.VIEWS):
        if not recipe.installed():
            command = toolchain.JAVASCRIPT.command
            raise ToolchainMissing(f"views: the toolchain is not installed; type: {command}", install=command)
    return toolchain.JAVASCRIPT.directory()


async def bundle(
    sources: Sources, pages: Sequence[str], layouts: Sequence[str], *, isolation: Isolation = "required"
) -> Bundle:
    """Build pages and layouts, named as in the sources; raises CompileError with diagnostics, or ToolchainMissing."""
    tools = require_toolchain()
    with tempfile.TemporaryDirectory(prefix="echelon-views-", dir=_BASE) as name:
        work = _Work(Path(name), tools, sources, isolation)
        await asyncio.to_thread(work.prepare, pages, layouts)
        await work.build_server()
        await work.build_browser()
        return await asyncio.to_thread(work.take, tuple(pages), tuple(layouts))


class _Work:
    """One build in a folder of its own: `src` holds the sources, `server` and `browser` what is made."""

    def __init__(self, folder: Path, tools: Path, sources: Sources, isolation: Isolation) -> None:
        self._folder, self._tools, self._sources, self._isolation = folder, tools, sources, isolation
        self._packages = [toolchain.VIEWS.directory() / "node_modules"]
        for base in (sources.base, *sources.base.parents):
            if (base / "node_modules").is_dir():
                self._packages.append(base / "node_modules")
                break
        self._outputs: dict[str, _Output] = {}

    def prepare(self, pages: Sequence[str], layouts: Sequence[str]) -> None:
        """Write the sources and the script's entry."""
        for name, content in self._sources.files.items():
            path = self._folder / "src" / (_original(name) if is_island(name) else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if is_island(name):
                (self._folder / "src" / name).write_text(_proxy(name))
        (self._folder / _ENTRY).write_text(_entry(pages, layouts))

    async def build_server(self) -> None:
        kit = {"preact": "preact", "@preact/signals": "signals", "echelon": "echelon", "react": "preact/compat.js",
               "react-dom": "preact/compat.js"}  # fmt: skip
        await self._run(
            _ENTRY, "--format=cjs", "--platform=neutral", "--target=es2023", "--sourcemap=external",
            "--outdir=server", "--entry-names=server",
            *[f"--alias:{name}={KIT / place}" for name, place in kit.items()],
        )  # fmt: skip

    async def build_browser(self) -> None:
        """Bundle each island and what starts them, and the styles of all pages; nothing when there is neither."""
        islands = [f"{PurePosixPath(name).stem}=src/{_original(name)}" for name in self._sources.islands]
        entries = [*islands, f"islands={_LOADER}"] if islands else []
        made = self._folder / "server" / "server.css"
        if made.is_file():
            made.rename(self._folder / _STYLES)
            entries.append(f"styles={_STYLES}")
        if not entries:
            return
        preact = toolchain.VIEWS.directory() / "node_modules" / "preact"
        await self._run(
            *entries, "--format=esm", "--platform=browser", "--target=es2022", "--splitting", "--minify",
            "--outdir=browser", "--entry-names=[name]-[hash]", "--chunk-names=[name]-[hash]", "--metafile=meta.json",
            f"--external:{PREFIX}/*", f"--alias:preact={preact}", f"--alias:echelon={KIT / 'browser'}",
            "--alias:react=preact/compat", "--alias:react-dom=preact/compat",
        )  # fmt: skip
        meta = msgspec.json.decode((self._folder / "meta.json").read_bytes(), type=_Meta)
        self._outputs = {PurePosixPath(name).name: output for name, output in meta.outputs.items()}

    async def _run(self, *arguments: str) -> None:
        program = self._tools / "esbuild"
        confinement = Confinement(
            self._folder, read=[program, KIT, *self._packages, *process.LIBRARIES], seconds=SECONDS, memory=MEMORY,
            disk=DISK, processes=16, isolation=self._isolation,
        )  # fmt: skip
        environ = {"NODE_PATH": os.pathsep.join(map(str, self._packages))}
        try:
            done = await process.run([str(program), *arguments, *_COMMON], confinement, environ)
        except SandboxError as exc:
            raise ToolchainMissing(f"views: {exc}", install="echelon doctor") from exc
        if done.stopped or done.status:
            said = (done.stderr + done.stdout).decode("utf-8", "replace")
            raise _failure(said, done.stopped, set(self._sources.files))

    def take(self, pages: tuple[str, ...], layouts: tuple[str, ...]) -> Bundle:
        """Return what lies in the folders."""
        made = self._folder / "server"
        entries = {out.entryPoint: name for name, out in self._outputs.items() if out.entryPoint}
        islands = {name: entries[f"src/{_original(name)}"] for name in self._sources.islands}
        files = msgspec.json.encode(islands).decode()
        code = join_templates((made / "server.js").read_text("utf-8")).replace(_FILES, files)
        digest = "sha256:" + hashlib.sha256((self._tools / "engine.wasm").read_bytes()).hexdigest()
        exports = {"render": ["request", "props"]}
        header = script.ScriptHeader(script.VERSION, "javascript", digest, exports)
        places = _places((made / "server.js.map").read_bytes())
        assets = {
            path.name: path.read_bytes()
            for folder in (made, self._folder / "browser")
            if folder.is_dir()
            for path in sorted(folder.iterdir())
            if not path.name.startswith("server.")
        }
        loader = next((name for entry, name in entries.items() if entry.endswith(_LOADER.name)), "")
        return Bundle(
            script=script.pack(header, code, places),
            places=places,
            pages=pages,
            layouts=layouts,
            assets=assets,
            imports={name: self._imports(name) for name in (loader, *islands.values()) if name},
            loader=loader,
            styles=tuple(name for entry, name in entries.items() if entry == _STYLES),
        )

    def _imports(self, script: str) -> list[str]:
        """Return the files that a script imports at once, with what these import."""
        found, waiting = [script], [script]
        while waiting:
            for item in self._outputs[waiting.pop()].imports:
                name = PurePosixPath(item.path).name
                if item.kind == "import-statement" and not item.external and name not in found:
                    found.append(name)
                    waiting.append(name)
        return found[1:]


class _Import(msgspec.Struct):
    path: str
    kind: str
    external: bool = False


class _Output(msgspec.Struct):
    imports: list[_Import] = []
    entryPoint: str = ""


class _Meta(msgspec.Struct):
    """What esbuild says that it made."""

    outputs: dict[str, _Output]


class _SourceMap(msgspec.Struct):
    sources: list[str]
    mappings: str


def _places(content: bytes) -> bytes:
    """Return a source map with the author's names of files; what is not theirs has none."""
    found = msgspec.json.decode(content, type=_SourceMap)
    files = [name.lstrip("./") for name in found.sources]
    own = [
        name.removeprefix("src/").replace(".original.", ".") if name.startswith("src/") else ""
        for name in files
    ]
    return script_map.encode(own, found.mappings)


def _original(name: str) -> str:
    """Return what an island's own file is called during a build."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}.original{dot}{suffix}"


def _proxy(name: str) -> str:
    own = _quote(f"./{PurePosixPath(_original(name)).name}")
    return (
        f'import {{ island }} from "echelon/view";\nimport component from {own};\nexport * from {own};\n'
        f"export default island(component, {_quote(name)});\n"
    )


def _entry(pages: Sequence[str], layouts: Sequence[str]) -> str:
    lines = ['import { serve } from "echelon/server";', 'export { $static$, $tpl$ } from "echelon/server";']
    for kind, files in (("page", pages), ("layout", layouts)):
        lines += [
            f"import * as {kind}{number} from {_quote(f'./src/{name}')};" for number, name in enumerate(files)
        ]
    listed = [
        ", ".join(f"{kind}{number}" for number in range(len(files)))
        for kind, files in (("page", pages), ("layout", layouts))
    ]
    return "\n".join([*lines, f"export const render = serve([{listed[0]}], [{listed[1]}], {_FILES});"]) + "\n"


def _quote(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _failure(text: str, stopped: str, files: set[str]) -> CompileError:
    """Return the error for what esbuild printed, with the names of files as their author has them."""
    found = []
    for match in _PROBLEM.finditer(text):
        file = (match["file"] or "").strip().removeprefix("src/").replace(".original.", ".")
        known = file in files
        line, column = (int(match["line"]), int(match["column"]) + 1) if known else (0, 0)
        severity = "error" if match["severity"] == "ERROR" else "warning"
        found.append(Diagnostic(line, column, severity, match["message"], file if known else None))
    first = next((item for item in found if item.severity == "error"), None)
    if stopped or first is None:
        why = f"it was stopped: {stopped}" if stopped else text.strip()[-1000:]
        return CompileError(f"the bundler failed: {why}", tuple(found))
    return CompileError(str(first) if first.line else first.message, tuple(found))
