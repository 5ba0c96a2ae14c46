"""What scripts ask of their host and await: `fetch`, `kv` and time. The rules are those of every other guest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from echelon.errors import GuestError, HostError, KvError
from echelon.runtime.guest_kv import MAX_LIST_BYTES
from echelon.runtime.host import Call
from echelon.runtime.outbound import MAX_RESPONSE, Outbound, OutboundFailure, OutboundRequest

if TYPE_CHECKING:
    from echelon.kv import Atomic, Entry, Key, Kv

_MAX_LIST: Final = 1000
_MAX_EXPIRY: Final = 1 << 50
_MILLISECOND: Final = 1_000_000


class Questions:
    """Answers the questions of scripts; `store` and `outbound` give what answers them."""

    def __init__(self, store: Callable[[], Kv | None], outbound: Callable[[], Outbound]) -> None:
        self._store, self._outbound = store, outbound
        self._known: dict[str, Callable[..., Any]] = {
            "sleep": self._sleep, "fetch": self._fetch, "kv_get": self._get, "kv_set": self._set,
            "kv_delete": self._delete, "kv_list": self._list, "kv_atomic": self._atomic,
        }  # fmt: skip

    async def answer(self, call: Call, operation: str, values: Any) -> tuple[bool, Any]:
        """Return whether it went well, and the answer or why not; raises what ends the call, such as a denial."""
        function = self._known.get(operation)
        if function is None or not isinstance(values, list):
            raise GuestError(f"the script asks its host for {operation!r}, which it does not know")
        try:
            return True, await function(call, *values)
        except (TypeError, ValueError, KvError) as exc:
            return False, f"{operation.removeprefix('kv_')}: {exc}"

    async def _sleep(self, call: Call, milliseconds: float) -> None:
        await call.environment.clock.sleep(int(min(milliseconds, 1 << 40) * _MILLISECOND))

    async def _fetch(
        self, call: Call, method: str, url: str, headers: list[list[str]], body: str | bytes, follow: bool
    ) -> list[Any]:
        content = body if isinstance(body, bytes) else body.encode()
        pairs = [(name, value) for name, value in headers]
        request = OutboundRequest.checked(method, url, pairs, content, follow=follow)
        try:
            response = await self._outbound().fetch(
                call.permissions, request, min(MAX_RESPONSE, call.limits.memory)
            )
        except OutboundFailure as exc:
            return [0, url, [], b"", str(exc)]
        found = [[name, value] for name, value in response.headers]
        return [response.status, str(response.url), found, response.body, ""]

    @property
    def _kv(self) -> Kv:
        kv = self._store()
        if kv is None:
            message = "this runtime has no key-value store for its guests: give it one with `runtime.kv = kv`"
            raise HostError(message, function="echelon.kv")
        return kv

    async def _get(self, call: Call, key: Any) -> dict[str, Any]:
        granted = _granted(call, key)
        return _entry(await self._kv.get(granted))

    async def _set(self, call: Call, key: Any, value: Any, expire_in: int) -> dict[str, Any]:
        granted = _granted(call, key)
        result = await self._kv.set(granted, value, expire_in=_expiry(expire_in))
        return {"ok": True, "versionstamp": result.versionstamp}

    async def _delete(self, call: Call, key: Any) -> None:
        granted = _granted(call, key)
        await self._kv.delete(granted)

    async def _list(
        self, call: Call, prefix: Any, start: Any, end: Any, limit: int, reverse: bool, cursor: str
    ) -> dict[str, Any]:
        wanted = _granted(call, prefix)
        bounds = [None if bound is None else _key(bound) for bound in (start, end)]
        for bound in bounds:
            if bound is not None:
                _granted(call, list(bound))
        limit = max(1, min(int(limit), _MAX_LIST))
        both = None not in bounds
        listing = self._kv.list(
            prefix=None if both else wanted, start=bounds[0], end=bounds[1], reverse=bool(reverse),
            cursor=cursor or None, batch_size=min(limit, 100),
        )  # fmt: skip
        entries: list[dict[str, Any]] = []
        resume, size = "", 0
        async for entry in listing:
            if entry.key[: len(wanted)] != wanted or not call.permissions.check_kv(entry.key):
                continue
            entries.append(_entry(entry))
            size += len(msgspec.json.encode(entries[-1], enc_hook=str))
            if len(entries) >= limit or size > MAX_LIST_BYTES:
                resume = listing.cursor
                break
        return {"entries": entries, "cursor": resume}

    async def _atomic(self, call: Call, checks: list[Any], changes: list[Any]) -> dict[str, Any]:
        for key in (*(key for key, _ in checks), *(key for _, key, *_ in changes)):
            _granted(call, key)
        atomic: Atomic = self._kv.atomic()
        for key, stamp in checks:
            atomic.check(key=_key(key), versionstamp=stamp)
        for action, key, *rest in changes:
            granted = _key(key)
            if action == "set":
                atomic.set(granted, rest[0], expire_in=_expiry(rest[1]))
            elif action == "delete":
                atomic.delete(granted)
            elif action in ("sum", "min", "max"):
                getattr(atomic, action)(granted, rest[0])
            else:
                raise GuestError(f"the script's commit has an action {action!r}")
        result = await atomic.commit()
        return {"ok": result.ok, "versionstamp": result.versionstamp if result.ok else None}


def _key(value: Any) -> Key:
    if not isinstance(value, list):
        raise TypeError("a key is an array")
    return tuple(value)


def _granted(call: Call, value: Any) -> Key:
    key = _key(value)
    call.permissions.require_kv(key)
    return key


def _entry(entry: Entry[Any]) -> dict[str, Any]:
    return {"key": list(entry.key), "value": entry.value, "versionstamp": entry.versionstamp}


def _expiry(milliseconds: float) -> timedelta | None:
    if not 0 <= milliseconds <= _MAX_EXPIRY:
        raise ValueError(f"expireIn is {milliseconds} ms; write at most {_MAX_EXPIRY}")
    return timedelta(milliseconds=milliseconds) if milliseconds else None
