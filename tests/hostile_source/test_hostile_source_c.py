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
LINE = "int broken(void) { return "
SOURCES = {
    # what is not the source's
    "include.c": '#include "/etc/passwd"\n',
    "system.c": "#include </etc/passwd>\n",
    "macro_include.c": '#define NAME "/etc/" "passwd"\n#define FILE_(x) x\n#include FILE_("/etc/passwd")\n',
    "next.c": '#include_next "/etc/passwd"\n',
    "import.c": '#import "/etc/passwd"\n',
    "embed.c": 'const char a[] = {\n#embed "/etc/passwd"\n};\n',
    "embed_limit.c": 'const char a[] = {\n#embed "/etc/shadow" limit(1) if_empty(1)\n};\n',
    "incbin.c": '__asm__(".incbin \\"/etc/passwd\\"");\n',
    "incbin_relative.c": '__asm__(".incbin \\"../../../../../../etc/passwd\\"");\n',
    "assembler.c": '__asm__(".include \\"/etc/passwd\\"");\n',
    "parent.c": '#include "../../../../etc/passwd"\n',
    "dependency.c": '#pragma GCC dependency "/etc/passwd"\n#error after it\n',
    "device.c": 'const char a[] = {\n#embed "/dev/zero"\n};\n',
    "random.c": '#include "/dev/urandom"\n',
    "stretched.c": '#embed "/dev/urandom" limit(16)\n',
    "environ.c": '#include "/proc/self/environ"\n',
    "arguments.c": '#include "/proc/self/cmdline"\n',
    "toolchain.c": '#include "../../../toolchains/../secrets"\n',
    "module.cpp": 'import "/etc/passwd";\n',
    "module_map.cpp": "#pragma clang module import passwd\n#error after it\n",
    # what another file says of itself
    "line.c": f'#line 1 "/etc/passwd"\n{LINE} x; }}\n',
    # what has no end, or no measure
    "itself.c": '#include "itself.c"\n',
    "macros.c": BOMB,
    "long_macro.c": "#define A "
    + "x " * 200_000
    + "\n#define B A A A A A A A A\n#define C B B B B B B B B\nint y = C C C C;\n",
    "array.c": 'char a[1u << 31] = {1};\n__attribute__((export_name("f"))) char f(int i) { return a[i]; }\n',
    "nested.c": "int x = " + "(" * 100_000 + "1" + ")" * 100_000 + ";\n",
    "blocks.c": "void f(void) " + "{" * 100_000 + "}" * 100_000 + "\n",
    "conditions.c": "#if 1\n" * 100_000 + "int x\n",
    "pointers.c": "int " + "*" * 100_000 + "x;\nint y = x;\n",
    "errors.c": "".join(f"int f{n}(void) {{ return u{n}; }}\n" for n in range(20_000)),
    "warnings.c": "".join(f"int f{n}(void) {{ int u{n}; }}\n" for n in range(10_000))
    + "int g(void) { return x; }\n",
    "message.c": '#pragma message "' + "x" * 500_000 + '"\n#error after it\n',
    "templates.cpp": FIB,
    "loop.cpp": "constexpr int f() { int n = 0; while (true) n ^= 1; return n; }\nconstexpr int x = f();\n",
    "recursive.cpp": "template <int N> struct T { T<N + 1> next; };\nT<0> t;\n",
    "pack.cpp": "#include <utility>\n"
    "template <int... N> int f(std::integer_sequence<int, N...>) { return (N + ...); }\n"
    "int x = f(std::make_integer_sequence<int, 100000000>());\n",
    "concepts.cpp": "template <class T> concept C = requires(T t) { requires C<T *>; };\nstatic_assert(C<int>);\n",
    "allocate.cpp": "constexpr int f() { for (int n = 0; n < 1 << 30; n++) new int[1 << 20]; return 1; }\n"
    "constexpr int x = f();\n",
    "lambdas.cpp": "auto f = " + "[] { return " * 5_000 + "1" + "; }()" * 5_000 + "\n",
    "vector.cpp": "typedef int v __attribute__((vector_size(1 << 30)));\nv a, b;\nv f() { return a * b + x; }\n",
    # what speaks to the linker
    "linker.c": '#pragma comment(linker, "/include:/etc/passwd")\n#pragma comment(lib, "/etc/passwd")\n#error end\n',
    "undefined.c": '__attribute__((import_module("echelon"))) extern int memory;\nint *f(void) { return &memory; }\n'
    '__attribute__((export_name("g"))) int g(void) { return *f(); }\n',
    "start.c": '__attribute__((export_name("_initialize"))) void _initialize(void) {}\n',
    "section.c": '__attribute__((section("a"))) int a = 1;\n__attribute__((section("a"))) int f(void) { return 1; }\n',
    "forged.c": '__asm__(".section .custom_section.echelon:signature,\\"\\",@\\n.ascii \\"{}\\"\\n.bogus");\n',
    # the same in Zig
    "embed.zig": 'export const a = @embedFile("/etc/passwd").len;\n',
    "embed_parent.zig": 'export const a = @embedFile("../../../../../etc/passwd").len;\n',
    "import.zig": 'const a = @import("/etc/passwd");\nexport fn f() u8 { return a.x; }\n',
    "import_parent.zig": 'const a = @import("../../../../../../etc/passwd");\nexport fn f() u8 { return a.x; }\n',
    "import_environ.zig": 'const a = @import("/proc/self/environ");\nexport fn f() u8 { return a.x; }\n',
    "cimport.zig": 'const c = @cImport(@cInclude("/etc/passwd"));\nexport fn f() u8 { return c.x; }\n',
    "incbin.zig": 'comptime {\n    asm (".incbin \\"/etc/passwd\\"");\n}\n',
    "loop.zig": "comptime {\n    @setEvalBranchQuota(4294967295);\n    var n: u32 = 0;\n    while (true) n ^= 1;\n}\n",
    "recursive.zig": "fn f(comptime n: u64) type {\n    return struct { x: f(n + 1) };\n}\n"
    "export fn g() usize { return @sizeOf(f(0)); }\n",
    "memory.zig": 'comptime {\n    @setEvalBranchQuota(4294967295);\n    var a: []const u8 = "0123456789";\n'
    "    while (true) a = a ++ a;\n}\n",
    "array.zig": "export fn f(i: usize) u8 {\n    const a = [_]u8{1} ** (1 << 40);\n    return a[i];\n}\n",
    "log.zig": "comptime {\n    @setEvalBranchQuota(4294967295);\n    var n: u64 = 0;\n"
    "    while (true) : (n += 1) @compileLog(n);\n}\n",
    "unrolled.zig": "export fn f(x: u64) u64 {\n    @setEvalBranchQuota(4294967295);\n    var n = x;\n"
    "    inline for (0..100_000_000) |i| n = n *% (i + 3) +% 1;\n    return n;\n}\n",
    "nested.zig": "export const x: u8 = " + "(" * 100_000 + "1" + ")" * 100_000 + ";\n",
    "errors.zig": "".join(f"export fn f{n}() u8 {{ return u{n}; }}\n" for n in range(20_000)),
    "error.zig": 'comptime {\n    @compileError("x" ** 5_000_000);\n}\n',
}
PROBES = {
    "include.c": '#include "%s"\n',
    "embed.c": 'const char a[] = {\n#embed "%s"\n};\n',
    "dependency.c": '#pragma GCC dependency "%s"\n',
    "incbin.c": '__asm__(".incbin \\"%s\\"");\n',
    "assembler.c": '__asm__(".include \\"%s\\"");\n',
    "has_include.c": '#if __has_include("%s")\n#error seen\n#endif\n',
    "has_system.cpp": "#if __has_include(<%s>)\n#error seen\n#endif\n",
    "has_above.c": '#if __has_include("../../../../../../../../..%s")\n#error seen\n#endif\n',
    "has_embed.c": '#if __has_embed("%s")\n#error seen\n#endif\n',
    "embed.zig": 'export const a = @embedFile("%s").len;\n',
    "embed_above.zig": 'export const a = @embedFile("../../../../../../..%s").len;\n',
    "import.zig": 'export const a = @import("%s").a;\n',
    "incbin.zig": 'comptime {\n    asm (".incbin \\"%s\\"");\n}\n',
}


@pytest.mark.parametrize("name", SOURCES)
async def test_hostile_source(
    c_home: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, nothing of the machine's files in it, and an empty temporary folder after it."""
    monkeypatch.setattr("echelon.plugin.compilers.command.BASE", str(tmp_path))
    compiler = next(found for found in c.make(c_home) if name.endswith(found.suffixes))
    compiler.program = replace(compiler.program, seconds=6.0, memory=1 << 30)
    compiled = await compiler.compile(Job({name: SOURCES[name]}, name))
    assert compiled.wasm is None
    assert any(item.severity == "error" for item in compiled.diagnostics)
    assert len(compiled.diagnostics) <= 101
    assert "root:" not in "".join(item.message for item in compiled.diagnostics)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", PROBES)
async def test_what_is_there_cannot_be_seen(c_home: Path, name: str) -> None:
    """A source learns nothing of which files there are outside of its own: the answer is the same for all of them."""
    compiler = next(found for found in c.make(c_home) if name.endswith(found.suffixes))
    answers = set()
    for path in ("/etc/passwd", "/etc", "/etc/no-such-file", str(Path(__file__).resolve())):
        compiled = await compiler.compile(Job({name: PROBES[name] % path}, name))
        said = [replace(item, message=item.message.replace(path, "PATH")) for item in compiled.diagnostics]
        answers.add((compiled.wasm, tuple(said)))
    assert len(answers) == 1, answers
