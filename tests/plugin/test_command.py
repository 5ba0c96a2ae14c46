"""Compilers that are programs: confined, bounded, and described as data."""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from echelon.config import Config
from echelon.errors import Busy, CompileError, ConfigError, ToolchainMissing
from echelon.plugin import languages
from echelon.plugin.compiler import Job
from echelon.plugin.compilers import command, configured
from echelon.plugin.compilers.command import CommandCompiler
from echelon.plugin.generator import Generator

PYTHON = Path(sys.executable).resolve()
STANDARD = sysconfig.get_path("stdlib")
LIBRARY = {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]} if "LD_LIBRARY_PATH" in os.environ else {}

COMPILER = r'''
"""A compiler in the role of somebody else's: each line is an export and the number it returns."""
import re, sys
source, output = sys.argv[1:]
functions = b""
bodies = []
names = []
for number, line in enumerate(open(source), 1):
    if line.startswith("run "):
        exec(line[4:])
        continue
    match = re.fullmatch(r"(\w+) = (\d+)", line.strip())
    if match is None:
        print(f"{source}:{number}:1: error: expected name = number", file=sys.stderr)
        print(f"{source}:{number}:1: note: such as one = 1", file=sys.stderr)
        sys.exit(1)
    if int(match[2]) > 60:
        print(f"{source}:{number}:{line.index('=') + 3}: warning: that is a lot", file=sys.stderr)
    names.append(match[1].encode())
    bodies.append(bytes([4, 0, 0x41, int(match[2]) % 64, 0x0B]))
def section(kind, items):
    body = bytes([len(items)]) + b"".join(items)
    return bytes([kind, len(body)]) + body
exports = [bytes([len(n)]) + n + bytes([0, i]) for i, n in enumerate(names)]
open(output, "wb").write(
    b"\0asm\1\0\0\0" + section(1, [b"\x60\0\1\x7f"]) + section(3, [b"\0"] * len(names))
    + section(7, exports) + section(10, bodies)
)
'''


@pytest.fixture
def numbers(tmp_path: Path) -> CommandCompiler:
    """A compiler that a table in `echelon.toml` describes."""
    script = tmp_path / "tool" / "numbers.py"
    script.parent.mkdir()
    script.write_text(COMPILER)
    file = tmp_path / "echelon.toml"
    environment = ", ".join(f'{name} = "{value}"' for name, value in LIBRARY.items())
    file.write_text(
        f"""[compilers.numbers]
suffixes = [".num"]
command = ["{PYTHON}", "-I", "-S", "{script}", "{{entry}}", "{{output}}"]
version = ["{PYTHON}", "--version"]
install = "look under the sofa"
read = ["{script.parent}", "{PYTHON.parent.parent}", "{STANDARD}"]
environment = {{ {environment} }}
seconds = 10
"""
    )
    (made,) = configured.make(Config.load(file).compilers)
    return made


async def said(compiler: CommandCompiler, source: str) -> list[str]:
    compiled = await compiler.compile(Job({"a.num": source}, "a.num"))
    assert compiled.wasm is None
    return [str(item) for item in compiled.diagnostics]


async def test_compiles_and_runs(numbers: CommandCompiler, tmp_path: Path) -> None:
    """What it makes is a module like any other, with its provenance; warnings are kept, and the second is cached."""
    async with Generator([numbers], tmp_path / "store") as generator:
        artifact = await generator.compile("one = 1\nmany = 61\n", "numbers")
        assert artifact.compiler.startswith("numbers 3.")
        assert [(item.line, item.column, item.severity) for item in artifact.diagnostics] == [
            (2, 8, "warning")
        ]
        assert (await generator.compile("one = 1\nmany = 61\n", "numbers")).cached


async def test_options_of_a_table(numbers: CommandCompiler, tmp_path: Path) -> None:
    """A caller chooses among the values that the table lists, the first by default; they stand in the command."""
    file = tmp_path / "echelon.toml"
    lines = [line.replace('"-S"', '"-S", "-X{flag}"') for line in file.read_text().splitlines()]
    file.write_text("\n".join([*lines, 'options = { flag = ["utf8", "nonsense=1"] }', ""]))
    (made,) = configured.make(Config.load(file).compilers)
    tool = made._require()
    for given, flag in (({}, "-Xutf8"), ({"flag": "nonsense=1"}, "-Xnonsense=1")):
        job = Job({"a.num": "one = 1"}, "a.num", options=given)
        assert flag in next(iter(made.program.commands(tool, job, tmp_path)))
    async with Generator([made], tmp_path / "store") as generator:
        assert (await generator.compile("one = 1\n", "numbers", options={"flag": "utf8"})).options
        with pytest.raises(ConfigError, match=r"options\.flag: .* is not known; use utf8, nonsense=1"):
            await generator.compile("one = 1\n", "numbers", options={"flag": "-c"})


@pytest.mark.parametrize("options", ["{ output = ['a'] }", "{ level = [] }", "{ 'A B' = ['a'] }"])
def test_options_that_cannot_be(numbers: CommandCompiler, tmp_path: Path, options: str) -> None:
    """Each has a name of its own and a value."""
    file = tmp_path / "echelon.toml"
    file.write_text(file.read_text() + f"options = {options}\n")
    with pytest.raises(ConfigError, match="an option has a name of its own"):
        Config.load(file)


async def test_errors_have_places(numbers: CommandCompiler) -> None:
    """File, line and column are the source's, wherever it was compiled; notes are left out."""
    assert await said(numbers, "one = 1\ntwo\n") == ["a.num:2:1: error: expected name = number"]


HOSTILE = {
    "reads a file": ("run print(open('/etc/passwd').read())", "Permission denied"),
    "opens a socket": ("run import socket; socket.socket()", "not permitted"),
    "starts a program": ("run import os; os.posix_spawn('/bin/true', ['true'], {})", "not permitted"),
    "never ends": ("run any(iter(int, 1))", "stopped: it took longer than 10 s"),
    "prints for ever": ("run [print('x' * 9999) for _ in iter(int, 1)]", "stopped: it printed more than"),
    "takes all memory": ("run bytearray(9 << 30)", "MemoryError"),
    "writes no module": ("run sys.exit(0)", "the compiler wrote no module"),
    "writes a folder": ("run import os; os.mkdir(output); sys.exit(0)", "the compiler wrote no module"),
    "writes too much": (
        "run open(output, 'wb').write(b'x' * (17 << 20)); sys.exit(0)",
        "more than 16777216 bytes",
    ),
    "dies": ("run import os; os.kill(os.getpid(), 9)", "the compiler failed"),
    "says nothing": ("run sys.exit(3)", "it ended with status 3"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_a_compiler_may_not(
    numbers: CommandCompiler,
    name: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Source that takes its compiler over finds nothing there; each is an error and leaves nothing."""
    source, expected = HOSTILE[name]
    base = tmp_path_factory.mktemp("compiles")
    monkeypatch.setattr(command, "BASE", str(base))
    assert expected in "\n".join(await said(numbers, source + "\n"))
    assert list(base.iterdir()) == []


async def test_what_it_writes_is_checked(numbers: CommandCompiler, tmp_path: Path) -> None:
    """A file that is no module is not stored."""
    async with Generator([numbers], tmp_path / "store") as generator:
        with pytest.raises(CompileError, match="not accepted"):
            await generator.compile("run open(output, 'wb').write(b'MZ' * 99); sys.exit(0)\n", "numbers")


async def test_the_line_is_bounded(numbers: CommandCompiler, tmp_path: Path) -> None:
    """One compile more than may wait is Busy; the others are made."""
    async with Generator([numbers], tmp_path / "store", places=1, waiting=4) as generator:
        jobs = [generator.compile(f"a = {index}\n", "numbers", client=str(index % 2)) for index in range(7)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(result, Busy) for result in results) == 2
    assert sum(not isinstance(result, BaseException) for result in results) == 5


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """What is missing and how to get it."""
    file = tmp_path / "echelon.toml"
    file.write_text(
        '[compilers.cobol]\nsuffixes = [".cob"]\ncommand = ["no-such-cobc", "{entry}", "{output}"]\n'
        'install = "apt install cobol"\n'
    )
    compilers = languages.compilers(Config.load(file))
    assert "cobol" in [compiler.name for compiler in compilers]
    async with Generator(compilers, tmp_path / "store") as generator:
        with pytest.raises(
            ToolchainMissing, match="no-such-cobc is not on the PATH; type: apt install cobol"
        ):
            await generator.compile("x", "cobol")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('command = ["x", "{output}"]', "missing required field `suffixes`"),
        (
            'suffixes = [".x"]\ncommand = ["x"]',
            "compilers.bad.command: name the program and where its module goes",
        ),
        ('suffixes = [".x"]\ncommand = []', "compilers.bad.command: name the program"),
        ('suffixes = ".x"\ncommand = ["x", "{output}"]', "Expected `array`, got `str`"),
        ('suffixes = [".x"]\ncommand = ["x", "{output}"]\nsufixes = 1', "unknown field `sufixes`"),
        ('suffixes = [".x"]\ncommand = ["x", "{output}"]\ndiagnostics = "("', "not a regular expression"),
        ('suffixes = [".x"]\ncommand = ["x", "{output}"]\ndiagnostics = "x"', r"no group \(\?P<message>"),
        (
            'suffixes = [".x"]\ncommand = ["x", "{output}"]\nseconds = 0',
            "compilers.bad.seconds: must be more than 0",
        ),
    ],
)
def test_bad_tables(tmp_path: Path, table: str, message: str) -> None:
    """File, line and key of what is wrong."""
    file = tmp_path / "echelon.toml"
    file.write_text(f"[compilers.bad]\n{table}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        Config.load(file)
    assert "echelon.toml:1: compilers.bad" in str(caught.value)


def test_bad_names(tmp_path: Path) -> None:
    """A language's name is one word, and the table holds tables."""
    file = tmp_path / "echelon.toml"
    file.write_text('[compilers."../x"]\nsuffixes = [".x"]\ncommand = ["x", "{output}"]\n')
    with pytest.raises(ConfigError, match="lower-case letters"):
        Config.load(file)
    file.write_text("compilers = 1\n")
    with pytest.raises(ConfigError, match=r"write \[compilers.NAME\]"):
        Config.load(file)


def test_reading_a_module(tmp_path: Path) -> None:
    """A link, a pipe, a folder, or too much is no module."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "pipe")
    assert command.read_module(tmp_path / "secret", 10) == b"secret"
    for name, limit in (("secret", 5), ("link", 10), ("pipe", 10), (".", 10), ("none", 10)):
        assert command.read_module(tmp_path / name, limit) is None
