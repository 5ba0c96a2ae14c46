"""What an application declares as pages, and what is found there: at its start, in development again on each change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echelon.errors import ConfigError
from echelon.view import routes
from echelon.view.answers import Component

if TYPE_CHECKING:
    from echelon.types import Handler


@dataclass(frozen=True, slots=True)
class Entry:
    """A page as it becomes a route."""

    path: str
    component: Component
    props: Handler | None
    stream: bool
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Single:
    """A page at a path of its own; see `Application.page`."""

    path: str
    file: Path
    props: Handler | None
    stream: bool
    name: str | None

    @property
    def root(self) -> Path:
        """The folder whose layouts and error pages it has."""
        return routes.root_of(self.file)

    def entries(self) -> list[Entry]:
        """Return the page with the layouts that are there now."""
        return [Entry(self.path, _component(self.file, self.root), self.props, self.stream, self.name)]


@dataclass(frozen=True, slots=True)
class Folder:
    """Every page of a folder; see `Application.pages`."""

    root: Path
    props: Mapping[str, Handler]
    prefix: str
    stream: bool

    def entries(self) -> list[Entry]:
        """Return the pages that are there now; raises ConfigError for a name, or properties without a page."""
        found = routes.page_files(self.root)
        unknown = set(self.props) - {page.path for page in found}
        if unknown:
            known = ", ".join(page.path for page in found)
            raise ConfigError(
                f"{self.root}: there is no page for {', '.join(sorted(unknown))}; there are {known}"
            )
        return [
            Entry(
                f"{self.prefix.rstrip('/')}{page.path}" if page.path != "/" else self.prefix or "/",
                _component(page.file, self.root),
                self.props.get(page.path),
                self.stream,
            )
            for page in found
        ]


@dataclass(frozen=True, slots=True)
class Listing:
    """All that was found: pages, and what answers errors (of several folders, the first one's)."""

    entries: list[Entry]
    special: dict[str, Component]


def listing_of(declared: Iterable[Single | Folder]) -> Listing:
    """Look for everything that was declared; raises ConfigError as `entries` does."""
    found = Listing([], {})
    for one in declared:
        found.entries.extend(one.entries())
        for kind in (routes.NOT_FOUND, routes.FAILED):
            file = routes.beside(one.root, kind)
            if file is not None and kind not in found.special:
                found.special[kind] = _component(file, one.root)
    return found


def _component(file: Path, root: Path) -> Component:
    return Component(file, tuple(routes.layouts_of(file, root)))
