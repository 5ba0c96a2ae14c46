"""Scripts of several files, and TypeScript with JavaScript's semantics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from echelon import Runtime
from echelon.errors import CompileError, ConfigError
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator

pytestmark = pytest.mark.asyncio(loop_scope="module")

TYPED = "export function half(x: number | string): unknown { return typeof x === 'string' ? { x } : x / 2 }"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A running generator that knows TypeScript and JavaScript."""
    compilers = [AssemblyScript(home=home), JavaScript(home)]
    async with Generator(compilers, tmp_path_factory.mktemp("artifacts") / "store") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runtime(generator: Generator) -> AsyncIterator[Runtime]:
    async with Runtime(generator=generator) as running:
        yield running


async def test_typescript_with_the_semantics_of_javascript(generator: Generator, runtime: Runtime) -> None:
    """Unions, `unknown` and objects without a class are JavaScript's, which AssemblyScript refuses."""
    artifact = await generator.compile(TYPED, "typescript", options={"semantics": "javascript"})
    assert artifact.language == "javascript"
    module = await runtime.load(artifact.wasm)
    assert await module.call("half", 5) == 2.5
    assert await module.call("half", "a") == {"x": "a"}
    with pytest.raises(CompileError):
        await generator.compile(TYPED, "typescript")
    compiled = await generator.compile("export function f(): i32 { return 1 }", "typescript",
                                       options={"semantics": "assemblyscript"})  # fmt: skip
    assert compiled.language == "typescript"


async def test_semantics_are_checked(generator: Generator) -> None:
    """Another value is an error that lists those there are; JavaScript itself has no such option."""
    with pytest.raises(ConfigError, match="use assemblyscript, javascript"):
        await generator.compile(TYPED, "typescript", options={"semantics": "python"})
    with pytest.raises(ConfigError, match="javascript takes none"):
        await generator.compile(TYPED, "javascript", options={"semantics": "javascript"})


async def test_semantics_without_the_other_compiler(home: Path, tmp_path: Path) -> None:
    """A generator without JavaScript says that it does not know it."""
    async with Generator([AssemblyScript(home=home)], tmp_path) as generator:
        with pytest.raises(ConfigError, match='"javascript" is not known'):
            await generator.compile(TYPED, "typescript", options={"semantics": "javascript"})


@pytest.mark.parametrize("suffix", [".js", ".mjs", ".jsx", ".tsx"])
async def test_a_file_is_what_its_suffix_says(
    generator: Generator, runtime: Runtime, tmp_path: Path, suffix: str
) -> None:
    """The name of a file decides about types and JSX."""
    typed = ": number" if suffix == ".tsx" else ""
    file = tmp_path / f"one{suffix}"
    file.write_text(f"export const f = (x{typed}) => x + 1")
    module = await runtime.load((await generator.compile(file)).wasm)
    assert await module.call("f", 1) == 2


@pytest.mark.parametrize("options", [None, {"semantics": "javascript"}])
async def test_a_path_brings_the_files_it_imports(
    generator: Generator, runtime: Runtime, tmp_path: Path, options: dict[str, str] | None
) -> None:
    """Modules, folders with an index, JSON and text, by import, export and require, below the file's own folder."""
    entry = tmp_path / ("main.ts" if options else "main.js")
    (tmp_path / "lib").mkdir()
    (tmp_path / "node").mkdir()
    entry.write_text("""
import { one } from "./lib/one.js"
import two from './lib/two'
import rates from "./rates.json"
import text from "./note.txt"
import * as folder from "./node"
export * from "./more"
const four = require("./four.js")
export const all = () => [one, two, rates.eur, text, folder.three, four.four]
""")
    (tmp_path / "lib" / "one.ts").write_text("export const one: number = 1")
    (tmp_path / "lib" / "two.js").write_text("import { one } from './one'; export default one + 1")
    (tmp_path / "rates.json").write_text('{"eur": 1.5}')
    (tmp_path / "note.txt").write_text("é\n")
    (tmp_path / "node" / "index.ts").write_text("export enum E { A }; export const three = 3 + E.A")
    (tmp_path / "more.mjs").write_text("export const more = () => 'more'")
    (tmp_path / "more.js").write_text("export const more = () => 'more'")
    (tmp_path / "four.js").write_text("exports.four = 4")
    if not options:
        (tmp_path / "lib" / "one.js").write_text("export const one = 1")
    module = await runtime.load((await generator.compile(entry, options=options)).wasm)
    assert await module.call("all") == [1, 2, 1.5, "é\n", 3, 4]
    assert await module.call("more") == "more"
    assert sorted(function.name for function in module.exports()) == ["all", "more"]
