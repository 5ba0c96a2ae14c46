"""What the errors of PostgreSQL and its driver mean for a store, and which of them pass by themselves."""

from __future__ import annotations

from typing import Final

import asyncpg

from echelon.errors import KvStorageError
from echelon.kv import limits
from echelon.kv.postgres_url import Address

FAILURES: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Everything the driver raises on purpose. A TimeoutError is an OSError."""

_CAUSES: Final[dict[str, str]] = {
    "28P01": "the password is wrong, or the role does not exist; check both in the URL",
    "28": "the server does not let this role in; check the URL, and pg_hba.conf on the server",
    "3D000": "the database does not exist; make it with createdb, or name another one in the URL",
    "42501": "the role lacks a right; grant it CREATE on the database, or make it the owner of the schema",
    "42": "its tables are not those of a store of this Echelon; was it upgraded meanwhile? Restart with that version",
    "53100": "the server's disk is full; nothing was written: free some space and try again",
    "53300": "the server has no connection left; raise max_connections or lower connections= in the URL",
    "53": "the server is out of resources; nothing was written",
    "54": "the server refuses something so large; nothing was written",
    "55P03": f"another session held the store locked for {limits.MAX_LOCK_SECONDS:.0f} s; nothing was written",
    "57014": "the server cancelled the statement; is statement_timeout too short for this role?",
    "57": "the server is shutting down or starting",
    "08": "the connection to the server was lost",
    "25006": "the server does not accept writes, it is a standby; name the primary, or all hosts and "
    "target_session_attrs=read-write, in the URL",
    "40": "the server gave another transaction precedence",
    "58": "the server's disk failed",
    "XX": "the server's data is damaged; restore it from a backup",
}
"""By SQLSTATE, or its first two characters."""

_PASSING: Final = ("08", "40001", "40P01", "53300", "57P01", "57P02", "57P03", "57P05", "25006")
_STARTING: Final = "57P03"
_INTERRUPTING: Final = ("08", "57P01", "57P02", "57P05")
_REFUSING: Final = ("21", "22", "23", "53", "54")


def storage_error(exc: BaseException, address: Address, hint: str = "") -> KvStorageError:
    """Return the one error that says what `exc` means for the store at `address`."""
    state = getattr(exc, "sqlstate", None) or ""
    cause = _CAUSES.get(state) or _CAUSES.get(state[:2])
    if cause is None and isinstance(exc, TimeoutError):
        cause = "the server does not answer"
    elif cause is None and isinstance(exc, OSError):
        cause = "the server cannot be reached; is it running, and is the URL right?"
    elif cause is None and isinstance(exc, asyncpg.TargetServerAttributeNotMatched):
        cause = "none of the hosts is what target_session_attrs asks for"
    text = address.hide(str(exc)) or type(exc).__name__
    return KvStorageError(f"{address.name}: {cause or 'the server failed'}{hint} ({text})")


def passes(exc: BaseException, *, reached: bool) -> bool:
    """Return whether it makes sense to connect and try again.

    Before the server was ever `reached`, only a server that is starting is worth waiting for.
    """
    state = getattr(exc, "sqlstate", None) or ""
    if not reached:
        return bool(state == _STARTING)
    if isinstance(exc, asyncpg.PostgresError):
        return state.startswith(_PASSING)
    return not isinstance(exc, asyncpg.ClientConfigurationError | asyncpg.DataError)


def leaves_doubt(exc: BaseException) -> bool:
    """Return whether a statement that failed like this may have had its effect."""
    state = getattr(exc, "sqlstate", None) or ""
    return not isinstance(exc, asyncpg.PostgresError) or bool(state.startswith(_INTERRUPTING))


def is_refusal(exc: KvStorageError) -> bool:
    """Return whether the server refused what it was given, but may accept a part of it."""
    state = getattr(exc.__cause__, "sqlstate", None) or ""
    return isinstance(exc.__cause__, asyncpg.DataError) or bool(state.startswith(_REFUSING))
