"""The documentation says what the code does."""

from __future__ import annotations

import ast
import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest

from echelon.kv import limits, sqlite_changes

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "kv.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_collections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of that page run one after another on the same files."""
    monkeypatch.chdir(tmp_path)
    for example in re.findall(r"```python\n(.*?)```", (DOCS / "collections.md").read_text(), re.DOTALL):
        code = compile(example, "docs/collections.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        asyncio.run(eval(code, {"__name__": "collections"}))


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_run(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example runs, and what it asserts holds."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    code = compile(example, "docs/kv.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    asyncio.run(eval(code, names))


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("key to write, delete or check", limits.MAX_WRITE_KEY_BYTES),
        ("key to read or watch, bound of a list", limits.MAX_READ_KEY_BYTES),
        ("integer in a key", limits.MAX_INTEGER_BYTES),
        ("value, value of a message", limits.MAX_VALUE_BYTES),
        ("`max_value`", limits.MAX_LARGE_VALUE_BYTES),
        ("nesting of a value", limits.MAX_VALUE_DEPTH),
        ("keys of `get_many`", limits.MAX_GET_MANY_KEYS),
        ("keys of `watch`", limits.MAX_WATCH_KEYS),
        ("`batch_size` of a list", limits.MAX_BATCH_ENTRIES),
        ("checks in a commit", limits.MAX_CHECKS),
        ("changes and messages in a commit", limits.MAX_MUTATIONS),
        (
            "size of a commit: all keys, plus key and value of each change with a value, plus messages with their keys",
            limits.MAX_COMMIT_BYTES,
        ),
        ("keys of the changes with a value in a commit", limits.MAX_COMMIT_KEY_BYTES),
        ("`delay` of a message", limits.MAX_QUEUE_DELAY.days),
        ("steps of a `backoff_schedule`", limits.MAX_BACKOFF_STEPS),
        ("one step", limits.MAX_BACKOFF // timedelta(hours=1)),
        ("`keys_if_undelivered`", limits.MAX_UNDELIVERED_KEYS),
    ],
)
def test_limits_are_documented(row: str, value: int) -> None:
    """The table of limits has the numbers that the code enforces."""
    assert re.search(rf"^\| {re.escape(row)} \| {value}\b", PAGE, re.MULTILINE)


def test_other_numbers() -> None:
    """The numbers in the text are those of the code."""
    assert f"locked for {limits.MAX_LOCK_SECONDS:.0f} s" in PAGE
    assert f"up to {limits.MAX_GROUP_COMMITS} commits" in PAGE
    default = f"({limits.DEFAULT_BATCH_ENTRIES}, or the limit up to {limits.MAX_DEFAULT_BATCH_ENTRIES})"
    seconds = [f"{wait / 1000:g}" for wait in limits.DEFAULT_BACKOFF]
    assert f"after {', '.join(seconds[:-1])} and {seconds[-1]} seconds" in PAGE
    assert f"`concurrency` ({limits.DEFAULT_CONCURRENCY})" in PAGE
    assert f"lease of {limits.MAX_LEASE_SECONDS:.0f} seconds" in PAGE
    assert f"not before {limits.MAX_LOST_DELIVERIES + 1} of them died" in PAGE
    assert f"{sqlite_changes._FAST_SECONDS * 1000:.0f} ms while others write" in PAGE
    assert f"every {sqlite_changes._SLOW_SECONDS * 1000:.0f}\nms" in PAGE
    assert default in PAGE.replace("\n  ", " ")
