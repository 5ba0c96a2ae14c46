"""What scripts in JavaScript find of the web: the same program answers the same here and in Deno."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from echelon import Limits, Permissions
from echelon.plugin.compilers.javascript.compiler import JavaScript
from echelon.plugin.generator import Generator
from echelon.plugin.toolchain.javascript import find_javascript
from echelon.runtime.core import Runtime
from echelon.runtime.module import Module

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

PROGRAM = Path(__file__).with_name("web_program.js")
FUNCTIONS = (
    "urls", "relative", "setters", "parameters", "bound", "constructed", "cloned", "aborted", "events",
)  # fmt: skip


STANDARD = {
    ("http://a/a'b\"c`d{}|^~",): "http://a/a'b%22c%60d%7B%7D|%5E~",
    ("data:a b #c",): "data:a b%20#c",
    ("data:a b  ?x",): "data:a b %20?x",
    ("foo:/..//a",): "foo:/.//a",
    ("file:///C|/a",): "file:///C:/a",
    ("file:///a/../C|/b",): "file:///C:/b",
    ("file:////a",): "file:////a",
    ("///d", "http://user:p@h:81/a/b/c?q=1#f"): "http://d/",
    ("///d", "https://h"): "https://d/",
    ("C|/x", "file://host/d/e?q"): "file://host/C:/x",
    ("/C:/x", "file://host/d/e?q"): "file://host/C:/x",
    ("/..//d", "file://host/d/e?q"): "file://host//d",
    ("\\d", "foo://h/a/b"): "foo://h/a/\\d",
    ("\\\\d", "foo://h/a/b"): "foo://h/a/\\\\d",
    ("\\d", "foo:/a/b"): "foo:/a/\\d",
    ("\\\\d", "foo:/a/b"): "foo:/a/\\\\d",
    ("/..//d", "foo:/a/b"): "foo:/.//d",
    ("https://h", "protocol", "file"): "file://h/",
    ("file:///a/b", "pathname", "//x"): "file:////x",
    ("foo:/a", "pathname", "//x"): "foo:/.//x",
}
"""Where Deno does something else than the URL Standard says: what the standard says."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def script(home: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Module]:
    """The program above, loaded."""
    async with Generator([JavaScript(home)], tmp_path_factory.mktemp("artifacts") / "store") as generator:
        made = await generator.compile(PROGRAM)
        async with Runtime(generator=generator) as runtime:
            yield await runtime.load(made.wasm, permissions=Permissions(net=["127.0.0.1"]))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program's functions return in Deno."""
    found = find_javascript("deno")
    assert found is not None
    main = tmp_path_factory.mktemp("deno") / "main.mjs"
    main.write_text(
        f"import * as program from {json.dumps(PROGRAM.as_uri())};\nconst found = {{}};\n"
        "for (const name in program) found[name] = await program[name]();\nconsole.log(JSON.stringify(found));\n"
    )
    command = [found.path, "run", "--quiet", "--allow-read", "--allow-net=127.0.0.1", main]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_the_same_as_in_deno(script: Module, expected: dict[str, Any], name: str) -> None:
    """Parsers, setters, clones and events follow their standards to the letter."""
    found = await script.call(name, limits=Limits(time="20s"))
    wrong = []
    for here, there in zip(found, expected[name], strict=True):
        standard = STANDARD.get(tuple(here[:-1])) if isinstance(here, list) else None
        if here != there if standard is None else here[-1][0] != standard:
            wrong.append((here, there))
    assert wrong == []
