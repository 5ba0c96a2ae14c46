"""What the generator accepts as source, made into checked files before any compiler sees it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from echelon.errors import CompileError, ConfigError, Diagnostic
from echelon.plugin.compiler import Importing

Source = str | bytes | Path | Mapping[str, str]

MAX_SOURCE: Final = 1 << 20
MAX_FILES: Final = 64
MAX_PATH: Final = 200
WASM_MAGIC: Final = b"\0asm"
UNNAMED: Final = "source"

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Files:
    """Source files by relative path; the exports of `entry` become those of the module."""

    texts: Mapping[str, str]
    entry: str
    named: bool

    def digest(self) -> str:
        """Return the SHA-256 over names and contents."""
        total = hashlib.sha256(self.entry.encode())
        for path in sorted(self.texts):
            content = self.texts[path].encode()
            total.update(f"\n{len(path)} {len(content)} {path}\n".encode())
            total.update(content)
        return total.hexdigest()


def read(path: Path, limit: int) -> bytes:
    """Return a file's content; raises CompileError with one line when it cannot be read or is too long."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as exc:
        raise CompileError(f"{path}: {exc.strerror or exc}") from exc
    if len(content) > limit:
        raise CompileError(f"{path}: the file has more than {limit} bytes, the limit for source")
    return content


def with_imports(path: Path, content: bytes, compiler: Importing, limit: int) -> dict[str, str]:
    """Return a source file and the files it imports, by path relative to its folder; none outside it."""
    root = path.parent.resolve()
    entry = plain(path.name)
    texts = {entry: text_of(content, entry)}
    waiting = [entry]
    while waiting:
        importer = waiting.pop()
        for found in _matching(root, compiler.imports(importer, texts[importer])):
            file = (root / found).resolve()
            if found in texts or not file.is_relative_to(root) or not file.is_file():
                continue
            if len(texts) == MAX_FILES:
                raise CompileError(f"{path}: it imports more than {MAX_FILES - 1} files")
            texts[found] = text_of(read(file, limit), found)
            waiting.append(found)
    return texts


def _matching(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Replace each pattern such as "lib/*.go" by the files that match it."""
    for name in names:
        if "*" in name:
            yield from sorted(path.relative_to(root).as_posix() for path in root.glob(name))
        else:
            yield name


def gather(
    source: str | bytes | Mapping[str, str], suffixes: Sequence[str], name: str | None, limit: int
) -> Files:
    """Check texts, names and sizes; raises CompileError for the texts, ConfigError for the rest."""
    if isinstance(source, Mapping):
        if not source:
            raise ConfigError("source: no file was given", key="source")
        for path in source:
            check_path(path)
        if len(source) > MAX_FILES:
            raise ConfigError(f"source: {len(source)} files were given, at most {MAX_FILES} are accepted")
        files = Files(dict(source), next(iter(source)), named=True)
    else:
        entry = _entry(name, suffixes)
        check_path(entry)
        files = Files({entry: text_of(source, entry)}, entry, named=name is not None)
    total = 0
    for path, text in files.texts.items():
        total += _size(path, text)
    if total > limit:
        raise CompileError(f"the source has {total} bytes, at most {limit} are accepted")
    return files


def _entry(name: str | None, suffixes: Sequence[str]) -> str:
    name = name or UNNAMED
    return name if not suffixes or name.endswith(tuple(suffixes)) else name + suffixes[0]


def check_path(path: object) -> None:
    """Raise ConfigError unless this is a plain relative path such as "lib/math.ts"."""
    good = isinstance(path, str) and len(path) <= MAX_PATH
    if not good or not all(_SEGMENT.fullmatch(part) for part in str(path).split("/")):
        raise ConfigError(
            f"source: {str(path)[:MAX_PATH]!r} is not an accepted file name; write a relative path of at most"
            f' {MAX_PATH} letters, digits, "_", "-" and "." such as "lib/math.ts"',
            key="source",
        )


def plain(name: str) -> str:
    """Return a file's name as `check_path` accepts it; what it cannot hold becomes "_"."""
    return re.sub(r"[^A-Za-z0-9_.-]|^[.-]", "_", name)[-MAX_PATH:]


def text_of(content: str | bytes, path: str) -> str:
    """Decode UTF-8, without a byte order mark; raises CompileError with the place of what is not."""
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        column = exc.start - (content.rfind(b"\n", 0, exc.start) + 1) + 1
        problem = Diagnostic(line, column, "error", "the source is not UTF-8 text", path)
        raise CompileError(str(problem), [problem]) from exc


def _size(path: str, text: object) -> int:
    if not isinstance(text, str):
        raise ConfigError(f"source: {path} is {type(text).__name__}, not text", key="source")
    try:
        return len(text.encode())
    except UnicodeEncodeError as exc:
        line = text.count("\n", 0, exc.start) + 1
        column = exc.start - text.rfind("\n", 0, exc.start)
        problem = Diagnostic(line, column, "error", "half of a surrogate pair is not text", path)
        raise CompileError(str(problem), [problem]) from exc
