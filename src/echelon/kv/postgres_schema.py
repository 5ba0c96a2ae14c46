"""The tables of a store in PostgreSQL, the function that commits, and how older ones are brought up to date.

Commits are made by one function on the server, so that a whole group of them is one statement: one way to the
server and back, in which no lock is held while a packet travels. The function takes a lock before anything else.
That puts the commits of all machines in one order, and makes what it then reads the latest there is: each
statement of a function sees what was committed before it began.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from typing import Any, Final

from echelon.errors import KvStorageError
from echelon.kv.postgres_url import Address

APPLICATION: Final = "echelon kv"
"""What is in the table `meta` of a store: how it is told from the tables of another program."""

MIN_SERVER: Final = 12

ABSENT: Final = -1
"""Instead of a version: nothing is stored under the key."""

COUNTER: Final = -2
"""Instead of a version: a U64 is stored under the key, or nothing."""


class Lock(IntEnum):
    """Advisory locks of a store, each the second half of a pair with the number of its schema."""

    COMMIT = 1
    """Held by whoever commits, until the end of the transaction."""

    WATCH = 2
    """Held, shared, by who wants to hear of changed entries. Nobody there: no commit notifies anybody."""

    QUEUE = 3
    """The same for messages that are due soon."""

    MIGRATE = 4


_NOW: Final = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint"
_FRESH: Final = (
    "(expires is null or expires > (select floor(extract(epoch from statement_timestamp()) * 1000)::bigint))"
)
"""What readers see. A sub-select is evaluated once, an expression would be for each row."""

_TABLES: Final = """
create table {s}.meta(
    id smallint primary key check (id = 1), application text not null, schema_version integer not null,
    version bigint not null
);
insert into {s}.meta values (1, '{application}', 0, 0);
create table {s}.kv(
    key bytea primary key, value bytea not null, encoding smallint not null, version bigint not null,
    expires bigint
);
create index kv_expires on {s}.kv(expires) where expires is not null;
create table {s}.queue(
    id bigint generated always as identity primary key, due bigint not null, was_due bigint,
    token bigint, attempts integer not null default 0, payload bytea not null, encoding smallint not null,
    backoff bytea not null, undelivered bytea not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
create index queue_due on {s}.queue(due, id);
create table {s}.writers(id uuid primary key, batch bigint not null, base bigint not null, used bigint not null);
create function {s}.add_u64(one bytea, other bytea) returns bytea language plpgsql immutable strict as $$
declare
    carry integer := 0;
begin
    for i in 0..7 loop
        carry := carry + get_byte(one, i) + get_byte(other, i);
        one := set_byte(one, i, carry & 255);
        carry := carry >> 8;
    end loop;
    return one;
end $$;
"""

# Returns the version before the first of these commits and the number of the batch that was applied, or null
# when something is not as expected. `first` is the number of the first attempt at the same commits: one of
# those may have been applied without its caller ever knowing, or may still be under way somewhere.
_COMMIT: Final = """
create function {s}.commit_1(
    writer uuid, number bigint, first bigint, commits integer,
    expected bytea[], versions bigint[], held bigint[], tokens bigint[],
    keys bytea[], contents bytea[], encodings smallint[], offsets integer[], expiries bigint[],
    stems bytea[], stem_contents bytea[], stem_encodings smallint[], stem_offsets integer[], stem_expiries bigint[],
    counters bytea[], operands bytea[], counter_offsets integer[],
    deleted bytea[],
    dues bigint[], payloads bytea[], payload_encodings smallint[], backoffs bytea[], undelivereds bytea[],
    done bigint[], moved bigint[], moved_to bigint[], kept boolean[], counted integer[],
    tell_watchers boolean, tell_listeners boolean
) returns bigint[] language plpgsql as $$
declare
    present bigint;
    base bigint;
    amount integer;
    applied bigint[];
begin
    perform pg_advisory_xact_lock({locks}, {commit});
    select array[w.base, w.batch] into applied from {s}.writers w where w.id = writer and w.batch >= first;
    if found then
        return applied;
    end if;
    present := {now};
    if cardinality(expected) > 0 then
        perform from unnest(expected, versions) as e(key, version)
            left join {s}.kv on kv.key = e.key and (kv.expires is null or kv.expires > present)
            where case e.version when {counter} then kv.encoding <> 2
                else coalesce(kv.version, {absent}) <> e.version end;
        if found then
            return null;
        end if;
    end if;
    if cardinality(held) > 0 then
        perform from unnest(held, tokens) as h(id, token) join {s}.queue q on q.id = h.id and q.token = h.token
            for update of q;
        get diagnostics amount = row_count;
        if amount <> cardinality(held) then
            return null;
        end if;
    end if;
    update {s}.meta m set version = m.version + commits where m.id = 1 returning m.version - commits into base;
    if not found then
        raise 'the commit number is gone' using errcode = 'XX001';
    end if;
    insert into {s}.writers as w values (writer, number, base, present)
        on conflict (id) do update set batch = excluded.batch, base = excluded.base, used = excluded.used;
    if cardinality(keys) > 0 then
        insert into {s}.kv select t.key, t.value, t.encoding, base + t.place, t.expires
            from unnest(keys, contents, encodings, offsets, expiries) as t(key, value, encoding, place, expires)
            on conflict (key) do update set value = excluded.value, encoding = excluded.encoding,
                version = excluded.version, expires = excluded.expires;
    end if;
    if cardinality(stems) > 0 then
        insert into {s}.kv
            select t.key || '\\x02'::bytea || convert_to(lpad(to_hex(base + t.place), 16, '0') || '0000', 'UTF8')
                || '\\x00'::bytea, t.value, t.encoding, base + t.place, t.expires
            from unnest(stems, stem_contents, stem_encodings, stem_offsets, stem_expiries)
                as t(key, value, encoding, place, expires)
            on conflict (key) do update set value = excluded.value, encoding = excluded.encoding,
                version = excluded.version, expires = excluded.expires;
    end if;
    if cardinality(counters) > 0 then
        insert into {s}.kv as k select t.key, t.operand, 2, base + t.place, null
            from unnest(counters, operands, counter_offsets) as t(key, operand, place)
            on conflict (key) do update set version = excluded.version, encoding = 2, expires = null,
                value = case when k.expires <= present then excluded.value
                    else {s}.add_u64(k.value, excluded.value) end;
    end if;
    if cardinality(deleted) > 0 then
        delete from {s}.kv k where k.key = any(deleted);
    end if;
    if cardinality(done) > 0 then
        delete from {s}.queue q where q.id = any(done);
    end if;
    if cardinality(moved) > 0 then
        update {s}.queue q set due = m.due, token = case when m.kept then q.token end, attempts = q.attempts - m.counted
            from unnest(moved, moved_to, kept, counted) as m(id, due, kept, counted) where q.id = m.id;
    end if;
    if cardinality(dues) > 0 then
        insert into {s}.queue(due, payload, encoding, backoff, undelivered)
            select t.due, t.payload, t.encoding, t.backoff, t.undelivered
            from unnest(dues, payloads, payload_encodings, backoffs, undelivereds) with ordinality
                as t(due, payload, encoding, backoff, undelivered, place) order by t.place;
    end if;
    if tell_watchers and not pg_try_advisory_xact_lock({locks}, {watch}) then
        perform pg_notify('{channel}', 'watch');
    end if;
    if tell_listeners and not pg_try_advisory_xact_lock({locks}, {queue}) then
        perform pg_notify('{channel}', 'queue');
    end if;
    return array[base, number];
end $$;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_TABLES + _COMMIT,)
"""What leads from each version of the schema to the next. All are run in one transaction."""

_FIND: Final = """
select exists(select from pg_namespace where nspname = $1),
    (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1),
    (select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n
        on n.oid = c.relnamespace where n.nspname = $1 and c.relname = 'meta'
        and a.attname in ('id', 'application', 'schema_version', 'version'))
"""
_READ_META: Final = "select application, schema_version from {s}.meta where id = 1"
_TAKE_LOCK: Final = "select pg_advisory_xact_lock({locks}, $1)"
_CREATE: Final = "create schema {s}"
_SET_VERSION: Final = "update {s}.meta set schema_version = $1"
_SERVER: Final = (
    "select current_setting('server_version_num')::integer / 10000, pg_is_in_recovery(), "
    "current_setting('transaction_read_only') = 'on'"
)


def locks(schema: str) -> int:
    """Return the first half of a store's advisory locks, a signed 32-bit number."""
    return zlib.crc32(f"{APPLICATION}/{schema}".encode()) - 2**31


def channel(schema: str) -> str:
    """Return the name under which a store's commits notify."""
    return f"echelon_kv_{schema}"


def fill(sql: str, schema: str) -> str:
    """Return SQL with the names of a checked schema, and the expressions all statements share, in their places."""
    numbers = {lock.name.lower(): int(lock) for lock in Lock}
    return sql.format(
        s=f'"{schema}"',
        application=APPLICATION,
        channel=channel(schema),
        locks=locks(schema),
        now=_NOW,
        fresh=_FRESH,
        counter=COUNTER,
        absent=ABSENT,
        **numbers,
    )


async def prepare(connection: Any, address: Address) -> None:
    """Make sure that the schema holds a store of this version, creating or upgrading it.

    Raises KvStorageError when it cannot; then nothing was changed.
    """
    version, standby, read_only = await connection.fetchrow(_SERVER)
    if version < MIN_SERVER:
        raise KvStorageError(
            f"{address.name}: PostgreSQL {version} is too old; a store needs version {MIN_SERVER} or later"
        )
    if standby or read_only:
        reason = "the server is a read-only standby" if standby else "this role or database is read-only"
        raise KvStorageError(
            f"{address.name}: {reason}; name the primary in the URL, or all hosts and "
            "target_session_attrs=read-write, or set default_transaction_read_only = off"
        )
    if await _find_version(connection, address) == len(MIGRATIONS):
        return
    async with connection.transaction():
        await connection.execute(fill(_TAKE_LOCK, address.schema), Lock.MIGRATE)
        await _migrate(connection, address)


async def _migrate(connection: Any, address: Address) -> None:
    schema = address.schema
    found = await _find_version(connection, address)
    if found is None:
        await connection.execute(fill(_CREATE, schema))
    elif found > 0:  # nobody may commit by the old function while it is replaced
        await connection.execute(fill(_TAKE_LOCK, schema), Lock.COMMIT)
    for migration in MIGRATIONS[found or 0 :]:
        await connection.execute(fill(migration, schema))
    await connection.execute(fill(_SET_VERSION, schema), len(MIGRATIONS))


async def _find_version(connection: Any, address: Address) -> int | None:
    """Return the version of the store that is there, 0 for an empty schema, None for no schema."""
    exists, tables, columns = await connection.fetchrow(_FIND, address.schema)
    if not exists:
        return None
    if not tables:
        return 0
    row = await connection.fetchrow(fill(_READ_META, address.schema)) if columns == 4 else ("", 0)
    if row is None:
        raise KvStorageError(
            f"{address.name}: the store is damaged, its commit number is gone; restore it from a backup"
        )
    application, version = row
    if application != APPLICATION:
        raise KvStorageError(
            f"{address.name}: the schema holds the tables of another program; name another with ?schema= in the URL"
        )
    if version > len(MIGRATIONS):
        raise KvStorageError(
            f"{address.name}: the store has schema version {version}, this Echelon reads {len(MIGRATIONS)}; "
            "upgrade Echelon or name another schema"
        )
    return int(version)
