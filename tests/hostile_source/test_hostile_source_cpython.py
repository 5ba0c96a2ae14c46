"""Hostile sources of Python: each is checked within its limits, without any of it running, and reads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from echelon.errors import CompileError
from echelon.plugin.compilers.cpython.compiler import CPython
from echelon.plugin.generator import Generator

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

# A source, or several files, and the words that the error must have.
BAD: dict[str, tuple[str | Mapping[str, str], str]] = {
    "deep parentheses": ("(" * 200_000 + ")" * 200_000, "parenthes|nested|memory"),
    "deep lists": ("x = " + "[" * 100_000 + "]" * 100_000, "parenthes|nested|memory"),
    "deep signs": ("x = " + "-" * 400_000 + "1", "nested|memory|recursion"),
    "deep negation": ("x = " + "not " * 200_000 + "1", "nested|memory|recursion"),
    "deep powers": ("x = " + "2**" * 200_000 + "2", "nested|memory|recursion"),
    "deep attributes": ("x" + ".a" * 300_000, "nested|memory|recursion"),
    "deep calls": ("f" + "()" * 300_000, "nested|memory|recursion"),
    "deep lambdas": ("x = " + "lambda: " * 100_000 + "1", "nested|memory|recursion"),
    "deep conditions": ("x = " + "1 if 1 else " * 60_000 + "1", "nested|memory|recursion"),
    "deep blocks": ("".join(" " * n + "if 1:\n" for n in range(120)) + " " * 120 + "pass", "indentation|nested"),
    "deep functions": ("".join(" " * n + f"def f{n}():\n" for n in range(90)) + " " * 90 + "pass\n(", "closed|nested"),
    "deep annotation": ("def f(x: " + "list[" * 50_000 + "int" + "]" * 50_000 + "): pass", "parenthes|nested|memory"),
    "deep text": ("x = f'" + "{f'" * 200 + "1" + "'}" * 200 + "'", "nested"),
    "deep pattern": ("match x:\n case " + "[" * 50_000 + "]" * 50_000 + ": pass", "parenthes|nested|memory"),
    "long sum": ("x = " + "1+" * 300_000 + "1", "nested|memory|recursion|longer"),
    "long number": ("x = " + "9" * 100_000, "digits"),
    "nothing": ("\0" * 1000, "null"),
    "another encoding": ("# coding: rot13\nk = (", "closed"),
    "unknown encoding": ("# coding: none-such\nx = (", "closed|encoding"),
    "tabs": ("if 1:\n\tx = 1\n        y = 2\n", "tabs|indent"),
    "many errors": ("x = (\n" * 100_000, "closed|nested"),
    "bidirectional": ("x = 1\u202e; y = (", "character|closed"),
    "escape": ("x = '\\N{" + "A" * 100_000 + "}'", "unicode"),
    "kit": ({"main.py": "import echelon", "echelon.py": "x = 1"}, "another name"),
    "kit as a folder": ({"main.py": "import echelon", "echelon/kv.py": "x = 1"}, "another name"),
    "other file": ({"main.py": "import a", "a.py": "x = ("}, r"^a\.py:1:5"),
}  # fmt: skip

# What may be checked; all that matters is that it is over soon, and what is in it does not run.
GOOD: dict[str, str | Mapping[str, str]] = {
    "endless": "while True: pass\n",
    "exit": "import os\nos._exit(1)\n",
    "large text": "x = 'a' * 10**12\n",
    "large number": "x = 10 ** 10 ** 10\n",
    "large shift": "x = 1 << 10 ** 12\n",
    "large tuples": "x = " + "(" * 8 + "(0,) * 200" + ") * 200" * 8 + "\n",
    "many functions": "".join(f"def f{n}(a: int, b: str = ''): pass\n" for n in range(20_000)),
    "many parameters": "def f(" + ", ".join(f"a{n}: list[list[int]]" for n in range(20_000)) + "): pass\n",
    "many decorators": "@print\n" * 5_000 + "def f(): pass\n",
    "text annotation": 'def f(x: "' + "(" * 50_000 + '"): pass\n',
    "odd annotation": "def f(x: 'int\\n', y: [1][0], z: print(7), *, k: int) -> 'None': pass\n",
    "long lines": "x = 1; " * 100_000 + "\n",
    "long names": "a" * 900_000 + " = 1\n",
    "many warnings": "".join(f"x = {n} is 1\n" for n in range(20_000)),
    "many files": {f"m{n}.py": "import os\n" for n in range(64)},
    "odd names": {"main.py": "import a", "sys.py": "x = 1", "os.py": "y = 1"},
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def generator(cpython_home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Generator]:
    """A generator of Python scripts."""
    async with Generator([CPython(cpython_home)], tmp_path_factory.mktemp("a") / "store") as running:
        yield running


@pytest.mark.parametrize("name", BAD)
async def test_bad_source(generator: Generator, name: str) -> None:
    """It is an error whose text is short, and that says why."""
    source, words = BAD[name]
    with pytest.raises(CompileError, match=f"(?i){words}") as caught:
        await asyncio.wait_for(generator.compile(source, language="cpython"), 60)
    assert 1 <= len(caught.value.diagnostics) <= 101
    assert all(len(item.message) <= 600 for item in caught.value.diagnostics)


@pytest.mark.parametrize("name", GOOD)
async def test_source_that_does_not_run(generator: Generator, name: str) -> None:
    """A check of what may be a script ends soon, whatever that would do, and its module is bounded."""
    try:
        artifact = await asyncio.wait_for(generator.compile(GOOD[name], language="cpython"), 60)
    except CompileError as exc:
        assert any(word in str(exc) for word in ("nested", "longer than", "memory", "too large"))  # noqa: PT017 - either is well
    else:
        assert len(artifact.wasm) < 16 << 20
        assert len(artifact.diagnostics) <= 101


async def test_imports_stay_in_the_folder(generator: Generator, tmp_path: Path) -> None:
    """Whatever is imported by name or by dots, nothing outside of the source's folder is taken in."""
    (tmp_path / "secret.py").write_text("KEY = 1")
    inside = tmp_path / "in"
    (inside / "lib").mkdir(parents=True)
    (inside / "link.py").symlink_to("/etc/passwd")
    (inside / "lib" / "loop").symlink_to(inside)
    (inside / "lib" / "__init__.py").write_text("from ... import secret\nfrom ..secret import KEY\n")
    main = inside / "main.py"
    main.write_text(
        "import lib, link, secret\nfrom .. import secret\nfrom ...etc import passwd\nimport /etc/passwd\n"
    )
    with pytest.raises(CompileError, match=r"main\.py:4"):
        await generator.compile(main, language="cpython")
    main.write_text("import lib, link, secret\nfrom .. import secret\nfrom ................ import passwd\n")
    artifact = await generator.compile(main, language="cpython")
    assert b"root:" not in artifact.wasm
    assert b"KEY = 1" not in artifact.wasm


async def test_many_at_once(generator: Generator) -> None:
    """Sources that take long hold up the others for a bounded time."""
    slow = [generator.compile("x = " + "1+" * (100_000 + n) + "1", language="cpython") for n in range(3)]
    good = [generator.compile(f"x = {n}", language="cpython") for n in range(5)]
    done = await asyncio.wait_for(asyncio.gather(*slow, *good, return_exceptions=True), 100)
    assert not any(isinstance(item, BaseException) for item in done[3:])
    assert all(isinstance(item, CompileError) for item in done[:3])
