"""The document around what was rendered: its head, the files it links, and the policy it is sent with."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

POLICY: Final = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; base-uri 'self'; object-src 'none'; frame-ancestors 'none'"
)
"""Inline styles are allowed because style properties of components are inline."""
LANG: Final = "en"
_BEGIN: Final = '<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'


def make_nonce() -> str:
    """Return what marks the scripts of one answer."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Shell:
    """What every document of a build has in common. Addresses are relative to `root`."""

    root: str
    styles: Sequence[str]
    loader: str
    islands: Mapping[str, str]
    refresh: str = ""
    """In development, what identifies the build; pages then load themselves anew when it changes."""

    def begin(self, lang: str = "") -> str:
        """Return the document up to where the page's own part of the head begins."""
        links = "".join(f'<link rel="stylesheet" href="{self.root}/{name}"/>' for name in self.styles)
        return f'<!DOCTYPE html><html lang="{escape(lang or LANG)}"><head>{_BEGIN}{links}'

    def end(self, head: str, body: str, islands: Sequence[str], nonce: str) -> str:
        """Return the rest: the page's part of the head, the body, and scripts if any are needed."""
        scripts = self._scripts(islands, nonce)
        return f"{head}{scripts}</head><body>{body}</body></html>"

    def whole(self, head: str, body: str, islands: Sequence[str], nonce: str, lang: str = "") -> str:
        """Return a document."""
        return self.begin(lang) + self.end(head, body, islands, nonce)

    def _scripts(self, islands: Sequence[str], nonce: str) -> str:
        out = ""
        if islands:
            for name in islands:
                out += f'<link rel="modulepreload" href="{self.root}/{self.islands[name]}"/>'
            out += f'<script type="module" src="{self.root}/{self.loader}" nonce="{nonce}"></script>'
        if self.refresh:
            out += f'<script nonce="{nonce}">{REFRESH % (self.root, self.refresh)}</script>'
        return out


REFRESH: Final = (
    "{let s=new EventSource('%s/changes');s.onmessage=e=>{if(e.data!=='%s'){s.close();location.reload()}}}"
)
"""Loads the page anew when the build is another one, also after the server was gone for a while."""
