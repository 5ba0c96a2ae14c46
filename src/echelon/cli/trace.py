"""What a run did use of its permissions, as options to paste."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from echelon.runtime.permissions import KINDS, Permissions, Use

_MOST_IN_FOLDER: Final = 8
"""Files of one folder after which the folder stands for them."""


@dataclass(slots=True)
class Trace:
    """Collects uses; give `note` to `Permissions.watched`."""

    uses: dict[str, set[str]] = field(default_factory=dict)

    def note(self, use: Use) -> None:
        """Remember a use that was allowed."""
        if use.allowed:
            self.uses.setdefault(use.permission, set()).add(_item(use))

    def options(self, permissions: Permissions) -> str:
        """Return the options that grant what was used, and no more than `permissions` for the whole environment."""
        found = []
        for kind in KINDS:
            items = self.uses.get(kind, set())
            if kind == "env" and "*" in items:
                items = _whole_environment(items, permissions)
            if not items:
                continue
            if "" in items or any("," in item for item in items):  # a comma cannot be written inside a list
                found.append(f"--allow-{kind}")
                continue
            kept = _folders(items) if kind in ("read", "write") else items
            found.append(shlex.quote(f"--allow-{kind}={','.join(sorted(kept))}"))
        return " ".join(found)


def _item(use: Use) -> str:
    if (
        use.permission == "kv"
    ):  # a key is not always what an option can say; the beginning of it is in the grant
        return use.grant.partition("=")[2]
    return use.target


def _whole_environment(items: set[str], permissions: Permissions) -> set[str]:
    """Return what stands for "every variable that is granted"."""
    granted = permissions.env
    return {""} if granted is True else (items - {"*"}) | set(granted or ())


def _folders(paths: set[str]) -> set[str]:
    counts = Counter(os.path.dirname(path) for path in paths)
    crowded = {folder for folder, count in counts.items() if count > _MOST_IN_FOLDER and folder}
    return {os.path.dirname(path) if os.path.dirname(path) in crowded else path for path in paths}
