"""Who may use a store over KV Connect: the access token, and the short-lived tokens that it is exchanged for.

Both are compared in constant time. A short-lived token carries when it ends and a signature, so that every process
that knows the access token can check it, and none has to remember it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from typing import Final
from uuid import UUID

from echelon.errors import ConfigError

MIN_TOKEN: Final = 12
"""The shortest access token, in characters."""

TOLD_SECONDS: Final = 3600
"""After this long a client is to exchange its token for a new one."""

HONOURED_SECONDS: Final = 86_400
"""How long a token is taken: some clients notice only after a failure that theirs is old."""

_ROUNDS: Final = 20_000
_SALT: Final = b"echelon kv connect"
_TOKEN: Final = re.compile(r"[!-~]+")
_DATA_TOKEN: Final = re.compile(r"([0-9a-f]{8,16})\.([A-Za-z0-9_-]{43})")


class Access:
    """Checks and makes the tokens of one store. `database` is the store's id as clients see it."""

    def __init__(self, token: str, database: UUID | None = None) -> None:
        """Raise ConfigError for an access token that is too short or that no header can carry."""
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or len(token) < MIN_TOKEN:
            raise ConfigError(
                f"the token of KV Connect is at least {MIN_TOKEN} characters of ASCII without blanks",
                key="token",
            )
        # The keys are stretched, so that what clients hold and log does not help to guess the access token.
        secret = hashlib.pbkdf2_hmac("sha256", token.encode(), _SALT, _ROUNDS, 48)
        self.database = str(database or UUID(bytes=secret[32:], version=4))
        self._key = secret[:32]
        self._token = token.encode()

    def check_access(self, authorization: str | None) -> bool:
        """Return whether a header has the access token."""
        return hmac.compare_digest(_bearer(authorization).encode(), self._token)

    def check_data(self, authorization: str | None) -> bool:
        """Return whether a header has a short-lived token that is still good."""
        match = _DATA_TOKEN.fullmatch(_bearer(authorization))
        if match is None or not hmac.compare_digest(self._sign(match[1]), match[2]):
            return False
        return int(match[1], 16) > time.time()

    def make_token(self) -> str:
        """Return a new short-lived token."""
        end = f"{int(time.time()) + HONOURED_SECONDS:08x}"
        return f"{end}.{self._sign(end)}"

    def _sign(self, end: str) -> str:
        digest = hmac.digest(self._key, f"{self.database}:{end}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
