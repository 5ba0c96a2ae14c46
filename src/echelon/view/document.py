"""The document around what was rendered: its head, the files it links, and the policy it is sent with."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

import msgspec

POLICY: Final = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; base-uri 'self'; object-src 'none'; frame-ancestors 'none'"
)
"""Inline styles are allowed because style properties of components are inline."""
LANG: Final = "en"
_BEGIN: Final = '<meta charset="utf-8"/>'
VIEWPORT: Final = '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
"""What a document has in its head where its page says nothing else; the script adds it to what it renders."""


class About(msgspec.Struct):
    """What a page says about the document around it; `first` are the files of islands that are needed at once."""

    head: str = ""
    live: bool = False
    first: list[str] = []
    lang: str = ""


def make_nonce() -> str:
    """Return what marks the scripts of one answer."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Shell:
    """What every document of a build has in common: files for the browser, whose addresses are relative to `root`.

    `imports` says which files a script needs besides itself.
    """

    root: str
    styles: Sequence[str] = ()
    loader: str = ""
    imports: Mapping[str, Sequence[str]] = field(default_factory=dict)
    refresh: str = ""
    """In development, what identifies the build; pages then load themselves anew when it changes."""

    def begin(self, lang: str = "") -> str:
        """Return the document up to where the page's own part of the head begins."""
        links = "".join(f'<link rel="stylesheet" href="{self.root}/{name}"/>' for name in self.styles)
        return f'<!DOCTYPE html><html lang="{escape(lang or LANG)}"><head>{_BEGIN}{links}'

    def end(self, about: About, body: str, nonce: str, *, begun: bool = True) -> str:
        """Return the rest: the page's part of the head, the body, and scripts if any are needed.

        One that has `begun` did so before its language was known.
        """
        opened = f'<body lang="{escape(about.lang)}">' if begun and about.lang else "<body>"
        return f"{about.head}{self.scripts(about, nonce)}</head>{opened}{body}</body></html>"

    def whole(self, about: About, body: str, nonce: str) -> str:
        """Return a document."""
        return self.begin(about.lang) + self.end(about, body, nonce, begun=False)

    def scripts(self, about: About, nonce: str) -> str:
        """Return the elements for the head that start islands, and that load the page anew in development."""
        out = ""
        if about.live:
            needed = (
                name for script in (self.loader, *about.first) for name in (script, *self.imports[script])
            )
            for name in dict.fromkeys(needed):
                out += f'<link rel="modulepreload" href="{self.root}/{name}"/>'
            out += f'<script type="module" src="{self.root}/{self.loader}" nonce="{nonce}"></script>'
        if self.refresh:
            out += f'<script nonce="{nonce}">{REFRESH % (self.root, self.refresh)}</script>'
        return out


REFRESH: Final = (
    "{let s=new EventSource('%s/changes');s.onmessage=e=>{if(e.data!=='%s'){s.close();location.reload()}}}"
)
"""Loads the page anew when the build is another one, also after the server was gone for a while."""
