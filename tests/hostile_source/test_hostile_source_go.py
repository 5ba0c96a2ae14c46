"""Hostile sources of Go: each is an error within its limits, and reads nothing of the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from echelon.plugin.compiler import Job
from echelon.plugin.compilers.go.compiler import Go

pytestmark = pytest.mark.timeout(300)

EXPORT = "\n//export f\nfunc f() {}\n"
SOURCES = {
    # what is not the source's
    "embed": 'import _ "embed"\n\n//go:embed /etc/passwd\nvar text string\n' + EXPORT,
    "embed_above": 'import _ "embed"\n\n//go:embed ../../../../../etc/passwd\nvar text string\n' + EXPORT,
    "import_path": 'import _ "/etc/passwd"\n' + EXPORT,
    "import_above": 'import _ "../../../../../../etc/passwd"\n' + EXPORT,
    "import_guest_above": 'import _ "guest/../../../etc"\n' + EXPORT,
    "cgo": '// #include "/etc/passwd"\nimport "C"\n' + EXPORT,
    "cgo_flags": "//go:cgo_ldflag \"/etc/passwd\"\n//go:cgo_import_dynamic _ _ \"/etc/passwd\"\n" + EXPORT,
    "linkname": 'import _ "unsafe"\n\n//go:linkname exec os/exec.none\nfunc exec(string) int\n\n//export f\n'
    "func f() { exec(\"sh\") }\n",
    "bodyless": "func missing(n int) int\n\n//export f\nfunc f() int { return missing(1) }\n",
    "network": 'import "net"\n\n//export f\nfunc f() { net.Dial("tcp", "127.0.0.1:80") }\n',
    "processes": 'import "os/exec"\n\n//export f\nfunc f() { exec.Command("sh").Run() }\n',
    "plugins": 'import "plugin"\n\n//export f\nfunc f() { plugin.Open("/etc/passwd") }\n',
    "internal": 'import "internal/runtime/sys"\n\n//export f\nfunc f() { sys.GetCallerPC() }\n',
    # what another file says of itself
    "line": "//line /etc/passwd:1\nfunc g() int { return undefined }\n" + EXPORT,
    "line_block": "func g() int { return /*line /etc/shadow:1:1*/ undefined }\n" + EXPORT,
    # what has no end, or no measure
    "constants": "const a = 1 << 500\nconst b = a << 500 << 500 << 500 << 500\nvar c int = b\n" + EXPORT,
    "shift": "const a = 1 << (1 << 30)\nvar c int = a\n" + EXPORT,
    "text": 'const a0 = "0123456789abcdef"\n'
    + "".join(f"const a{n} = a{n - 1} + a{n - 1}\n" for n in range(1, 60))
    + "var c int = a59\n"
    + EXPORT,
    "array": "var a [1 << 60]byte\n" + EXPORT + "\nfunc g(n int) byte { return a[n] }\n",
    "array_types": "".join(f"type T{n} [1 << 20]T{n + 1}\n" for n in range(20)) + "type T20 int\nvar a T0\n" + EXPORT,
    "instances": "type T[A any] struct{ next *T[[]A] }\n\nvar a T[int]\n" + EXPORT,
    "instances_deep": "func g[A any](n int, a A) int {\n"
    "\tif n == 0 {\n\t\treturn 0\n\t}\n\treturn g(n-1, [2]A{a, a})\n}\n\n"
    "//export f\nfunc f(n int) int { return g(n, 1) }\n",
    "recursive": "type T struct{ inner T }\n\nvar a T\n" + EXPORT,
    "cycle": "type A B\n\ntype B A\n" + EXPORT,
    "constant_cycle": "const a = b\n\nconst b = a\n" + EXPORT,
    "interfaces": "type A interface{ B }\n\ntype B interface{ A }\n" + EXPORT,
    "nested": "var x = " + "(" * 100_000 + "1" + ")" * 100_000 + "\n" + EXPORT,
    "blocks": "func g() " + "{" * 100_000 + "}" * 100_000 + "\n" + EXPORT,
    "pointers": "var x " + "*" * 100_000 + "int = 1\n" + EXPORT,
    "functions": "var x = " + "func() int { return " * 5_000 + "1" + " }()" * 5_000
    + "\n\nvar y int = x + \"\"\n" + EXPORT,
    "additions": "var x string = " + " + ".join(["1"] * 100_000) + "\n" + EXPORT,
    "errors": "".join(f"func f{n}() int {{ return u{n} }}\n" for n in range(20_000)) + EXPORT,
    "exports": "".join(f"//export f{n}\nfunc f{n}(c chan int) {{}}\n\n" for n in range(3_000)),
    "comment": "/*" + "x" * 900_000,
    "name": f"var {'x' * 500_000} int = \"\"\n" + EXPORT,
    "zero": "var x = 1\0\n" + EXPORT,
    # what the functions around exported ones might be made to say
    "export_name": "//export f)(){}\\nfunc\nfunc f() {}\n",
    "export_words": "//export f int\nfunc f() {}\n",
    "export_kit": "//export echelon_alloc\nfunc f() {}\n",
    "export_twice": "//export f\nfunc f() {}\n\n//go:wasmexport f\nfunc g() {}\n",
    "wrapper": "func echelonExport_f() {}\n" + EXPORT,
    "variable": "var echelonType0 = 1\n\n//export f\nfunc f(n int) {}\n",
    "shadow": "type int string\n\n//export f\nfunc f(n int8) int32 { return n }\n",
    "package": "var echelon = 1\n\n//export f\nfunc f(n int8) {}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
async def test_hostile_source(
    go_home: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, nothing of the machine's files in it, and an empty temporary folder after it."""
    monkeypatch.setattr("echelon.plugin.compilers.command.BASE", str(tmp_path))
    compiler = Go(go_home)
    compiler.program = replace(compiler.program, seconds=6.0)
    compiled = await compiler.compile(Job({"main.go": "package main\n\n" + SOURCES[name]}, "main.go"))
    assert compiled.wasm is None
    said = [item for item in compiled.diagnostics if item.severity == "error"]
    assert said
    assert len(compiled.diagnostics) <= 101
    assert {item.file for item in said} <= {"main.go", None}
    assert "root:" not in "".join(item.message for item in said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/no-such-file"])
async def test_what_is_there_cannot_be_seen(go_home: Path, path: str) -> None:
    """Folders of the machine are no packages, whether they are there or not."""
    source = f'package main\n\nimport _ "{path}"\n{EXPORT}'
    compiled = await Go(go_home).compile(Job({"main.go": source}, "main.go"))
    assert [item.message.replace(path, "PATH") for item in compiled.diagnostics] == [
        "package PATH is not here: a guest has the standard library, "
        '"echelon" and the packages of its own source'
    ]
