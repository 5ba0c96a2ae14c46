"""What the guest makes of a text: blocks of spans, checked here, because a guest may return anything."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Address = Annotated[str, msgspec.Meta(pattern=r"^(https?://|/(?!/)|#)", max_length=2000)]


class Span(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Text within a block; `href` belongs to a link."""

    kind: Literal["text", "strong", "em", "code", "link"]
    text: str
    href: Address | None = None


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A paragraph or the like: `lines` are the items of a list, the lines of code, or one."""

    kind: Literal["heading", "paragraph", "quote", "list", "code"]
    lines: list[list[Span]]


def checked(answer: Any) -> list[list[Block]]:
    """Return the guest's answer as blocks; raises msgspec.ValidationError when it is something else."""
    return msgspec.convert(answer, list[list[Block]])
