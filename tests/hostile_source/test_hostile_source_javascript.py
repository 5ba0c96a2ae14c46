"""Hostile sources of JavaScript: each is bundled within its limits, without any of it running, and reads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.errors import CompileError
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

Source = str | Mapping[str, str]
END = "\nexport function f() { return 1 }\n"

BAD: dict[str, Source] = {
    # what is not the source's
    "absolute file": 'import x from "/etc/passwd"; export const f = () => x',
    "file above": 'import x from "../../../../../../etc/passwd"; export const f = () => x',
    "file by URL": 'import x from "file:///etc/passwd"; export const f = () => x',
    "file as text": 'import x from "/etc/passwd" with { type: "text" }; export const f = () => x',
    "file as JSON": 'import x from "/etc/hostname" with { type: "json" }; export const f = () => x',
    "required file": 'const x = require("/etc/passwd"); export const f = () => x',
    "required above": 'const x = require("../../../../../etc/passwd"); export const f = () => x',
    "dynamic file": 'export const f = () => import("/etc/passwd")',
    "re-exported file": 'export * from "/etc/passwd"',
    "device": 'import x from "/dev/zero"; export const f = () => x',
    "process": 'import x from "/proc/self/environ"; export const f = () => x',
    "network": 'import x from "https://example.com/x.js"; export const f = () => x',
    "package": 'import x from "left-pad"; export const f = () => x',
    "npm": 'import x from "npm:left-pad"; export const f = () => x',
    "jsr": 'import x from "jsr:@std/path"; export const f = () => x',
    "node": 'import { readFileSync } from "node:fs"; export const f = () => readFileSync("/etc/passwd")',
    "JSX of elsewhere": {"main.tsx": "/** @jsxImportSource /etc/x */\nexport const f = () => <a/>"},
    "package's entry": {
        "main.js": 'import x from "./lib"; export const f = () => x',
        "lib/package.json": '{"main": "../../../../../../etc/passwd"}',
    },
    "package's names": {
        "main.js": 'import x from "#secret"; export const f = () => x',
        "package.json": '{"imports": {"#secret": "/etc/passwd"}}',
    },
    "paths of TypeScript": {
        "main.ts": 'import x from "secret"; export const f = () => x',
        "tsconfig.json": '{"compilerOptions": {"paths": {"secret": ["/etc/passwd"]}, "baseUrl": "/etc"}}',
    },
    "configuration of elsewhere": {
        "main.ts": "export const f = () => x +",
        "tsconfig.json": '{"extends": "/etc/passwd"}',
    },
    # what has no end, or no measure
    "deep arrays": "export const f = " + "[" * 200_000 + "]" * 200_000,
    "deep blocks": "export function f() " + "{" * 200_000 + "}" * 200_000,
    "deep functions": "export const f = " + "() => " * 150_000 + "1 +",
    "deep elements": {"main.tsx": "export const f = " + "<a>" * 100_000 + "</a>" * 100_000},
    "deep types": {"main.ts": "type T = " + "Array<" * 100_000 + "1" + ">" * 100_000 + "; export const f ="},
    "many errors": "let a = ;\n" * 50_000,
    "many names": "const a = 1;\n" * 50_000,
    "long line": "x " * 400_000,
    "nothing": "\0" * 1000,
    "half a character": "export const f = '\\ud800' +",
}  # fmt: skip

# What may be bundled; all that matters is that it is over soon, runs nothing, and has nothing of the machine in it.
GOOD: dict[str, Source] = {
    "endless": "for (;;);" + END,
    "exit": "process.exit(1); Deno.exit(1)" + END,
    "write": 'Deno.writeTextFileSync("/tmp/written-by-a-source", "x")' + END,
    "source map of elsewhere": END + "//# sourceMappingURL=/etc/passwd\n",
    "source map above": END + "//# sourceMappingURL=../../../../../../etc/passwd\n",
    "reference": {"main.ts": '/// <reference path="/etc/passwd" />' + END},
    "address": 'export const f = () => new URL("/etc/passwd", import.meta.url).href',
    "worker": 'export const f = () => new Worker(new URL("/etc/passwd", import.meta.url))',
    "import of a variable": 'const name = "/etc/passwd"; export const f = () => import(name)',
    "deep parentheses": "export const f = " + "(" * 200_000 + "1" + ")" * 200_000,
    "deep objects": "export const f = " + "{a:" * 150_000 + "1" + "}" * 150_000,
    "deep templates": "export const f = " + "`${" * 100_000 + "1" + "}`" * 100_000,
    "long sum": "export const f = () => " + "1+" * 50_000 + "1",
    "many functions": "".join(f"export function f{n}(a, b) {{ return a + b }}\n" for n in range(10_000)),
    "long text": "export const f = () => '" + "x" * 900_000 + "'",
    "constant folding": "export const f = () => " + " + ".join(["'" + "x" * 100 + "'"] * 5000),
    "odd names": {"main.js": 'import "./__proto__.js";' + END, "__proto__.js": "Object.prototype.x = 1"},
    "cycle": {"main.js": 'import { a } from "./b.js"; export const f = () => a', "b.js": 'export * from "./main.js"'},
    "many files": {
        "main.js": "".join(f'import "./m{n}.js"\n' for n in range(63)) + END,
        **{f"m{n}.js": f'import "./m{(n + 1) % 63}.js"' for n in range(63)},
    },
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A generator of scripts."""
    async with Generator([JavaScript(home)], tmp_path_factory.mktemp("a") / "store") as running:
        yield running


@pytest.mark.parametrize("name", BAD)
async def test_bad_source(generator: Generator, name: str) -> None:
    """It is an error whose text is short, and has nothing of the machine's files in it."""
    with pytest.raises(CompileError) as caught:
        await asyncio.wait_for(generator.compile(BAD[name], language="javascript"), 60)
    assert 1 <= len(caught.value.diagnostics) <= 101
    said = "".join(item.message for item in caught.value.diagnostics)
    assert "root:" not in said
    assert all(len(item.message) <= 1000 for item in caught.value.diagnostics)


@pytest.mark.parametrize("name", GOOD)
async def test_source_that_does_not_run(generator: Generator, name: str) -> None:
    """Bundling ends soon, and reads and writes nothing, whatever the source would do."""
    try:
        artifact = await asyncio.wait_for(generator.compile(GOOD[name], language="javascript"), 60)
    except CompileError as exc:
        assert "root:" not in str(exc)  # noqa: PT017 - either is well
    else:
        assert len(artifact.wasm) < 16 << 20
        assert b"root:" not in artifact.wasm
    assert not Path("/tmp/written-by-a-source").exists()


async def test_a_good_source_after_the_bad_ones(generator: Generator) -> None:
    """What bundles is still there, or was started anew."""
    artifact = await generator.compile("export const f = () => 42" + "\n" * 3, language="javascript")
    assert artifact.diagnostics == ()


async def test_an_address_is_refused_where_it_stands(generator: Generator) -> None:
    """Nothing is fetched, neither when a script is bundled nor when it runs."""
    files = {
        "main.js": 'import { x } from "./a.js"\nexport const f = () => x',
        "a.js": '\n  import "//x.y/z"\n',
    }
    with pytest.raises(CompileError) as caught:
        await generator.compile(files, language="javascript")
    (found,) = (item for item in caught.value.diagnostics if item.severity == "error")
    assert (found.file, found.line, found.column) == ("a.js", 2, 10)
    assert found.message.startswith('"//x.y/z" is not fetched')
