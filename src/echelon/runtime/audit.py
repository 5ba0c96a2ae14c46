"""A record of every permission a guest used or was refused: one line of JSON for each."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO


class AuditLog:
    """Appends {"time", "module", "permission", "target", "allowed"} to a file; a path is opened and owned.

    A line is written whole and at once, so that processes and threads can share a file. A line that cannot be
    written raises OSError: what cannot be recorded does not happen.
    """

    def __init__(self, target: str | Path | IO[bytes]) -> None:
        if isinstance(target, str | Path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
            self._file: IO[bytes] | None = os.fdopen(os.open(target, flags, 0o600), "ab", buffering=0)
            self._owned = True
        else:
            self._file, self._owned = target, False

    def write(self, module: str, permission: str, target: str, allowed: bool) -> None:
        """Add one line; raises ValueError after close."""
        if self._file is None:
            raise ValueError("the audit log is closed")
        when = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        entry = {
            "time": when,
            "module": module,
            "permission": permission,
            "target": target,
            "allowed": allowed,
        }
        self._file.write(json.dumps(entry).encode() + b"\n")
        if not self._owned:
            self._file.flush()

    def close(self) -> None:
        """Close the file when it was opened here; closing twice does nothing."""
        file, self._file = self._file, None
        if file is not None and self._owned:
            file.close()

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
