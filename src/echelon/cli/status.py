"""The exit statuses of `echelon`, and which error means which."""

from __future__ import annotations

from typing import Final

from echelon.errors import (
    ConfigError,
    EchelonError,
    FunctionNotFound,
    KvKeyError,
    KvLimitError,
    KvUsageError,
    KvValueError,
)

OK: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130
READER_GONE: Final = 141

_MISUSE: Final = (ConfigError, FunctionNotFound, KvKeyError, KvLimitError, KvUsageError, KvValueError)


def status_of(error: EchelonError) -> int:
    """Return the exit status that an error means: 2 for a mistake of the caller, 1 for anything else."""
    return MISUSED if isinstance(error, _MISUSE) else FAILED
