"""The HTML that Echelon writes, beside that of preact-render-to-string in Deno, for components of every kind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from echelon import Limits, Runtime
from echelon.plugin import toolchain
from echelon.plugin.toolchain.recipe import npm_install
from echelon.view import sources
from echelon.view.bundler import bundle

HERE = Path(__file__).parent
CORPORA = ("corpus", "corpus-compat")
PACKAGES = {"preact": "11.2.0", "preact-render-to-string": "6.8.2"}
PEER = """
import { renderToString } from "preact-render-to-string";
import { cases } from "./%s.tsx";
const found = {};
for (const [name, make] of Object.entries(cases)) {
  try { found["%s " + name] = renderToString(make()); }
  catch (error) { found["%s " + name] = `throws ${error.message}`; }
}
console.log(JSON.stringify(found));
"""
PAGE = 'import { cases } from "./%s.tsx";\nexport default ({ name }) => cases[name]();\n'
CASE = re.compile(r"^  (\w+): \(\) =>", re.MULTILINE)
NAMES = [
    f"{corpus} {name}" for corpus in CORPORA for name in CASE.findall((HERE / f"{corpus}.tsx").read_text())
]


@pytest.fixture(scope="module")
def peer(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the packages write, bundled by the same esbuild and run by Deno."""
    folder = tmp_path_factory.mktemp("peer")
    asyncio.run(npm_install(PACKAGES, folder))
    esbuild = toolchain.JAVASCRIPT.directory(home) / "esbuild"
    options = [
        "--bundle",
        "--format=esm",
        "--jsx=automatic",
        "--jsx-import-source=preact",
        "--outfile=peer.mjs",
    ]
    deno = toolchain.find_javascript("deno")
    assert deno is not None
    environ = {**os.environ, "DENO_DIR": str(folder / "cache"), "NO_COLOR": "1"}
    found: dict[str, str] = {}
    for corpus in CORPORA:
        shutil.copy(HERE / f"{corpus}.tsx", folder)
        (folder / "peer.ts").write_text(PEER.replace("%s", corpus))
        for command in (
            [esbuild, "peer.ts", *options, "--alias:react=preact/compat"],
            [deno.path, "run", "--no-lock", "peer.mjs"],
        ):
            done = subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environ)
        found |= json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def ours(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Echelon writes, each case in an instance of its own."""
    folder = tmp_path_factory.mktemp("ours")
    for corpus in CORPORA:
        shutil.copy(HERE / f"{corpus}.tsx", folder)
        (folder / f"{corpus}-page.tsx").write_text(PAGE.replace("%s", corpus))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHELON_HOME", str(home))
        return asyncio.run(render_all([folder / f"{corpus}-page.tsx" for corpus in CORPORA]))


async def render_all(pages: list[Path]) -> dict[str, str]:
    made = await bundle(sources.collect(pages), [page.name for page in pages], [])
    found = {}
    async with Runtime() as runtime:
        module = await runtime.load(made.script, limits=Limits(time=10))
        for name in NAMES:
            corpus, _, case = name.partition(" ")
            request = json.dumps({"page": CORPORA.index(corpus), "layouts": [], "part": "", "route": {}})
            text: str = await module.call("render", request, json.dumps({"name": case}))
            meta, _, html = text.partition("\n")
            error = json.loads(meta).get("error")
            found[name] = f"throws {error['message']}" if error else html
    return found


def test_every_case_is_there(peer: dict[str, str]) -> None:
    """None is left out by the way in which they are found."""
    assert list(peer) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_html_is_the_same(ours: dict[str, str], peer: dict[str, str], name: str) -> None:
    """Byte for byte."""
    assert ours[name] == peer[name]
