"""A file of Deno KV: its tables, on which the machinery of SQLite works as on a store's own.

Deno itself may have the file open at the same time. Values are V8's, so that it reads what is written here.
"""

from __future__ import annotations

import os
from typing import Final

import apsw

from echelon.errors import KvStorageError, KvValueError
from echelon.kv import limits, v8
from echelon.kv.backend import Commit, Durability, Enqueue, Mutation
from echelon.kv.codec import Encoding, decode_value, to_v8
from echelon.kv.deno_queue import COUNT, NEXT_DUE, DenoQueue, find_faults
from echelon.kv.sqlite import SqliteBackend
from echelon.kv.sqlite_layout import Layout
from echelon.kv.sqlite_native import APPLICATION_ID, is_deno

_MIGRATIONS: Final = (
    """
create table migration_state(k integer not null primary key, version integer not null);
create table data_version(k integer primary key, version integer not null);
insert into data_version(k, version) values (0, 0);
create table kv(
    k blob primary key, v blob not null, v_encoding integer not null, version integer not null
) without rowid;
""",
    """
create table queue(
    ts integer not null, id text not null, data blob not null, backoff_schedule text not null,
    keys_if_undelivered blob not null, primary key (ts, id)
);
create table queue_running(
    deadline integer not null, id text not null, data blob not null, backoff_schedule text not null,
    keys_if_undelivered blob not null, primary key (deadline, id)
);
""",
    """
alter table kv add column seq integer not null default 0;
alter table data_version add column seq integer not null default 0;
alter table kv add column expiration_ms integer not null default -1;
create index kv_expiration_ms_idx on kv(expiration_ms);
""",
)
"""What Deno makes, in its own steps, so that a file of an older Deno becomes the one of a newer."""

_LIVES: Final = "(expiration_ms < 0 or expiration_ms > ?2)"
_VALUE: Final = "cast(v as blob), cast(v_encoding as integer)"  # Deno's columns take values of any type
_VERSION: Final = "cast(version as integer)"
_RANGE: Final = f"""
select k, {_VALUE}, {_VERSION} from kv
where k >= ?1 and k < ?2 and (+expiration_ms < 0 or +expiration_ms > ?3) order by k
"""


def _read_schema(connection: apsw.Connection, path: str) -> int:
    """Return the version of a file of Deno, 0 for an empty file; raises KvStorageError for any other."""
    if connection.execute("pragma application_id").get == APPLICATION_ID:
        raise KvStorageError(f'{path}: a store of Echelon, not of Deno; open it without format="deno"')
    if not connection.execute("select count(*) from sqlite_schema").get:
        return 0
    version = (
        connection.execute("select version from migration_state where k = 0").get
        if is_deno(connection)
        else 0
    )
    if not isinstance(version, int) or version < 1:
        raise KvStorageError(f"{path}: a SQLite database, but not a file of Deno KV; choose another path")
    if version > len(_MIGRATIONS):
        raise KvStorageError(
            f"{path}: written by a newer Deno, whose tables have version {version}; "
            f"this Echelon reads {len(_MIGRATIONS)}: upgrade Echelon"
        )
    return version


def _fit(commit: Commit) -> Commit:
    """Return the commit with every value in an encoding that Deno reads; raises KvValueError."""
    mutations = [_fit_mutation(mutation) for mutation in commit.mutations]
    if not commit.enqueues:
        return commit._replace(mutations=mutations)
    return commit._replace(
        mutations=mutations, enqueues=[_fit_message(message) for message in commit.enqueues]
    )


def _fit_mutation(mutation: Mutation) -> Mutation:
    if mutation.encoding == Encoding.MSGPACK:
        value, encoding = to_v8(mutation.value, mutation.encoding)
        mutation = mutation._replace(value=value, encoding=encoding)
    _check_size(mutation.value)
    return mutation


def _fit_message(message: Enqueue) -> Enqueue:
    """Deno keeps no encoding of a message: all of them are V8's."""
    payload, encoding = message.payload, message.encoding
    if encoding == Encoding.BYTES:
        _check_size(payload)
        return message._replace(payload=v8.encode(payload), encoding=Encoding.V8)
    if encoding != Encoding.V8:
        value = decode_value(payload, encoding)
        payload = v8.encode(int(value) if encoding == Encoding.U64 else value)
    _check_size(payload)
    return message._replace(payload=payload, encoding=Encoding.V8)


def _check_size(value: bytes) -> None:
    if len(value) > limits.MAX_VALUE_BYTES:
        raise KvValueError(
            f"a file of Deno holds values of at most {limits.MAX_VALUE_BYTES} bytes, got {len(value)}"
        )


DENO: Final = Layout(
    values="v8",
    fit=_fit,
    messages=DenoQueue,
    breather=0.001,  # Deno sleeps for up to 100 ms before it looks again
    read_schema=_read_schema,
    migrations=_MIGRATIONS,
    mark=f"replace into migration_state(k, version) values (0, {len(_MIGRATIONS)})",
    probes=(
        "select k, v, v_encoding, version, expiration_ms from kv limit 1",
        "select ts, id, data, backoff_schedule, keys_if_undelivered from queue limit 1",
        "select deadline, id, data, backoff_schedule, keys_if_undelivered from queue_running limit 1",
    ),
    point=f"select k, {_VALUE}, {_VERSION} from kv where k = ?1 and {_LIVES}",
    points=f"select k, {_VALUE}, {_VERSION} from (values {{}}) cross join kv on k = column1 where {_LIVES}",
    forward=f"{_RANGE} limit ?4",
    reverse=f"{_RANGE} desc limit ?4",
    watched=f"""
select k, {_VALUE}, {_VERSION}, nullif(cast(expiration_ms as integer), -1) from kv where k = ?1 and {_LIVES}
""",
    next_expiry="select cast(min(expiration_ms) as integer) from kv where expiration_ms >= 0",
    next_due=NEXT_DUE,
    read_version=f"select {_VERSION} from data_version where k = 0",
    write_version="update data_version set version = ?1 where k = 0",
    read_stamp=f"select {_VERSION} from kv where k = ?1 and {_LIVES}",
    read_value=f"select {_VALUE} from kv where k = ?1 and {_LIVES}",
    set="""
insert into kv(k, v, v_encoding, version, expiration_ms) values (?1, ?2, ?3, ?4, coalesce(?5, -1))
on conflict(k) do update set v = excluded.v, v_encoding = excluded.v_encoding,
version = excluded.version, expiration_ms = excluded.expiration_ms
""",
    delete="delete from kv where k = ?1",
    sweep="""
delete from kv where k in (
    select k from kv where expiration_ms >= 0 and expiration_ms <= ?1 order by expiration_ms limit ?2)
""",
    count_entries="""
select count(*) filter (where expiration_ms < 0 or expiration_ms > ?1),
count(*) filter (where expiration_ms >= 0 and expiration_ms <= ?1),
coalesce(sum(length(k) + length(v)) filter (where expiration_ms < 0 or expiration_ms > ?1), 0) from kv
""",
    count_messages=COUNT,
    scan=f"select k, {_VALUE}, {_VERSION} from kv",
    find_faults_of_queue=find_faults,
)


class DenoFileBackend:
    """How a file of Deno is opened: as a SqliteBackend on other tables."""

    @staticmethod
    async def open(path: str | os.PathLike[str], durability: Durability = "full") -> SqliteBackend:
        """Open or create a file; raises KvStorageError when Deno would not read it."""
        return await SqliteBackend.open(path, durability, DENO)
