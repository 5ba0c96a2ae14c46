"""docs/kv-connect.md says what the code does."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from connect_peers import TOKEN, serving, url_of

from echelon.kv import limits, open_kv
from echelon.kv.connect import access, checks, client, http1, http2, listener, server, wire

PAGE = (Path(__file__).parents[2] / "docs" / "kv-connect.md").read_text()
FLAT = " ".join(PAGE.split())
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


async def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mount is made, and the client counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KV_TOKEN", TOKEN)
    mount, use = EXAMPLES
    names: dict[str, Any] = {}
    exec(mount, names)
    assert [route.path for route in names["app"].router.routes][-1] == "/kv"
    exec(use, names)
    visits: Callable[[str, str], Awaitable[int]] = names["visits"]
    async with open_kv(":memory:") as kv, serving(kv.backend) as serving_:
        assert [await visits(url_of(serving_), TOKEN) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("body of a request", [server.MAX_BODY]),
        (
            "ranges of a read, entries it asks for together",
            [limits.MAX_GET_MANY_KEYS, limits.MAX_BATCH_ENTRIES],
        ),
        ("keys of a watch", [limits.MAX_WATCH_KEYS]),
        (
            "checks, changes and messages, size of a commit",
            [limits.MAX_CHECKS, limits.MAX_MUTATIONS, limits.MAX_COMMIT_BYTES],
        ),
        ("value, payload of a message", [limits.MAX_VALUE_BYTES]),
        ("steps of a backoff schedule", [checks.MAX_BACKOFF_STEPS]),
        ("connections", [listener.MAX_CONNECTIONS]),
        ("requests at once on a connection of HTTP/2", [http2.MAX_STREAMS]),
        ("head of a request", [http1.MAX_HEAD]),
        ("a request may take to arrive", [listener.REQUEST_SECONDS]),
        ("a new connection may say nothing", [listener.FIRST_SECONDS]),
        ("a connection may be kept without a request", [listener.IDLE_SECONDS]),
        ("a client may not read what was sent", [listener.STALL_SECONDS]),
    ],
)
def test_limits(row: str, numbers: list[float]) -> None:
    """The tables have the numbers that the code enforces."""
    found = re.search(rf"^\| {re.escape(row)} \| (.*) \|$", PAGE, re.MULTILINE)
    assert found is not None
    assert [float(number) for number in re.findall(r"\d+", found[1])][: len(numbers)] == numbers


def test_other_numbers() -> None:
    """The numbers in the text are those of the code."""
    assert f"at least {access.MIN_TOKEN} characters" in FLAT
    assert (access.TOLD_SECONDS, access.HONOURED_SECONDS) == (3600, 86400)
    assert f"sent again within {server.ONCE_SECONDS} s" in FLAT
    assert f"tried again for {client.RETRY_SECONDS:.0f} s" in FLAT
    assert f"hears nothing for {client.SILENCE_SECONDS:.0f} s" in FLAT
    assert f"sign of life every {wire.PING_SECONDS:.0f} s" in FLAT
    assert f"at most {checks.MAX_WAIT}" in FLAT
    assert http1.MAX_HEAD == http2.MAX_HEAD
    assert http2.STALL_SECONDS == listener.STALL_SECONDS
    for name in (wire.EXTENSIONS, wire.REQUEST_ID, wire.ERROR):
        assert f"`{name}" in PAGE


def test_times_fit() -> None:
    """A server remembers a commit for longer than any client asks for it again."""
    assert client.RETRY_SECONDS + client.ANSWER_SECONDS < server.ONCE_SECONDS
