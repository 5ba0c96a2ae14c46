"""The tables of a store's own file."""

from __future__ import annotations

from typing import Final

import apsw

from echelon.errors import KvStorageError
from echelon.kv.sqlite_layout import Layout
from echelon.kv.sqlite_queue import NEXT_DUE, Queue, find_faults

APPLICATION_ID: Final = 0x45434B56
"""The letters ECKV in the file's header: how a store is told from any other SQLite database."""

_MIGRATIONS: Final = (
    """
create table kv(
    key blob primary key, value blob not null, encoding integer not null,
    version integer not null, expires integer
) strict, without rowid;
create index kv_expires on kv(expires) where expires is not null;
create table meta(id integer primary key check (id = 1), version integer not null) strict;
insert into meta values (1, 0);
""",
    """
create table queue(
    id integer primary key, due integer not null, token integer, attempts integer not null default 0,
    payload blob not null, encoding integer not null, backoff blob not null, undelivered blob not null
) strict;
create index queue_due on queue(due);
""",
)
"""What makes each schema version from the one before; the first one from an empty file."""

SCHEMA_VERSION: Final = len(_MIGRATIONS)

_LIVES: Final = "(expires is null or expires > ?2)"
_ENTRY: Final = "select key, value, encoding, version from kv where "
# The plus keeps the planner from the index on `expires`: the keys' own order is always the better one.
_RANGE: Final = _ENTRY + "key >= ?1 and key < ?2 and (+expires is null or +expires > ?3) order by key"


def is_deno(connection: apsw.Connection) -> bool:
    """Return whether a file has the tables by which one of Deno KV is told from any other database."""
    names = "select count(*) from sqlite_schema where name in ('migration_state', 'data_version', 'kv')"
    return bool(connection.execute(names).get == 3)


def _read_schema(connection: apsw.Connection, path: str) -> int:
    """Return the file's schema version, 0 for an empty one; raises KvStorageError when it is not a store."""
    application = connection.execute("pragma application_id").get
    version = connection.execute("pragma user_version").get
    tables = connection.execute("select count(*) from sqlite_schema").get
    if not isinstance(version, int) or (application != APPLICATION_ID and (application or version or tables)):
        if is_deno(connection):
            raise KvStorageError(f'{path}: a file of Deno KV; open it with format="deno"')
        raise KvStorageError(f"{path}: the SQLite database of another program; choose another path")
    if version > SCHEMA_VERSION:
        raise KvStorageError(
            f"{path}: the store has schema version {version}, this Echelon reads {SCHEMA_VERSION}; "
            "upgrade Echelon or choose another file"
        )
    return version


NATIVE: Final = Layout(
    values="native",
    fit=None,
    messages=Queue,
    breather=0.0,  # who waits for this file looks often enough
    read_schema=_read_schema,
    migrations=_MIGRATIONS,
    mark=f"pragma application_id = {APPLICATION_ID}; pragma user_version = {SCHEMA_VERSION}",
    probes=(
        "select key, value, encoding, version, expires from kv limit 1",
        "select id, due, token, attempts, payload, encoding, backoff, undelivered from queue limit 1",
    ),
    point=f"{_ENTRY} key = ?1 and {_LIVES}",
    points=f"select key, value, encoding, version from (values {{}}) cross join kv on key = column1 where {_LIVES}",
    forward=f"{_RANGE} limit ?4",
    reverse=f"{_RANGE} desc limit ?4",
    watched=f"select key, value, encoding, version, expires from kv where key = ?1 and {_LIVES}",
    next_expiry="select min(expires) from kv where expires is not null",
    next_due=NEXT_DUE,
    read_version="select version from meta where id = 1",
    write_version="update meta set version = ?1 where id = 1",
    read_stamp=f"select version from kv where key = ?1 and {_LIVES}",
    read_value=f"select value, encoding from kv where key = ?1 and {_LIVES}",
    set="""
insert into kv(key, value, encoding, version, expires) values (?1, ?2, ?3, ?4, ?5)
on conflict(key) do update set value = excluded.value, encoding = excluded.encoding,
version = excluded.version, expires = excluded.expires
""",
    delete="delete from kv where key = ?1",
    sweep="delete from kv where key in (select key from kv where expires <= ?1 order by expires limit ?2)",
    count_entries="""
select count(*) filter (where expires is null or expires > ?1), count(*) filter (where expires <= ?1),
coalesce(sum(length(key) + length(value)) filter (where expires is null or expires > ?1), 0) from kv
""",
    count_messages="""
select count(*), count(*) filter (where due <= ?1), count(*) filter (where token is not null and due > ?1)
from queue
""",
    scan="select key, value, encoding, version from kv",
    find_faults_of_queue=find_faults,
)
