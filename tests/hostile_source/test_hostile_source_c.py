"""Hostile sources of C, C++ and Zig: each is an error within its limits, and reads nothing of the machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from echelon.plugin.compiler import Job
from echelon.plugin.compilers.c import compilers as c

pytestmark = pytest.mark.timeout(300)

BOMB = (
    "#define A0 x x x x x x x x\n"
    + "".join(f"#define A{n} {f'A{n - 1} ' * 8}\n" for n in range(1, 12))
    + "int A11;"
)
FIB = "template <int N, int M> struct F { static constexpr int v = F<N-1, M>::v + F<N-1, M+(1<<N)>::v; };\n"
FIB += "int x = F<30, 0>::v;"
SOURCES = {
    "include.c": '#include "/etc/passwd"\n',
    "embed.c": 'const char a[] = {\n#embed "/etc/passwd"\n};\n',
    "incbin.c": '__asm__(".incbin \\"/etc/passwd\\"");\n',
    "parent.c": '#include "../../../../etc/passwd"\n',
    "itself.c": '#include "itself.c"\n',
    "macros.c": BOMB,
    "array.c": 'char a[1u << 31] = {1};\n__attribute__((export_name("f"))) char f(int i) { return a[i]; }\n',
    "nested.c": "int x = " + "(" * 100_000 + "1" + ")" * 100_000 + ";\n",
    "errors.c": "".join(f"int f{n}(void) {{ return u{n}; }}\n" for n in range(20_000)),
    "device.c": 'const char a[] = {\n#embed "/dev/zero"\n};\n',
    "environ.c": '#include "/proc/self/environ"\n',
    "templates.cpp": FIB,
    "loop.cpp": "constexpr int f() { int n = 0; while (true) n ^= 1; return n; }\nconstexpr int x = f();\n",
    "recursive.cpp": "template <int N> struct T { T<N + 1> next; };\nT<0> t;\n",
    "embed.zig": 'export const a = @embedFile("/etc/passwd").len;\n',
    "loop.zig": "comptime {\n    @setEvalBranchQuota(4294967295);\n    var n: u32 = 0;\n    while (true) n ^= 1;\n}\n",
    "import.zig": 'const a = @import("/etc/passwd");\nexport fn f() u8 { return a.x; }\n',
    "cimport.zig": 'const c = @cImport(@cInclude("/etc/passwd"));\nexport fn f() u8 { return c.x; }\n',
}


@pytest.mark.parametrize("name", SOURCES)
async def test_hostile_source(
    c_home: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, nothing of the machine's files in it, and an empty temporary folder after it."""
    monkeypatch.setattr("echelon.plugin.compilers.command._BASE", str(tmp_path))
    compiler = next(found for found in c.make(c_home) if name.endswith(found.suffixes))
    compiler.program = replace(compiler.program, seconds=8.0, memory=1 << 30)
    compiled = await compiler.compile(Job({name: SOURCES[name]}, name))
    assert compiled.wasm is None
    assert any(item.severity == "error" for item in compiled.diagnostics)
    assert len(compiled.diagnostics) <= 101
    assert "root:" not in "".join(item.message for item in compiled.diagnostics)
    assert list(tmp_path.iterdir()) == []
