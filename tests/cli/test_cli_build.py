"""`echelon build` and `echelon inspect`: modules out of sources, and what is in them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from cli_samples import BROKEN, HOST, MATH, NUMBERS, WASI, Cli, Write

from echelon.runtime import binary


def test_the_module_lies_beside_its_source(cli: Cli, write: Write, place: Path) -> None:
    """Without -o the module has the source's name; its path is all that is printed."""
    write("src/math.ts", MATH)
    result = cli("build", "src/math.ts")
    assert (result.status, result.out) == (0, "src/math.wasm\n")
    assert "typescript, " in result.err
    assert "fib" in binary.parse((place / "src/math.wasm").read_bytes()).exports


def test_where_to_write(cli: Cli, write: Write, place: Path) -> None:
    """-o names a file or a folder; a file that is there is replaced and has the usual rights."""
    write("one.wat", NUMBERS)
    (place / "out").mkdir()
    (place / "other.wasm").write_text("old")
    umask = os.umask(0o022)
    try:
        assert cli("build", "one.wat", "-o", "out").out == "out/one.wasm\n"
        assert cli("build", "one.wat", "--output=other.wasm").out == "other.wasm\n"
    finally:
        os.umask(umask)
    assert (place / "out/one.wasm").read_bytes() == (place / "other.wasm").read_bytes()
    assert (place / "other.wasm").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in place.iterdir() if path.is_file()) == ["one.wat", "other.wasm"]


def test_standard_output(cli: Cli, shell: Cli, write: Write) -> None:
    """-o - writes the module itself to standard output, byte for byte."""
    write("one.wat", '(module (func (export "f")))')
    assert cli("build", "one.wat", "-o", "-").out.startswith("\0asm")


def test_no_module_on_a_terminal(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal is spared the bytes."""
    write("one.wat", NUMBERS)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert cli("build", "one.wat", "-o", "-").status == 2


def test_optimize(cli: Cli, write: Write, place: Path) -> None:
    """Optimised for size a module is smaller than as it comes."""
    write("math.ts", MATH)
    for how in ("none", "size", "speed"):
        assert cli("build", "math.ts", "-o", f"{how}.wasm", "--optimize", how).status == 0
    assert (place / "size.wasm").stat().st_size < (place / "none.wasm").stat().st_size


def test_names_and_options(cli: Cli, write: Write, place: Path) -> None:
    """What errors show can be left out or kept; a language without options says so."""
    write("math.ts", MATH)
    assert cli("build", "math.ts").status == 0
    assert "name" in binary.parse((place / "math.wasm").read_bytes()).custom
    assert cli("build", "math.ts", "--no-names").status == 0
    assert "name" not in binary.parse((place / "math.wasm").read_bytes()).custom
    assert cli("build", "math.ts", "--names", "--optimize", "size", "--debug").status == 0
    assert "name" in binary.parse((place / "math.wasm").read_bytes()).custom
    write("one.wat", NUMBERS)
    result = cli("build", "one.wat", "--option", "a=b", "--option", "c=d=e")
    assert (result.status, result.out) == (2, "")
    assert "options: wat takes none, so not 'a'" in result.err


def test_language(cli: Cli, write: Write) -> None:
    """--language decides where the suffix does not."""
    write("source.txt", NUMBERS)
    assert cli("build", "source.txt").status == 2
    assert cli("build", "source.txt", "--language", "wat").status == 0
    result = cli("build", "source.txt", "--language", "cobol")
    assert result.status == 2
    assert 'language: "cobol" is not known; known are ' in result.err


def test_a_module_is_kept(cli: Cli, write: Write) -> None:
    """The second build of one source compiles nothing."""
    write("kept.ts", "export function kept(): i32 { return 12345 }\n")
    assert "compiled in" in cli("build", "kept.ts").err
    assert "was compiled before" in cli("build", "kept.ts").err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["absent.ts"], "there is no file absent.ts"),
        (["one.wat", "-o", "none/x.wasm"], "there is no folder none to write x.wasm to"),
        (["one.wat", "-o", "one.wat"], "one.wat is the source itself; write -o OUT.wasm"),
        (["one.wat", "--optimize", "fast"], "--optimize: invalid choice: 'fast'"),
        (["one.wat", "--names", "--no-names"], "--names and --no-names contradict each other"),
        (["one.wat", "--option", "a"], "--option a: write NAME=VALUE"),
        (["one.wat", "--option", "a=1", "--option", "a=2"], "--option a was given twice"),
        (["one.wat", "more"], "'more' is one argument too many; write: echelon build [SRC]"),
    ],
)
def test_usage_mistakes(cli: Cli, write: Write, argv: list[str], message: str) -> None:
    """A mistake is one line and exit status 2."""
    write("one.wat", NUMBERS)
    result = cli("build", *argv)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"echelon: {message}")


def test_nothing_is_written_when_it_does_not_compile(cli: Cli, write: Write, place: Path) -> None:
    """A module that was there stays as it is."""
    write("broken.ts", BROKEN)
    (place / "broken.wasm").write_text("old")
    result = cli("build", "broken.ts")
    assert (result.status, result.out) == (1, "")
    assert "broken.ts:2:10: error:" in result.err
    assert (place / "broken.wasm").read_text() == "old"


def test_bytes_that_are_no_module_are_not_built(cli: Cli, place: Path) -> None:
    """A binary is checked before it is copied."""
    (place / "bad.wasm").write_bytes(b"\0asm\x09\0\0\0")
    result = cli("build", "bad.wasm", "-o", "good.wasm")
    assert (result.status, result.out) == (1, "")
    assert "bad.wasm: the module has binary version 9" in result.err
    assert not (place / "good.wasm").exists()


def test_a_folder_that_cannot_be_written(cli: Cli, write: Write, place: Path) -> None:
    """What the system refuses is one line, and no temporary file is left."""
    write("one.wat", NUMBERS)
    (place / "out.wasm").mkdir()
    (place / "out.wasm/one.wasm").mkdir()
    result = cli("build", "one.wat", "-o", "out.wasm")
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith("echelon: ")
    assert [path.name for path in (place / "out.wasm").iterdir()] == ["one.wasm"]


# inspect ----------------------------------------------------------------------------------------------------


def test_inspect(cli: Cli, write: Write) -> None:
    """The typed signature, size, digest, language and memory of a module."""
    write("math.ts", MATH)
    result = cli("inspect", "math.ts")
    assert (result.status, result.err) == (0, "")
    for line in (
        "language  typescript",
        "kind      module",
        "  fib(n: i32) -> i32",
        "  maybe(s: option<str>) -> option<str>",
        "  env.abort  (i32, i32, i32, i32) -> ()",
        "permissions it could need\n  none",
    ):
        assert line in result.out, line
    assert "digest    sha256:" in result.out


def test_inspect_as_json(cli: Cli, write: Write) -> None:
    """The names are those of the control API's module answer."""
    write("host.ts", HOST)
    found = json.loads(cli("inspect", "host.ts", "--json").out)
    assert found["name"] == "host"
    assert found["exports"][0]["params"] == [{"name": "name", "type": "str"}]
    assert found["exports"][0]["results"] == ["option<str>"]
    [asked] = [item for item in found["imports"] if item["name"] == "env_get"]
    assert asked["module"] == "echelon"
    assert asked["provided"] is True
    assert found["permissions"] == {"env": ["env_get"]}
    assert found["memory"]["minimum"] >= 65536


def test_inspect_as_wit(cli: Cli, write: Write) -> None:
    """The interface alone, whatever kind of file it is."""
    write("my_math.ts", MATH)
    found = cli("inspect", "my_math.ts", "--wit").out
    assert "package local:my-math;\n\nworld my-math {\n" in found
    assert "  export fib: func(n: s32) -> s32;\n" in found
    write("two.js", "export function addAll(first, second) { return first + second }\n")
    found = cli("inspect", "two.js", "--wit").out
    assert "  /// addAll\n  export add-all: func(first: json, second: json) -> json;\n" in found
    both = cli("inspect", "two.js", "--wit", "--json")
    assert (both.status, "--wit and --json" in both.err) == (2, True)


def test_a_stub_beside_the_module(cli: Cli, write: Write, place: Path) -> None:
    """Its name can be imported, and it says what may be left out."""
    write("my-math.ts", MATH)
    result = cli("build", "my-math.ts", "--stub")
    assert result.out == "my-math.wasm\nmy_math.pyi\n"
    assert "    async def fib(self, n: int, /) -> int: ...\n" in (place / "my_math.pyi").read_text()
    write("two.js", "export function add(first, second) { return first + second }\n")
    assert cli("build", "two.js", "--stub").status == 0
    assert (
        "add(self, first: Any = ..., second: Any = ..., /, *more: Any) -> Any"
        in (place / "two.pyi").read_text()
    )
    nowhere = cli("build", "two.js", "-o", "-", "--stub")
    assert (nowhere.status, "write -o FILE" in nowhere.err) == (2, True)


def test_inspect_says_how_a_module_was_made(cli: Cli, write: Write, place: Path) -> None:
    """Of a source, and of a module that was built here before; of another nothing is known."""
    write("math.ts", MATH)
    found = json.loads(cli("inspect", "math.ts", "--json").out)["provenance"]
    assert found["compiler"].startswith("typescript 0.")
    assert (found["optimize"], found["names"], found["debug"], found["options"]) == ("none", True, False, {})
    assert found["source"].startswith("sha256:")
    assert cli("build", "math.ts", "--optimize", "size", "-o", "small.wasm").status == 0
    result = cli("inspect", "small.wasm")
    for line in (
        "compiled here\n  compiler  typescript 0.",
        "options   optimize=size\n  binaryen  131\n",
        "  made      20",
    ):
        assert line in result.out, line
    wasm = (place / "small.wasm").read_bytes()
    (place / "other.wasm").write_bytes(wasm + b"\0\2\1a")
    assert json.loads(cli("inspect", "other.wasm", "--json").out)["provenance"] is None


def test_inspect_a_command(cli: Cli, write: Write) -> None:
    """A WASI command is recognised, and what it could need follows from its imports."""
    write("program.wat", WASI)
    found = json.loads(cli("inspect", "program.wat", "--json").out)
    assert found["kind"] == "WASI command"
    assert found["memory"] == {"minimum": 65536, "maximum": None}
    assert found["permissions"] == {"env": ["environ_sizes_get"]}
    assert all(item["provided"] for item in found["imports"])


def test_inspect_an_http_guest(cli: Cli, write: Write) -> None:
    """A module that answers requests is recognised by its types, not by a name alone."""
    write("http.ts", "export function handle(request: Uint8Array): Uint8Array { return request }")
    write("other.ts", "export function handle(n: i32): i32 { return n }")
    assert "kind      HTTP guest" in cli("inspect", "http.ts").out
    assert "kind      module" in cli("inspect", "other.ts").out


def test_inspect_says_what_is_missing(cli: Cli, write: Write) -> None:
    """An import that nothing provides, or with another type, is marked; the module is shown all the same."""
    write(
        "odd.wat",
        """(module (import "moon" "phase" (func)) (import "echelon" "take" (func (param f64)))
           (import "env" "table" (table 1 funcref)) (func (export "f")))""",
    )
    result = cli("inspect", "odd.wat")
    assert result.status == 0
    assert result.out.count("nothing provides it") == 3


@pytest.mark.parametrize(
    ("imported", "permissions"),
    [("path_open", ["read", "write"]), ("path_unlink_file", ["write"]), ("path_readlink", ["read"]),
     ("sock_send", ["net"]), ("clock_time_get", [])],
)  # fmt: skip
def test_permissions_follow_from_imports(
    cli: Cli, write: Write, imported: str, permissions: list[str]
) -> None:
    """Each import that can reach outside names its permission."""
    write("one.wat", f'(module (import "wasi_snapshot_preview1" "{imported}" (func)))')
    assert list(json.loads(cli("inspect", "one.wat", "--json").out)["permissions"]) == permissions


def test_inspect_a_guests_names_are_harmless(cli: Cli, write: Write) -> None:
    """Names in a module are made visible, whatever they try to do to a terminal."""
    write("evil.wat", '(module (func (export "a\\1b[2J")))')
    assert "a\\x1b[2J()" in cli("inspect", "evil.wat").out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is not a WebAssembly module"),
        (b"\0asm\x0d\0\1\0\x01\xff", "bad.wasm"),
        (b"\0asm\1\0\0\0\x01\xff", "bad.wasm"),
    ],
)
def test_inspect_what_is_no_module(cli: Cli, place: Path, content: bytes, message: str) -> None:
    """A file that is no module is a failure in one line."""
    (place / "bad.wasm").write_bytes(content)
    result = cli("inspect", "bad.wasm")
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("echelon: bad.wasm: ")
    assert message in result.err


def test_inspect_a_forged_signature(cli: Cli, place: Path) -> None:
    """A signature that is not one is refused like any other damage."""
    wasm = binary.add_custom_section(binary.MAGIC, "echelon:signature", b"{}")
    (place / "forged.wasm").write_bytes(wasm)
    result = cli("inspect", "forged.wasm")
    assert result.status == 1
    assert "echelon:signature section is malformed" in result.err


APP = """
from echelon import Application
app = Application()
math = app.wasm.module("math.ts")

@app.get("/fib/{n:int}")
async def fib(n: int) -> int:
    return await math.call("fib", n)
"""


def test_an_application(shell: Cli, write: Write, place: Path) -> None:
    """Without a source main.py is built; so is what has the name of an application in it. The folder is printed."""
    write("math.ts", MATH)
    write("main.py", APP)
    result = shell("build")
    assert (result.status, result.out) == (0, f"{place / '.echelon' / 'build'}\n")
    assert "0 pages, 1 module, built in " in result.err
    write("etc/other.toml", 'build = "out"\n')
    assert shell("build", "main.py:app", "--config", "etc/other.toml").out == f"{place / 'etc' / 'out'}\n"
    for folder in (place / ".echelon" / "build", place / "etc" / "out"):
        assert len(list((folder / "artifacts").glob("key-*.json"))) == 1
    write("math.ts", BROKEN)
    assert shell("build").status == 1


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "there is no main.py or app.py here; name the application: echelon build FILE:app"),
        (["none.py:app"], "there is no file none.py"),
        (["main.py:nothing", "-o", "x"], "--output is for a source file; name one: echelon build SRC"),
        (["plain.py:app"], "plain.py:app is not an Application of Echelon"),
        (["one.wat", "--config", "x.toml"], "--config is for applications"),
    ],
)
def test_what_is_no_application(cli: Cli, write: Write, argv: list[str], why: str) -> None:
    """Is a mistake in how the command was used."""
    write("one.wat", NUMBERS)
    write("plain.py", "class App:\n    __rsgi__ = __rsgi_init__ = None\napp = App()\n")
    result = cli("build", *argv)
    assert (result.status, result.out) == (2, "")
    assert why in result.err
