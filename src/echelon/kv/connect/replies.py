"""What the replies of a server mean to a client: which errors they are, and what may be tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from echelon import errors
from echelon.errors import KvLimitError, KvStorageError, KvUsageError, KvValueError
from echelon.kv.connect.pool import Reply, Url
from echelon.kv.connect.wire import ERROR, WireError

T = TypeVar("T")

_MAX_TEXT: Final = 500
_KINDS: Final = ("KvKeyError", "KvValueError", "KvLimitError", "KvUsageError")
_NO_NUMBER: Final = ("Failed to perform", "range limit", "parameters")
"""What other servers say about a sum that fails."""


class Again(Exception):
    """The operation failed and may be tried again; `renew` first with new metadata."""

    def __init__(self, reason: str, *, renew: bool = False) -> None:
        super().__init__(reason)
        self.renew = renew


def check_reply(url: Url, reply: Reply) -> None:
    """Raise what a reply other than a success means: an error of the store, or Again."""
    if reply.status == 200:
        return
    text = text_of(reply)
    if reply.status == 401:
        raise Again(f"the server refuses the token it gave: {text}", renew=True)
    if reply.status >= 500 or reply.status == 429:
        raise Again(f"the server answers {reply.status}: {text}")
    kind = reply.headers.get(ERROR, "")
    if kind in _KINDS:
        raise getattr(errors, kind)(text)
    if reply.status not in (400, 413):
        raise KvStorageError(f"the server at {url} answers {reply.status}: {text}")
    if any(words in text for words in _NO_NUMBER):
        raise KvValueError(f"the server refuses it: {text}")
    raise KvLimitError(f"the server refuses it: {text}")


def understand(url: Url, read: Callable[..., T], *data: Any) -> T:
    """Return what `read` makes of what the server sent; raises KvStorageError for what makes no sense."""
    try:
        return read(*data)
    except (WireError, KvUsageError) as exc:
        raise KvStorageError(f"the server at {url} sent what makes no sense: {exc}") from exc


def text_of(reply: Reply) -> str:
    """Return what a reply says in words, in one line that can be shown."""
    text = " ".join(reply.body[: 4 * _MAX_TEXT].decode("utf-8", "replace").split())[:_MAX_TEXT]
    return "".join(sign for sign in text if sign.isprintable()) or "without a reason"
