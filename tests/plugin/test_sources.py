"""What is accepted as source, and how the rest is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from echelon.errors import CompileError, ConfigError
from echelon.plugin import sources
from echelon.plugin.compilers.assemblyscript.compiler import AssemblyScript


def test_text_becomes_one_file() -> None:
    """A text without a name gets one, which diagnostics leave out."""
    files = sources.gather("x", (".ts",), None, 100)
    assert (dict(files.texts), files.entry, files.named) == ({"source.ts": "x"}, "source.ts", False)


@pytest.mark.parametrize(("name", "entry"), [("fib", "fib.ts"), ("fib.ts", "fib.ts"), ("a/b.ts", "a/b.ts")])
def test_a_name_gets_the_suffix_of_its_language(name: str, entry: str) -> None:
    """The name is the file's name, with or without its suffix."""
    assert sources.gather("x", (".ts",), name, 100).entry == entry


def test_the_first_of_several_files_is_the_entry() -> None:
    """Order decides, as the caller wrote it."""
    assert sources.gather({"z.ts": "", "a.ts": ""}, (".ts",), None, 100).entry == "z.ts"


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../a.ts", "a/../b.ts", "a//b.ts", "./a.ts", ".a.ts", "a\\b.ts", "a\0.ts",
     "~lib/a.ts", "a b.ts", "-a.ts", "é.ts", "a/", "x" * 201, "C:/a.ts", "a.ts\n"],
)  # fmt: skip
def test_odd_file_names_are_refused(path: str) -> None:
    """Only plain relative paths are file names, also as the name of a text."""
    with pytest.raises(ConfigError, match="not an accepted file name"):
        sources.gather({path: ""}, (".ts",), None, 100)
    if path:
        with pytest.raises(ConfigError, match="not an accepted file name"):
            sources.gather("", (".ts",), path, 100)


def test_file_names_must_be_text() -> None:
    """A mapping with other keys or values is refused with one sentence."""
    with pytest.raises(ConfigError, match="not an accepted file name"):
        sources.gather({1: ""}, (".ts",), None, 100)  # type: ignore[dict-item]  # on purpose
    with pytest.raises(ConfigError, match=r"a\.ts is int, not text"):
        sources.gather({"a.ts": 1}, (".ts",), None, 100)  # type: ignore[dict-item]  # on purpose
    with pytest.raises(ConfigError, match="no file was given"):
        sources.gather({}, (".ts",), None, 100)


def test_the_limit_is_on_bytes_of_all_files() -> None:
    """Sizes add up and count UTF-8 bytes, not characters."""
    sources.gather("é" * 50, (".ts",), None, 100)
    with pytest.raises(CompileError, match="102 bytes, at most 100"):
        sources.gather("é" * 51, (".ts",), None, 100)
    with pytest.raises(CompileError, match="120 bytes, at most 100"):
        sources.gather({"a.ts": "x" * 60, "b.ts": "x" * 60}, (".ts",), None, 100)


def test_the_number_of_files_is_limited() -> None:
    """Sixty-four files are accepted, one more is not."""
    many = {f"f{index}.ts": "" for index in range(65)}
    with pytest.raises(ConfigError, match="65 files were given, at most 64"):
        sources.gather(many, (".ts",), None, 100)
    many.popitem()
    sources.gather(many, (".ts",), None, 100)


def test_bytes_that_are_not_text_say_where() -> None:
    """Line and column of the first bad byte."""
    with pytest.raises(CompileError) as caught:
        sources.gather(b"ok\nab\xff", (".ts",), None, 100)
    (problem,) = caught.value.diagnostics
    assert (problem.line, problem.column) == (2, 3)


def test_half_a_surrogate_pair_says_where() -> None:
    """JSON can carry what UTF-8 cannot; it is refused before any compiler sees it."""
    with pytest.raises(CompileError) as caught:
        sources.gather("ok\nab\ud800", (".ts",), None, 100)
    (problem,) = caught.value.diagnostics
    assert (problem.line, problem.column) == (2, 3)


def test_a_byte_order_mark_is_dropped() -> None:
    """In text and in bytes."""
    assert sources.gather("\ufeffx", (".ts",), None, 9).texts["source.ts"] == "x"
    assert sources.gather(b"\xef\xbb\xbfx", (".ts",), None, 9).texts["source.ts"] == "x"


def test_digests_tell_sources_apart() -> None:
    """Names, contents, the entry and where one file ends all count; the order of the others does not."""
    made = [
        {"a.ts": "x"},
        {"a.ts": "y"},
        {"b.ts": "x"},
        {"a.ts": "x", "b.ts": ""},
        {"b.ts": "", "a.ts": "x"},
        {"a.ts": "x\n4 0 b.ts\n"},
    ]
    assert len({sources.gather(files, (".ts",), None, 100).digest() for files in made}) == len(made)
    one = sources.gather({"a.ts": "", "b.ts": "1", "c.ts": "2"}, (".ts",), None, 100)
    other = sources.gather({"a.ts": "", "c.ts": "2", "b.ts": "1"}, (".ts",), None, 100)
    assert one.digest() == other.digest()


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """The message names the file and says why."""
    with pytest.raises(CompileError, match=r"none\.ts: No such file"):
        sources.read(tmp_path / "none.ts", 10)
    with pytest.raises(CompileError, match="Is a directory"):
        sources.read(tmp_path, 10)


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    """One byte over the limit is enough to refuse it."""
    (tmp_path / "a.ts").write_bytes(b"x" * 11)
    with pytest.raises(CompileError, match="more than 10 bytes"):
        sources.read(tmp_path / "a.ts", 10)


def test_a_file_brings_what_it_imports(tmp_path: Path) -> None:
    """Relative imports are followed, also in a circle, but never out of the folder of the first file."""
    root = tmp_path / "app"
    (root / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "secret.ts").write_text("secret")
    (root / "unused.ts").write_text("")
    (root / "linked.ts").symlink_to(tmp_path / "secret.ts")
    (root / "lib" / "a.ts").write_text('export * from "./deep";\nimport "../main"; import "../../secret"')
    (root / "lib" / "deep" / "index.ts").write_text("")
    main = 'import { a } from "./lib/a"; import "./linked"; import "../secret"; import {fs} from "fs"'
    (root / "main.ts").write_text(main)
    texts = sources.with_imports(root / "main.ts", main.encode(), AssemblyScript(), 1000)
    assert list(texts) == ["main.ts", "lib/a.ts", "lib/deep/index.ts"]


def test_names_on_disk_are_made_plain() -> None:
    """A file may be called anything; its name inside the compiler may not."""
    assert sources.plain("my guest (1).ts") == "my_guest__1_.ts"
    assert sources.plain(".hidden.ts") == "_hidden.ts"
    sources.check_path(sources.plain("é" * 300 + ".ts"))
