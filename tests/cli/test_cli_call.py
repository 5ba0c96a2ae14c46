"""`echelon call`: values, output, failures, permissions and limits, with real guests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import BROKEN, HOST, MATH, NUMBERS, WASI, Cli, Write

from echelon.runtime import binary, lines, native


@pytest.fixture
def math(write: Write) -> str:
    write("math.ts", MATH)
    return "math.ts"


@pytest.fixture
def numbers(write: Write) -> str:
    write("numbers.wat", NUMBERS)
    return "numbers.wat"


@pytest.fixture
def program(write: Write) -> str:
    write("program.wat", WASI)
    return "program.wat"


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["fib", "30"], "832040\n"),
        (["greet", "Ada"], "Hello, Ada!\n"),
        (["greet", ""], "Hello, !\n"),
        (["greet", "--", "--time"], "Hello, --time!\n"),
        (["reverse", "AAEC"], "AgEA\n"),
        (["sum", "[1, 2.5, -3]"], "0.5\n"),
        (["maybe", "null"], "null\n"),
        (["maybe", '"x"'], "x!\n"),
        (["both", "true", "-1.5", "18446744073709551615"], "true -1.5 18446744073709551615\n"),
        (["nothing"], ""),
    ],
)
def test_values_of_typescript(cli: Cli, math: str, words: list[str], printed: str) -> None:
    """Arguments are read and results shown by the types of the signature; only the value is printed."""
    result = cli("call", math, *words)
    assert (result.status, result.out, result.err) == (0, printed, "")


def test_values_of_a_module_without_a_signature(cli: Cli, numbers: str) -> None:
    """A plain module takes numbers; several results are a list."""
    assert cli("call", numbers, "add", "-2", "44").out == "42\n"
    assert cli("call", numbers, "pair").out == '[7, "NaN"]\n'


def test_a_binary_module(cli: Cli, numbers: str) -> None:
    """What `build` wrote, `call` runs, whatever its name."""
    assert cli("build", numbers, "-o", "numbers.bin").status == 0
    assert cli("call", "numbers.bin", "add", "1", "2").out == "3\n"


def test_bytes_from_a_file(cli: Cli, math: str, place: Path) -> None:
    """@FILE passes the content of a file."""
    (place / "data").write_bytes(b"\x00\x01\x02")
    assert cli("call", math, "reverse", "@data").out == "AgEA\n"


def test_json(cli: Cli, math: str) -> None:
    """--json writes all that a call left, in the form of the control API."""
    found = json.loads(cli("call", math, "greet", "Ada", "--json", "--fuel", "100000").out)
    assert found["value"] == "Hello, Ada!"
    assert set(found) == {"value", "stdout", "stderr", "logs", "cost"}
    assert 0 < found["cost"]["fuel"] <= 100_000


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["absent.ts", "f"], "there is no file absent.ts"),
        (["https://example.test/a.wasm", "f"], "https://example.test/a.wasm is a URL and this takes a file"),
        ([".", "f"], ". is a folder; name a file in it"),
        (["math.ts", "fob", "1"], 'math.ts has no function "fob"; it exports fib(n: i32) -> i32, '),
        (["math.ts", "fib"], "fib(n: i32) -> i32 takes 1 argument, 0 given"),
        (["math.ts", "fib", "1", "2"], "fib(n: i32) -> i32 takes 1 argument, 2 given"),
        (["math.ts", "fib", "x"], "fib() argument 1 (n: i32): 'x' is not a whole number"),
        (["math.ts", "fib", "3000000000"], "fib() argument 1 (n: i32): 3000000000 is out of range"),
        (["math.ts", "sum", "[true]"], "sum() argument 1 (xs: list<f64>): 'true' at [0] is not f64"),
        (["math.ts"], "math.ts is not a WASI command: name a function to call; it exports fib(n: i32)"),
        (["math.ts", "fib", "1", "--time", "soon"], "--time: 'soon' is not a time"),
        (["math.ts", "fib", "1", "--memory", "-1"], "--memory: '-1' is not a size"),
        (["math.ts", "fib", "1", "--fuel", "0"], "--fuel: '0' is not a whole number greater than zero"),
        (["math.ts", "fib", "1", "--host-calls", "x"], "--host-calls: 'x' is not a whole number"),
        (["math.ts", "fib", "1", "--stack", "1"], "limits.stack: at least 65536 bytes are needed"),
        (["math.ts", "fib", "1", "--allow-net=a b"], "--allow-net: 'a b' is not a host"),
        (["math.ts", "fib", "1", "--deny-sys=x"], "--deny-sys: 'x' is not known; known are clock"),
        (["math.ts", "fib", "1", "--allow-env="], "--allow-env=: the list is empty"),
        (["math.ts", "fib", "1", "--alow-env"], "unknown option --alow-env; did you mean --allow-env?"),
        (
            ["notes.txt", "f"],
            "notes.txt: its language is not known; name one, or use one of "
            ".c, .cc, .cpp, .cxx, .go, .js, .jsx, .mjs, .py, .rs, .ts, .tsx, .wat, .zig",
        ),
        (["numbers.wat", "take", "x"], "take() argument 1 (externref): a reference cannot be given"),
    ],
)
def test_usage_mistakes(cli: Cli, write: Write, argv: list[str], message: str) -> None:
    """Each mistake is one line on standard error and exit status 2; nothing is printed."""
    write("math.ts", MATH)
    write("numbers.wat", NUMBERS)
    write("notes.txt", "hello")
    result = cli("call", *argv)
    assert result.status == 2
    assert result.out == ""
    assert result.err.startswith(f"echelon: {message}")
    assert result.err.count("\n") == 1


def test_a_compile_error(cli: Cli, write: Write) -> None:
    """Each message has its place, its line of the source and a caret; the exit status is 1."""
    write("broken.ts", BROKEN)
    result = cli("call", "broken.ts", "f")
    assert result.status == 1
    assert result.out == ""
    first, line, caret, second, *_ = result.err.splitlines()
    assert first.startswith("broken.ts:2:10: error: ")
    assert line == '    2 |   return "text";'
    assert caret.index("^") == line.index('"')
    assert second.startswith("broken.ts:4:36: error: ")
    assert "nope" in second


def test_an_error_that_shows_its_line(cli: Cli, write: Write) -> None:
    """Where the compiler shows the line and a caret, they stand there once."""
    write("label.py", 'def label(n: int) -> str:\n    return "number " + n\n')
    result = cli("call", "label.py", "label", "1")
    assert (result.status, result.out) == (1, "")
    hint = "+ does not take str and int; make it a string with str(…) or an f-string"
    caret = " " * 15 + "^"
    assert result.err == f'label.py:2:12: error: {hint}\n        return "number " + n\n{caret}\n'


def test_an_error_in_an_imported_file(cli: Cli, write: Write) -> None:
    """The message names the file it is about, beside the one that was given."""
    write("lib/part.ts", "export function half(n: i32): i32 { return n / }\n")
    write("lib/main.ts", 'import { half } from "./part"\nexport function f(): i32 { return half(4) }\n')
    result = cli("call", "lib/main.ts", "f")
    assert result.status == 1
    assert result.err.startswith("lib/part.ts:1:48: error: ")
    assert "    1 | export function half" in result.err


def test_an_imported_file(cli: Cli, write: Write) -> None:
    """What a source imports from its own folder comes along."""
    write("lib/part.ts", "export function half(n: i32): i32 { return n / 2 }\n")
    write("lib/main.ts", 'import { half } from "./part"\nexport function f(): i32 { return half(4) }\n')
    assert cli("call", "lib/main.ts", "f").out == "2\n"


def test_a_mistake_in_wat(cli: Cli, write: Write) -> None:
    """Text of WebAssembly is reported in the same form."""
    write("bad.wat", "(module\n  (func (export 3)))\n")
    result = cli("call", "bad.wat", "f")
    assert result.status == 1
    assert result.err.startswith("bad.wat:2:10: error: ")


def test_bytes_that_are_no_module(cli: Cli, place: Path) -> None:
    """A damaged module is a failure that names the file."""
    (place / "bad.wasm").write_bytes(b"\0asm\1\0\0\0\xff")
    result = cli("call", "bad.wasm", "f")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert result.err.startswith("echelon: bad.wasm: ")


def test_an_import_nothing_provides(cli: Cli, write: Write) -> None:
    """A module that asks for something unknown does not load."""
    write("odd.wat", '(module (import "moon" "phase" (func)) (func (export "f")))')
    result = cli("call", "odd.wat", "f")
    assert result.status == 1
    assert "moon" in result.err


def test_a_trap(cli: Cli, numbers: str) -> None:
    """A trap is named by its code, with the guest's frames below."""
    result = cli("call", numbers, "boom")
    assert result.status == 1
    assert result.err.startswith("echelon: trap unreachable: ")
    assert result.err.splitlines()[1].startswith("  at ")


def test_a_trap_in_cpp(cli: Cli, place: Path, clang: Callable[..., bytes]) -> None:
    """Frames have file and line of the source, from a module's debug information, and plain names."""
    source = """namespace shop {
template <class T> __attribute__((noinline)) T share(T total, T people) { return total / people; }
}
extern "C" __attribute__((export_name("run"))) int run(int n) {
  return shop::share(7, n) + 1;
}
"""
    (place / "cart.wasm").write_bytes(clang({"cart.cpp": source}, "-O1"))
    assert cli("call", "cart.wasm", "run", "7").out == "2\n"
    result = cli("call", "cart.wasm", "run", "0")
    assert result.status == 1
    assert result.err == (
        "echelon: trap integer-division-by-zero: the guest divided an integer by zero"
        " in int shop::share<int>(int, int) (cart.cpp:2)\n"
        "  at int shop::share<int>(int, int) (cart.cpp:2)\n"
        "  at run (cart.cpp:5)\n"
    )


def test_a_trap_in_a_hostile_module(cli: Cli, place: Path) -> None:
    """What a module says of its source cannot steer the terminal."""
    wasm = native.load().wat2wasm(r'(module (func (@name "\1b[31m") (export "f") unreachable))')
    lying = binary.add_custom_section(wasm, lines.SECTION, lines.encode(["\x1b[2J\n.c"], [0, 0, 1]))
    (place / "evil.wasm").write_bytes(lying)
    result = cli("call", "evil.wasm", "f")
    assert result.status == 1
    assert "\x1b" not in result.err
    assert result.err.splitlines()[1:] == ["  at \\x1b[31m (\ufffd[2J\ufffd.c:1)"]


def test_a_guest_that_throws(cli: Cli, math: str) -> None:
    """What a TypeScript guest throws arrives with its place."""
    result = cli("call", math, "fail", "no luck")
    assert result.status == 1
    assert "no luck (math.ts:" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["spin", "--time", "100ms"], "the guest ran longer than its limit of 100 ms"),
        (["spin", "--fuel", "1000"], "the guest used up its 1000 units of fuel"),
        (["add", "1", "2", "--memory", "1KiB"], "the guest needs more memory than its limit of 1024 bytes"),
    ],
)
def test_limits(cli: Cli, numbers: str, words: list[str], message: str) -> None:
    """A guest that exceeds a limit is stopped, and the limit is named."""
    result = cli("call", numbers, *words)
    assert (result.status, result.out, result.err) == (1, "", f"echelon: {message}\n")


def test_limits_above_a_servers_ceilings(cli: Cli, numbers: str) -> None:
    """Whoever types the limits owns the machine: more than a server's configuration allows is fine."""
    assert cli("call", numbers, "add", "1", "2", "--memory", "1GiB", "--time", "10m").out == "3\n"


def test_the_limit_on_host_calls_and_output(cli: Cli, program: str) -> None:
    """Every limit has its option."""
    assert "more than 2 times" in cli("call", program, "--host-calls", "2").err
    assert "more than 3 bytes" in cli("call", program, "--output", "3").err


def test_a_denial_names_its_grant(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guest was not granted stops it; the option that is printed is the one that helps."""
    monkeypatch.setenv("COLOUR", "blue")
    write("host.ts", HOST)
    denied = cli("call", "host.ts", "variable", "COLOUR")
    assert (denied.status, denied.out) == (1, "")
    assert denied.err == (
        "info: asked for COLOUR\n"
        'echelon: permission denied: env to "COLOUR" (grant it with --allow-env=COLOUR)\n'
    )
    for option in ("--allow-env=COLOUR", "--allow-env=COL*,TZ", "--allow-env"):
        granted = cli("call", "host.ts", "variable", "COLOUR", option)
        assert (granted.status, granted.out) == (0, "blue\n"), option
    again = cli("call", "host.ts", "variable", "COLOUR", "--allow-env", "--deny-env=COLOUR")
    assert again.status == 1
    assert "--deny-env=COLOUR" in again.err


def test_options_repeat(cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists of an option given twice are one list."""
    monkeypatch.setenv("COLOUR", "blue")
    write("host.ts", HOST)
    result = cli("call", "host.ts", "variable", "COLOUR", "--allow-env=TZ", "--allow-env=COLOUR")
    assert result.out == "blue\n"


def test_a_wasi_command(cli: Cli, program: str) -> None:
    """Arguments after --, standard input in, standard output and error out."""
    result = cli("call", program, "--", "one", "--two", stdin=b"and input")
    assert result.status == 0
    assert result.out == "program.wat\0one\0--two\0and input"
    assert result.err == "bad news\n"


def test_a_wasi_command_as_json(cli: Cli, program: str) -> None:
    """With --json what the command wrote is part of the document."""
    found = json.loads(cli("call", program, "--json", stdin=b"x").out)
    assert (found["value"], found["stdout"], found["stderr"]) == (None, "program.wat\0x", "bad news\n")


def test_input_is_read_only_when_it_can_be_used(cli: Cli, numbers: str) -> None:
    """A module that cannot read does not make us wait for input that never ends."""
    assert cli("call", numbers, stdin=b"x").status == 2


def test_a_commands_arguments_without_dashes(cli: Cli, program: str) -> None:
    """A word that is no function gets the hint that arguments stand after --."""
    result = cli("call", program, "one")
    assert result.status == 2
    assert "to run it as a WASI command, write its arguments after --" in result.err


def test_an_exit_status(cli: Cli, program: str) -> None:
    """A status other than zero is a failure; what was printed before is passed on."""
    result = cli("call", program, "quit", "3")
    assert (result.status, result.out) == (1, "bad news\n")
    assert result.err == "echelon: the command ended with exit status 3\n"
    assert cli("call", program, "quit", "0").status == 0


def test_a_function_that_exits_has_no_value(cli: Cli, write: Write) -> None:
    """Exit status 0 instead of a result is a failure: nothing is printed that could be taken for one."""
    write(
        "exit.wat",
        """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
           (memory (export "memory") 1)
           (func (export "f") (result i32) (call $exit (i32.const 0)) (i32.const 5)))""",
    )
    result = cli("call", "exit.wat", "f")
    assert (result.status, result.out) == (1, "")
    assert result.err == "echelon: f ended the guest with exit status 0 instead of a value\n"


def test_the_whole_environment(cli: Cli, program: str) -> None:
    """A WASI guest that asks for its environment needs some grant of it."""
    result = cli("call", program, "look")
    assert result.status == 1
    assert "--allow-env" in result.err
    assert cli("call", program, "look", "--allow-env=NOTHING").status == 0
