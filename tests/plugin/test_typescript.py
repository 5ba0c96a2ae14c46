"""TypeScript (AssemblyScript) through the real compiler: modules, signatures, diagnostics, the guest kit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wasmtime

from echelon.errors import CompileError
from echelon.plugin.artifacts import Artifact
from echelon.plugin.compiler import Optimize
from echelon.plugin.generator import Generator
from echelon.runtime import binary, signature

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIB = "export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }"


class Guest:
    """An instance in the reference engine; its imports are recorded instead of provided."""

    def __init__(self, artifact: Artifact) -> None:
        self.store = wasmtime.Store()
        module = wasmtime.Module(self.store.engine, artifact.wasm)
        self.imports = {f"{item.module}.{item.name}": item.type for item in module.imports}
        self.calls: list[tuple[str, bytes]] = []
        self.answer = b""
        linker = wasmtime.Linker(self.store.engine)
        for item in module.imports:
            linker.define_func(item.module, item.name, item.type, self._host(item.name))
        self.exports = linker.instantiate(self.store, module).exports(self.store)

    def _host(self, name: str) -> Any:
        def call(*args: int) -> int | None:
            if name == "take":
                self.memory.write(self.store, self.answer, args[0])
            elif name == "log":
                self.calls.append(
                    (f"log{args[0]}", bytes(self.memory.read(self.store, args[1], sum(args[1:]))))
                )
            elif name == "write_file":
                for at, size in (args[0:2], args[2:4]):
                    self.calls.append((name, self.read(at, size)))
                return 0
            elif name in ("env_get", "read_file"):
                self.calls.append((name, self.read(*args)))
                return len(self.answer) if self.answer else -1
            elif name == "abort":
                text = [self.text(pointer) for pointer in args[:2]]
                raise RuntimeError(f"{text[0]} at {text[1]}:{args[2]}:{args[3]}")
            else:
                self.calls.append((name, b""))
                return 0
            return None

        return call

    @property
    def memory(self) -> Any:
        return self.exports["memory"]

    def call(self, name: str, *args: Any) -> Any:
        return self.exports[name](self.store, *args)

    def read(self, pointer: int, size: int) -> bytes:
        return bytes(self.memory.read(self.store, pointer, pointer + size))

    def text(self, pointer: int) -> str:
        size = int.from_bytes(self.memory.read(self.store, pointer - 4, pointer), "little")
        return bytes(self.memory.read(self.store, pointer, pointer + size)).decode("utf-16-le")

    def lower(self, text: str) -> int:
        data = text.encode("utf-16-le")
        pointer: int = self.call("__new", len(data), 2)
        self.memory.write(self.store, data, pointer)
        return pointer


async def signature_of(generator: Generator, source: str) -> dict[str, str]:
    artifact = await generator.compile(source, "typescript")
    assert artifact.signature is not None
    return {name: str(function) for name, function in artifact.signature.exports.items()}


async def problems(generator: Generator, source: str | dict[str, str]) -> list[tuple[int, int, str]]:
    with pytest.raises(CompileError) as caught:
        await generator.compile(source, "typescript")
    return [(item.line, item.column, item.message) for item in caught.value.diagnostics]


@pytest.mark.parametrize("optimize", ["none", "speed", "size"])
async def test_numbers(generator: Generator, optimize: Optimize) -> None:
    """A function of numbers compiles and computes, at every level."""
    artifact = await generator.compile(FIB, "typescript", optimize)
    guest = Guest(artifact)
    assert guest.call("fib", 20) == 6765
    assert set(guest.imports) <= {"env.abort"}
    assert artifact.optimize == optimize


async def test_optimising_for_size_makes_it_smaller(generator: Generator) -> None:
    """The levels differ in what they promise to differ in."""
    sizes = {
        level: len((await generator.compile(FIB, "typescript", level)).wasm)
        for level in ("none", "speed", "size")  # type: ignore[arg-type]  # literals
    }
    assert sizes["size"] < sizes["speed"] < sizes["none"]


async def test_strings_cross_the_boundary(generator: Generator) -> None:
    """What a host needs to pass text is exported, and text beyond the BMP survives."""
    source = 'export function greet(name: string): string { return "Hello, " + name + "!" }'
    guest = Guest(await generator.compile(source, "typescript"))
    assert guest.text(guest.call("greet", guest.lower("Ada 🦉"))) == "Hello, Ada 🦉!"


async def test_the_signature_is_in_the_module(generator: Generator) -> None:
    """The custom section says the same as the artifact."""
    artifact = await generator.compile(FIB, "typescript")
    section = binary.custom_section(artifact.wasm, binary.parse(artifact.wasm), signature.SECTION)
    assert section is not None
    assert signature.decode(section) == artifact.signature
    assert artifact.signature is not None
    assert (artifact.signature.abi, artifact.signature.language) == ("assemblyscript", "typescript")


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("bool", "bool"), ("i8", "i8"), ("i16", "i16"), ("i32", "i32"), ("i64", "i64"), ("u8", "u8"),
        ("u16", "u16"), ("u32", "u32"), ("u64", "u64"), ("f32", "f32"), ("f64", "f64"), ("number", "f64"),
        ("boolean", "bool"), ("isize", "i32"), ("usize", "u32"), ("string", "str"), ("ArrayBuffer", "bytes"),
        ("Uint8Array", "bytes"), ("Uint8ClampedArray", "list<u8>"), ("Int8Array", "list<i8>"),
        ("Float64Array", "list<f64>"), ("Uint64Array", "list<u64>"), ("i32[]", "list<i32>"),
        ("Array<bool>", "list<bool>"), ("string[]", "list<str>"), ("string[][]", "list<list<str>>"),
        ("StaticArray<f32>", "list<f32>"), ("string | null", "option<str>"),
        ("Array<string | null> | null", "option<list<option<str>>>"), ("Uint8Array[]", "list<bytes>"),
    ],
)  # fmt: skip
async def test_types_as_a_caller_sees_them(generator: Generator, written: str, seen: str) -> None:
    """Every type that has a counterpart outside is described, as parameter and as result."""
    found = await signature_of(generator, f"export function f(a: {written}): {written} {{ return a }}")
    assert found == {"f": f"f(a: {seen}) -> {seen}"}


async def test_wires_name_the_classes_of_the_runtime(generator: Generator) -> None:
    """Class ids are those the compiled module itself uses."""
    source = (
        "export function f(a: string, b: i32[], c: Uint8Array, d: StaticArray<u16> | null): i32[]"
        " { return b }"
    )
    artifact = await generator.compile(source, "typescript")
    guest = Guest(artifact)
    assert artifact.signature is not None
    function = artifact.signature.exports["f"]
    text, array, view, static = (value.wire for value in function.params)
    assert text == {"kind": "string", "id": 2}
    assert isinstance(array, dict)
    assert (array["kind"], array["item"]) == ("array", "i32")
    assert isinstance(view, dict)
    assert (view["kind"], view["item"]) == ("view", "u8")
    assert isinstance(static, dict)
    assert static["kind"] == "nullable"
    assert (static["item"]["kind"], static["item"]["item"]) == ("static", "u16")
    pointer = guest.call("__new", 16, array["id"])
    rt_id = int.from_bytes(guest.memory.read(guest.store, pointer - 8, pointer - 4), "little")
    assert rt_id == array["id"]
    assert function.results[0].wire == array


async def test_exports_without_parameters_or_results(generator: Generator) -> None:
    """Nothing in, nothing out."""
    assert await signature_of(generator, "export function f(): void {}") == {"f": "f()"}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("class A { x: i32 = 1 }\nexport function f(a: A): void {}", 'parameter "a" (source/A): an instance'),
        ("export function f(): Map<string, i32> { return new Map() }", "result (Map<String,i32>)"),
        ("export function f(a: (x: i32) => i32): void {}", "a function cannot leave the module"),
        ("export function f(a: v128): void {}", "v128 has no counterpart outside"),
        ("export function f(a: i32[][][][][][][][][][]): void {}", "more than 8 levels"),
    ],
)
async def test_types_without_counterpart_warn(generator: Generator, source: str, why: str) -> None:
    """The module is made, its signature leaves the function out, and a warning says why and where."""
    artifact = await generator.compile(source, "typescript")
    assert artifact.signature is not None
    assert artifact.signature.exports == {}
    (warning,) = [item for item in artifact.diagnostics if "no typed signature" in item.message]
    assert warning.severity == "warning"
    assert why in warning.message
    lines = source.splitlines()
    assert (warning.line, warning.column) == (len(lines), lines[-1].index("f(") + 1)


async def test_default_arguments_are_all_passed_by_the_host(generator: Generator) -> None:
    """A host cannot leave out arguments, so an exported function takes them all, and uses them."""
    source = """
        export function sum(a: i32, b: i32 = 10, c: i32 = 100): i32 { return a + b + c }
        export function join(a: string, b: string = "x"): string { return a + b }
        export function inside(): i32 { return sum(1) }
        const table = [sum];
        export function indirect(): i32 { return table[0](1, 2) }
    """
    artifact = await generator.compile(source, "typescript")
    guest = Guest(artifact)
    assert guest.call("sum", 1, 2, 3) == 6
    assert guest.text(guest.call("join", guest.lower("a"), guest.lower("b"))) == "ab"
    assert (guest.call("inside"), guest.call("indirect")) == (111, 103)
    assert artifact.signature is not None
    assert str(artifact.signature.exports["sum"]) == "sum(a: i32, b: i32, c: i32) -> i32"


async def test_exports_under_another_name(generator: Generator) -> None:
    """Renamed and re-exported functions are described under the name they are exported with."""
    files = {
        "main.ts": 'export { f as g, f as default } from "./lib/a"; export * from "./lib/b"',
        "lib/a.ts": "export function f(x: i32): i32 { return x }",
        "lib/b.ts": "export function h(y: string): void {}",
    }
    artifact = await generator.compile(files)
    assert artifact.signature is not None
    names = {name: str(item) for name, item in artifact.signature.exports.items()}
    assert names == {"g": "g(x: i32) -> i32", "default": "default(x: i32) -> i32", "h": "h(y: str)"}
    assert Guest(artifact).call("g", 5) == 5


async def test_only_the_entry_exports(generator: Generator) -> None:
    """What other files export is theirs."""
    files = {
        "main.ts": 'import { twice } from "./util"; export function f(): i32 { return twice(21) }',
        "util/index.ts": "export function twice(a: i32): i32 { return a * 2 }",
    }
    artifact = await generator.compile(files, "typescript")
    assert artifact.signature is not None
    assert list(artifact.signature.exports) == ["f"]
    assert Guest(artifact).call("f") == 42


async def test_a_path_brings_its_imports(generator: Generator, tmp_path: Path) -> None:
    """A file on disk is compiled with the files it imports."""
    (tmp_path / "my guest.ts").write_text(
        'import { one } from "./one"; export function f(): i32 { return one() }'
    )
    (tmp_path / "one.ts").write_text("export function one(): i32 { return 1 }")
    artifact = await generator.compile(tmp_path / "my guest.ts")
    assert Guest(artifact).call("f") == 1
    (tmp_path / "one.ts").write_text("export function one(): i32 { return 2 }")
    changed = await generator.compile(tmp_path / "my guest.ts")
    assert (Guest(changed).call("f"), changed.cached) == (2, False)


async def test_several_errors_with_their_places(generator: Generator) -> None:
    """Each error of a run is there, in the order of the source, with line and column."""
    source = "let x: i32 = 'a';\nexport function f(): string {\n  return 5;\n}\nfoo();"
    found = await problems(generator, source)
    assert [(line, column) for line, column, _ in found] == [(1, 14), (3, 10), (5, 1)]
    assert found[0][2] == "TS2322: Type 'String' is not assignable to type 'i32'."
    assert found[2][2] == "TS2304: Cannot find name 'foo'."


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("\n\n   @", 3, 4),
        ("\r\n\r\nlet x: i32 = 'é';", 3, 14),
        ("const owl = '🦉🦉'; nope()", 1, 19),
        ("\tnope()", 1, 2),
        ("/* é */ nope()", 1, 9),
    ],
)
async def test_columns_count_characters(generator: Generator, source: str, line: int, column: int) -> None:
    """A place is what an editor shows: tabs and characters beyond the BMP count one."""
    assert (await problems(generator, source))[0][:2] == (line, column)


async def test_errors_name_the_file(generator: Generator) -> None:
    """In a source of several files each diagnostic says which; in one without a name none does."""
    with pytest.raises(CompileError) as caught:
        await generator.compile({"main.ts": 'import "./lib/bad"', "lib/bad.ts": "nope()"})
    assert [item.file for item in caught.value.diagnostics] == ["lib/bad.ts"]
    assert str(caught.value).startswith("lib/bad.ts:1:1: error: TS2304")
    with pytest.raises(CompileError) as caught:
        await generator.compile("nope()", "typescript")
    assert [item.file for item in caught.value.diagnostics] == [None]
    with pytest.raises(CompileError) as caught:
        await generator.compile("nope()", "typescript", name="guest")
    assert [item.file for item in caught.value.diagnostics] == ["guest.ts"]


async def test_warnings_come_with_the_module(generator: Generator) -> None:
    """A warning does not fail the compile, and is there again from the cache."""
    source = "export class A {}\nexport function f(): void {}"
    for cached in (False, True):
        artifact = await generator.compile(source, "typescript")
        assert artifact.cached is cached
        assert [(item.line, item.severity) for item in artifact.diagnostics] == [(1, "warning")]


async def test_the_number_of_diagnostics_is_bounded(generator: Generator) -> None:
    """A thousand errors are reported as the first hundred."""
    assert len(await problems(generator, "nope();\n" * 1000)) == 100


async def test_throw_says_message_file_and_place(generator: Generator) -> None:
    """An uncaught error reaches the host as text with the source's own position."""
    source = 'export function f(): void {\n  throw new Error("no more tea");\n}'
    guest = Guest(await generator.compile(source, "typescript", name="tea.ts"))
    assert list(guest.imports) == ["env.abort"]
    with pytest.raises(RuntimeError, match=r"no more tea at tea\.ts:2:3"):
        guest.call("f")


async def test_imports_of_the_language_itself(generator: Generator) -> None:
    """console, Date, Math.random and trace are asked of the host under these names and types."""
    source = """export function f(): void {
        console.log("a"); console.info("a"); console.warn("a"); console.error("a"); console.debug("a");
        trace("t", 2, 1, 2); Date.now(); Math.random(); performance.now(); process.exit(1);
    }"""
    guest = Guest(await generator.compile(source, "typescript"))
    kinds = {name: (len(kind.params), [str(r) for r in kind.results]) for name, kind in guest.imports.items()}
    expected = {f"env.console.{level}": (1, []) for level in ("log", "info", "warn", "error", "debug")}
    expected |= {"env.abort": (4, []), "env.trace": (7, []), "env.seed": (0, ["f64"])}
    expected |= {
        "env.Date.now": (0, ["f64"]),
        "env.performance.now": (0, ["f64"]),
        "env.process.exit": (1, []),
    }
    assert kinds.items() <= expected.items() or kinds == expected
    assert set(kinds) >= {"env.console.log", "env.trace", "env.seed", "env.Date.now"}


KIT = """
import { env, log, file } from "echelon";
export function get(name: string): string { const v = env.get(name); return v === null ? "<none>" : v }
export function say(text: string): void { log.debug(text); log.info(text); log.warn(text); log.error(text) }
export function load(path: string): string { const v = file.readText(path); return v === null ? "<none>" : v }
export function save(path: string, text: string): void { file.writeText(path, text) }
"""


async def test_the_guest_kit(generator: Generator) -> None:
    """Variables, log and files reach the host as UTF-8, and answers come back."""
    guest = Guest(await generator.compile(KIT, "typescript"))
    assert guest.text(guest.call("get", guest.lower("TZ"))) == "<none>"
    guest.answer = "Zürich 🦉".encode()
    assert guest.text(guest.call("get", guest.lower("TZ"))) == "Zürich 🦉"
    assert guest.text(guest.call("load", guest.lower("é.txt"))) == "Zürich 🦉"
    guest.call("save", guest.lower("out"), guest.lower("ß"))
    guest.call("say", guest.lower("hé"))
    levels = [(f"log{level}", "hé".encode()) for level in range(4)]
    files = [("env_get", b"TZ"), ("env_get", b"TZ"), ("read_file", "é.txt".encode())]
    assert guest.calls == [*files, ("write_file", b"out"), ("write_file", "ß".encode()), *levels]


async def test_the_kit_costs_nothing_unused(generator: Generator) -> None:
    """Only what is used is imported."""
    source = 'import { env } from "echelon"; export function f(): bool { return env.get("A") !== null }'
    guest = Guest(await generator.compile(source, "typescript"))
    assert set(guest.imports) <= {"echelon.env_get", "echelon.take", "env.abort"}


async def test_language_features(generator: Generator) -> None:
    """Classes, generics, maps, sets, closures-free callbacks, exceptions, SIMD and dates compile and run."""
    source = """
        abstract class Shape { abstract area(): f64; }
        class Square extends Shape {
          constructor(public side: f64) { super() }
          area(): f64 { return this.side ** 2 }
        }
        function largest<T>(list: T[], value: (item: T) => f64): f64 {
          let best = 0.0;
          for (let i = 0; i < list.length; i++) best = max(best, value(list[i]));
          return best;
        }
        enum Level { Low, High = 5 }
        export function area(): f64 {
          const shapes: Shape[] = [new Square(2), new Square(3)];
          return largest<Shape>(shapes, (shape) => shape.area());
        }
        export function words(text: string): i32 {
          const seen = new Map<string, i32>();
          const list = text.split(" ").filter(word => word.length > 0);
          for (let i = 0; i < list.length; i++) seen.set(list[i], i);
          return seen.size * Level.High;
        }
        export function lanes(): i32 {
          return i32x4.extract_lane(i32x4.add(i32x4.splat(40), i32x4.splat(2)), 3)
        }
    """
    guest = Guest(await generator.compile(source, "typescript"))
    assert guest.call("area") == 9.0
    assert guest.call("words", guest.lower("a b a  c")) == 15
    assert guest.call("lanes") == 42


async def test_the_same_input_gives_the_same_bytes(generator: Generator, home: Path, tmp_path: Path) -> None:
    """Another process, another store, after other compiles: the digest is the same."""
    from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript

    first = await generator.compile(KIT, "typescript", "size")
    async with Generator([AssemblyScript(home=home)], tmp_path / "store") as other:
        await other.compile(FIB, "typescript")
        again = await other.compile(KIT, "typescript", "size")
    assert (again.digest, again.cached) == (first.digest, False)
