"""What rustc says, one JSON object a line, as diagnostics at the lines of the user's files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from echelon.errors import Diagnostic
from echelon.plugin.compiler import Job
from echelon.plugin.compilers.command import MAX_DIAGNOSTICS, MAX_MESSAGE, SOURCES

_SUMMARY: Final = re.compile(
    r"aborting due to |\d+ warnings? emitted|Some errors have detailed|For more information|ignoring -C extra-filename"
)
_FOREIGN: Final = re.compile(
    r"the trait bound `(?P<type>.+)`?: (?:\w+::)*(?:Block|Value|Outcome|Optional)` is not satisfied"
)
_CONSEQUENCE: Final = re.compile(
    r"evaluation of constant value failed|constant expression|erroneous constant"
)
_LINKED: Final = re.compile(r"wasm-ld: error: (?P<message>.+)")
_LAST_NAME: Final = re.compile(r"\w+(?=\W*$)")
_DEEPEST: Final = 64


class _Span(msgspec.Struct):
    file_name: str = ""
    line_start: int = 0
    line_end: int = 0
    column_start: int = 0
    is_primary: bool = False
    label: str | None = None
    expansion: dict[str, Any] | None = None


class _Message(msgspec.Struct):
    message: str
    level: str = "error"
    spans: list[_Span] = []
    children: list[dict[str, Any]] = []


def diagnose(text: str, job: Job) -> list[Diagnostic]:
    """Read all that was printed; what is no message, such as a crash of the compiler, is left out."""
    found: list[Diagnostic] = []
    for message in _messages(text):
        if message.level not in ("error", "warning", "error: internal compiler error"):
            continue
        if _SUMMARY.match(message.message):
            continue
        for item in _diagnostics(message, job):
            if item not in found:
                found.append(item)
        if len(found) >= MAX_DIAGNOSTICS:
            break
    if any(item.severity == "error" and not _CONSEQUENCE.search(item.message) for item in found):
        found = [item for item in found if not _CONSEQUENCE.search(item.message) or item.severity != "error"]
    return found


def _messages(text: str) -> Iterator[_Message]:
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                yield msgspec.json.decode(line, type=_Message)
            except msgspec.MsgspecError:
                continue


def _diagnostics(message: _Message, job: Job) -> Iterator[Diagnostic]:
    severity = "warning" if message.level == "warning" else "error"
    if message.message.startswith("linking with "):
        said = "\n".join(str(child.get("message", "")) for child in message.children)
        linked = [match["message"][:MAX_MESSAGE] for match in _LINKED.finditer(said)]
        for line in linked or [message.message.partition("`")[0] + said[-MAX_MESSAGE:]]:
            yield Diagnostic(0, 0, severity, line)
        return
    what = message.message
    span = _place(message.spans, job)
    foreign = _FOREIGN.search(what)
    if foreign:
        kind = foreign["type"]
        what = f"`{kind}` is no type that export! knows: numbers, bool, text, bytes, Vec, Option, Json and tuples are"
        span = _where_named(kind, span, job)
    elif span is not None and span.label and span.label not in what:
        what = f"{what}: {span.label}"
    if span is None:
        yield Diagnostic(0, 0, severity, what[:MAX_MESSAGE])
    else:
        yield Diagnostic(span.line_start, span.column_start, severity, what[:MAX_MESSAGE], _file(span, job))


def _file(span: _Span, job: Job) -> str | None:
    found = (span.file_name, span.file_name.removeprefix(f"{SOURCES}/"))
    return next((name for name in found if name in job.files), None)


def _place(spans: Sequence[_Span], job: Job) -> _Span | None:
    """Return where in the user's files a message belongs: for a macro of others, where it is used."""
    for span in sorted(spans, key=lambda span: not span.is_primary):
        found: _Span | None = span
        for _ in range(_DEEPEST):
            if found is None or _file(found, job) is not None:
                break
            outer = (found.expansion or {}).get("span")
            label = found.label
            try:
                found = msgspec.convert(outer, _Span) if outer else None
            except msgspec.ValidationError:
                found = None
            if found is not None and found.label is None:
                found.label = label
        if found is not None and _file(found, job) is not None:
            return found
    return None


def _where_named(kind: str, span: _Span | None, job: Job) -> _Span | None:
    """Return where in a use of export! the name of a type stands, the use itself when it is not there."""
    name = _LAST_NAME.search(kind)
    file = _file(span, job) if span is not None else None
    if span is None or file is None or name is None:
        return span
    lines = job.files[file].split("\n")[span.line_start - 1 : span.line_end]
    for number, line in enumerate(lines, span.line_start):
        match = re.search(rf"\b{re.escape(name[0])}\b", line)
        if match:
            return _Span(span.file_name, number, number, match.start() + 1)
    return span
