"""Three that render the page: Echelon, Deno with preact-render-to-string, and Jinja2."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.row import CannotRun
from echelon.http.response import encode_json
from echelon.plugin import toolchain
from echelon.plugin.toolchain.recipe import npm_install
from echelon.runtime.core import Runtime
from echelon.runtime.module import Module
from echelon.view import sources
from echelon.view.bundler import bundle
from echelon.view.site import LIMITS

_HERE: Final = Path(__file__).parent
_PACKAGES: Final = {"preact": "11.2.0", "preact-render-to-string": "6.8.2"}
_PEER: Final = """
import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import Page from "./page.tsx";
export const renderPage = (props) => renderToString(h(Page, props));
"""


def properties(rows: int) -> dict[str, Any]:
    """Return what the page shows."""
    products = [
        {"id": number, "name": f"Bolt <{number}", "price": number * 1.5 + 7, "tags": ["steel", "m & m"]}
        for number in range(rows)
    ]
    return {"title": "Nuts & bolts", "products": products}


class EchelonPage:
    """The page as Echelon's views render it: in a fresh instance, with limits, from properties in Python."""

    def __init__(self, module: Module) -> None:
        self._module = module
        route = {"path": "/", "params": {}, "query": {}, "nonce": ""}
        self._request = encode_json({"page": 0, "layouts": [], "part": "", "route": route}).decode()

    @classmethod
    async def load(cls, wasm: Runtime) -> EchelonPage:
        """Build the page and load it."""
        page = "page.tsx"
        made = await bundle(sources.collect([_HERE / page]), [page], [])
        return cls(await wasm.load(made.script, name="views", limits=LIMITS))

    async def render(self, props: dict[str, Any]) -> str:
        """Return the page's HTML."""
        text: str = await self._module.call("render", self._request, encode_json(props).decode())
        return text.partition("\n")[2]


class JinjaPage:
    """The page as a template that was compiled before, with escaping."""

    def __init__(self) -> None:
        try:
            from jinja2 import Environment, FileSystemLoader
        except ImportError as exc:
            raise CannotRun("Jinja2 is missing: pip install -r benchmarks/requirements.txt") from exc
        environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, auto_reload=False)
        self._template = environment.get_template("page.html", globals={"currency": "CHF"})

    async def render(self, props: dict[str, Any]) -> str:
        """Return the page's HTML."""
        return str(self._template.render(props))


class DenoPage:
    """The page in a process of Deno, which measures itself."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, folder: Path) -> DenoPage:
        """Bundle the page in a folder with the esbuild that Echelon has, and start Deno on it."""
        beside = Path(sys.executable).with_name("deno")
        deno = str(beside) if beside.exists() else shutil.which("deno")
        if deno is None:
            raise CannotRun("Deno is missing: pip install -r benchmarks/requirements.txt")
        await npm_install(_PACKAGES, folder)
        for name in ("page.tsx", "deno.js"):
            shutil.copy(_HERE / name, folder)
        (folder / "peer.js").write_text(_PEER)
        bundler = await asyncio.create_subprocess_exec(
            toolchain.JAVASCRIPT.directory() / "esbuild", "peer.js", "--bundle", "--minify", "--format=esm",
            "--jsx=automatic", "--jsx-import-source=preact", "--outfile=peer.mjs", "--log-level=warning",
            '--define:process.env.NODE_ENV="production"', cwd=folder,
        )  # fmt: skip
        if await bundler.wait():
            raise CannotRun("esbuild could not bundle the page for Deno; what it said is above")
        process = await asyncio.create_subprocess_exec(
            deno, "run", "--quiet", "--no-lock", "deno.js",
            cwd=folder, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
        )  # fmt: skip
        return cls(process)

    async def render(self, props: dict[str, Any]) -> str:
        """Return the page's HTML."""
        return str(await self._ask(0, props))

    async def measure(self, count: int, props: dict[str, Any]) -> float:
        """Return the microseconds of one render, of as many."""
        return float(await self._ask(count, props))

    async def close(self) -> None:
        """End the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _ask(self, count: int, props: dict[str, Any]) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise CannotRun("Deno has no pipes")
        stdin.write(json.dumps({"count": count, "props": props}).encode() + b"\n")
        line = await stdout.readline()
        if not line:
            raise CannotRun("Deno ended while it was to render; what it said is above")
        return json.loads(line)
