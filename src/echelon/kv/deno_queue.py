"""The queue's tables in a file of Deno: `queue` for what waits, `queue_running` for what is handed out.

Deno keeps of each message the waits that are left, and no count of deliveries. A message's id is any text to it,
so the id carries what is missing: `ID/ATTEMPTS/WAITS/TOKEN` are the deliveries so far, the waits that were used
up, and the lease, which is empty while nobody here holds the message.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec

from echelon.errors import KvError
from echelon.kv import v8
from echelon.kv.backend import Enqueue, Fate, Lease, Message, Settlement
from echelon.kv.codec import Encoding, decode_key
from echelon.kv.sqlite_layout import Execute

T = TypeVar("T")

DENO_GRACE: Final = 66_000
"""How many milliseconds a lease of Deno may be overdue before it counts as lost.

Deno never extends its leases of 5 seconds, however long a handler takes, and looks for lost ones about once a
minute: one that lives is left to look after its own.
"""

_OURS: Final = "instr(id, '/') and substr(id, -1) <> '/'"
NEXT_DUE: Final = f"""
select cast(min(due) as integer) from (
    select min(ts) as due from queue
    union all select * from (select deadline from queue_running where {_OURS} order by deadline limit 1)
    union all select * from (
        select deadline + {DENO_GRACE} from queue_running where not ({_OURS}) order by deadline limit 1))
"""

COUNT: Final = f"""
select (select count(*) from queue) + (select count(*) from queue_running),
(select count(*) from queue where ts <= ?1) + (select count(*) from queue_running where deadline <= ?1 and {_OURS}),
(select count(*) from queue_running where not (deadline <= ?1 and {_OURS}))
"""
"""How many messages there are, how many are due, and how many are leased."""

_REST: Final = "cast(data as blob), cast(backoff_schedule as text), cast(keys_if_undelivered as text)"
_DUE: Final = f"""
select * from (
    select 'queue', cast(ts as integer) as at, id, {_REST} from queue where ts <= ?1 order by ts, id limit ?2)
union all select * from (
    select 'queue_running', cast(deadline as integer), id, {_REST} from queue_running
    where deadline <= ?1 and ({_OURS} or deadline <= ?1 - {DENO_GRACE}) order by deadline, id limit ?2)
order by at, id limit ?2
"""
_TIMES: Final = {"queue": "ts", "queue_running": "deadline"}
_FIND: Final = {
    table: f"select '{table}', {column}, id, {_REST} from {table} where id = ?1"
    for table, column in _TIMES.items()
}
_INSERT: Final = {
    table: f"insert into {table}({column}, id, data, backoff_schedule, keys_if_undelivered) "
    "values (?1, ?2, ?3, ?4, ?5)"
    for table, column in _TIMES.items()
}
_REMOVE: Final = {
    table: f"delete from {table} where {column} = ?1 and id = ?2" for table, column in _TIMES.items()
}

_STATE: Final = re.compile(r"(.*)/(\d{1,9})/((?:\d{1,15},)*)/(\w*)", re.DOTALL | re.ASCII)

_encode: Final = msgspec.json.Encoder().encode
_waits: Final = msgspec.json.Decoder(list[Annotated[int, msgspec.Meta(ge=0, lt=10**15)]] | None)
_keys: Final = msgspec.json.Decoder(list[list[Annotated[int, msgspec.Meta(ge=0, le=255)]]])


class _Row(NamedTuple):
    table: str
    at: int
    id: str
    data: bytes
    waits: str
    keys: str


class _State(NamedTuple):
    """What a message is at: `used` and `left` are the waits behind and before it."""

    id: str
    attempts: int
    used: list[int]
    token: str
    left: list[int]

    @property
    def text(self) -> str:
        """The part behind the id."""
        return f"{self.attempts}/{''.join(f'{wait},' for wait in self.used)}/{self.token}"

    def failed(self) -> _State:
        """Return what comes after one more delivery failed."""
        return self._replace(
            attempts=self.attempts + 1, used=[*self.used, *self.left[:1]], left=self.left[1:]
        )


class DenoQueue:
    """See Messages."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._order = 0

    def add(self, message: Enqueue) -> None:
        """Store a message, whose payload is V8's, under an id that sorts after those before it."""
        self._order = max(self._order + 1, time.time_ns())
        number = f"{self._order:016x}-{_make_token()}"
        keys = _to_json([[*key] for key in message.undelivered])
        self._insert("queue", message.due, number, message.payload, _to_json([*message.backoff]), keys)

    def lease(self, limit: int, now: int, milliseconds: int) -> list[Message]:
        """Hand out at most `limit` messages that are due or of which the lease ran out."""
        rows = self._execute(_DUE, (now, limit)).fetchall()
        return [self._hand_out(_Row(*row), now + milliseconds) for row in rows]

    def holds(self, lease: Lease) -> bool:
        """Return whether nobody else was handed the message since."""
        return self._find(lease) is not None

    def settle(self, settlement: Settlement) -> None:
        """Decide on a message whose lease holds."""
        lease, fate, at = settlement
        row = self._find(lease)
        if row is None:
            return
        self._execute(_REMOVE[row.table], (row.at, row.id))
        if fate is Fate.EXTEND:
            self._insert("queue_running", at, *row[2:])
        elif fate is not Fate.DONE:
            state = _load_state(row)
            state = (state.failed() if fate is Fate.RETRY else state)._replace(token="")
            self._insert("queue", at, f"{state.id}/{state.text}", row.data, _to_json(state.left), row.keys)

    def _hand_out(self, row: _Row, deadline: int) -> Message:
        state = _load_state(row)
        if row.table == "queue_running":
            state = state.failed()
        state = state._replace(token=_make_token())
        self._execute(_REMOVE[row.table], (row.at, row.id))
        number = f"{state.id}/{state.text}"
        self._insert("queue_running", deadline, number, row.data, _to_json(state.left), row.keys)
        payload, encoding = _load_payload(row.data)
        keys = [bytes(key) for key in _from_json(_keys, row.keys) or ()]
        backoff = [*state.used, *state.left]
        return Message(Lease(state.id, state.text), payload, encoding, row.at, backoff, keys, state.attempts)

    def _find(self, lease: Lease) -> _Row | None:
        # Among what is handed out first, which is little; back in the other table is what Deno took for lost.
        number = f"{lease.id}/{lease.token}"
        for table in ("queue_running", "queue"):
            for row in self._execute(_FIND[table], (number,)).fetchall():
                return _Row(*row)
        return None

    def _insert(self, table: str, at: int, number: str, data: bytes, waits: str, keys: str) -> None:
        self._execute(_INSERT[table], (at, number, data, waits, keys))


def _make_token() -> str:
    return f"{random.getrandbits(64):016x}"


def _load_state(row: _Row) -> _State:
    left = _from_json(_waits, row.waits) or []
    known = _STATE.fullmatch(row.id)
    if known is None:
        return _State(row.id, 0, [], "", left)
    number, attempts, used, token = known.groups()
    return _State(number, int(attempts), [int(wait) for wait in used.split(",")[:-1]], token, left)


def _load_payload(data: bytes) -> tuple[bytes, int]:
    """Return a payload as the store gave it: bytes have an encoding of their own, which Deno's table lacks."""
    if data[2:3] == b"B":
        try:
            value: Any = v8.decode(data)
        except KvError:  # whoever reads the message finds that out
            return data, Encoding.V8
        if type(value) is bytes:
            return value, Encoding.BYTES
    return data, Encoding.V8


def _to_json(value: Sequence[Any]) -> str:
    return _encode(value).decode()


def _from_json(decoder: msgspec.json.Decoder[T], text: str) -> T | None:
    """Return what Deno wrote; nothing can be done about a row that is damaged, and the message still counts."""
    try:
        return decoder.decode(text)
    except msgspec.DecodeError:
        return None


def find_faults(execute: Execute) -> Iterator[str]:
    """Yield a sentence for each message that cannot be read."""
    for table, column in _TIMES.items():
        for row in execute(f"select '{table}', {column}, id, {_REST} from {table}"):
            data, waits, keys = row[3:]
            try:
                v8.decode(data)
                _waits.decode(waits)
                for key in _keys.decode(keys):
                    decode_key(bytes(key))
            except (KvError, msgspec.DecodeError) as exc:
                yield f"the message {row[2]!r:.80} cannot be read: {exc}"
