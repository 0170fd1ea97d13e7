"""The database that holds what must outlive the process: one writer at a time, a schema with a version."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from otel_ml.errors import OtelMLError

SCHEMA_VERSION = 3
PATIENCE = 5.0
"""Seconds that a writer waits for its turn."""

METADATA = sa.MetaData()
_WRITES = "otel_ml_writes"
_LOCKS = 0x6D6C
"""What sets our locks apart from those of other programs in the same database."""
_VERSION = sa.Table("schema_version", METADATA, sa.Column("version", sa.Integer, primary_key=True))


class StoreError(OtelMLError):
    """The store cannot be used now; what was to be written is not."""


class Database:
    """Connections to the store; SQLite or PostgreSQL."""

    def __init__(self, url: str) -> None:
        memory = url == "sqlite://"
        options: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}} if memory else {}
        self._lock = threading.Lock()
        self._memory = memory
        try:
            self._engine = sa.create_engine(url, **options)
        except ImportError as error:
            raise StoreError(f"the store {_shown(url)} needs a driver that is not installed ({error}); install it") from error
        self._shown = _shown(url)
        self._postgresql = self._engine.dialect.name == "postgresql"
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        try:
            with self.write() as connection:
                _migrate(connection, self._shown)
        except StoreError:
            self.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction, committed at the end; raises `StoreError` when its turn does not come or the database fails."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise StoreError(f"the store {self._shown} is busy; try again")
        try:
            with self._engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the store {self._shown} does not work ({_cause(error)}); look at its disk and its permissions") from error
        finally:
            self._lock.release()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read from; a database in memory has only the one."""
        if self._memory:
            with self.write() as connection:
                yield connection
            return
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the store {self._shown} cannot be read ({_cause(error)})") from error

    def upsert(self, table: sa.Table) -> Any:
        """An insert that replaces the row of the same key."""
        insert = self._insert(table)
        return _on_conflict(insert, table, {column: insert.excluded[column.key] for column in table.columns if not column.primary_key})

    def add(self, table: sa.Table, columns: Iterable[str]) -> Any:
        """An insert that adds to some columns of the row of the same key."""
        insert = self._insert(table)
        return _on_conflict(insert, table, {table.c[name]: table.c[name] + insert.excluded[name] for name in columns})

    def insert_new(self, table: sa.Table) -> Any:
        """An insert that leaves a row of the same key as it is."""
        return self._insert(table).on_conflict_do_nothing()

    def _insert(self, table: sa.Table) -> Any:
        return postgresql.insert(table) if self._postgresql else sqlite.insert(table)

    def write_rows(self, connection: sa.Connection, statement: Any, rows: Sequence[Sequence[Any]]) -> None:
        """Execute an insert for many rows in the order of the table's columns; they go to the driver as they are."""
        if rows:
            compiled = statement.compile(dialect=self._engine.dialect)
            if compiled.positional:
                connection.exec_driver_sql(str(compiled), [tuple(row) for row in rows])
            else:
                keys = list(compiled.params)
                connection.exec_driver_sql(str(compiled), [dict(zip(keys, row, strict=True)) for row in rows])

    def among(self, column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
        """Whether a column holds one of the texts that the parameter `name` is given, in the form that `many` makes."""
        if self._postgresql:
            return column == sa.any_(sa.bindparam(name, type_=postgresql.ARRAY(sa.Text)))
        return column.in_(sa.select(sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value").c.value))

    def many(self, texts: Iterable[str]) -> Any:
        """Texts as one parameter, however many."""
        return list(texts) if self._postgresql else json.dumps(list(texts))

    def lock(self, connection: sa.Connection, names: Iterable[str]) -> None:
        """Wait until no transaction of another exporter holds one of these names, and hold them until this one ends.

        An SQLite file has one writer at a time, so that its transactions take turns anyway.
        """
        if self._postgresql:
            for key in sorted({zlib.crc32(name.encode()) for name in names}):
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCKS, key - 2**31)))

    def probe(self) -> None:
        """Write nothing new; raises `StoreError` when the store does not take it."""
        with self.write() as connection:
            connection.execute(sa.update(_VERSION).values(version=_VERSION.c.version))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def delete_batches(database: Database, table: sa.Table, condition: sa.ColumnElement[bool], *, size: int = 5_000) -> int:
    """Delete the rows that meet a condition, a batch each transaction, so that writers get their turn; how many there were."""
    keys = list(table.primary_key)
    deleted = 0
    while True:
        batch = sa.select(*keys).where(condition).limit(size)
        with database.write() as connection:
            count = connection.execute(sa.delete(table).where(sa.tuple_(*keys).in_(batch))).rowcount
        deleted += count
        if count < size:
            return deleted


def _on_conflict(insert: Any, table: sa.Table, values: Mapping[Any, Any]) -> Any:
    return insert.on_conflict_do_update(index_elements=[column.name for column in table.primary_key], set_=values)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin transactions by itself, and only at the first change
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={PATIENCE * 1000:.0f}"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    """A transaction that will write takes its turn before it reads, so that what it read still holds."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")


def _migrate(connection: sa.Connection, shown: str) -> None:
    _VERSION.create(connection, checkfirst=True)
    version = connection.execute(sa.select(_VERSION.c.version)).scalar()
    if version is None:
        connection.execute(sa.insert(_VERSION).values(version=SCHEMA_VERSION))
    elif version > SCHEMA_VERSION:
        raise StoreError(f"the store {shown} has schema {version}, this version knows {SCHEMA_VERSION}; update otel-ml")
    else:
        for step in range(version, SCHEMA_VERSION):
            MIGRATIONS.get(step, _nothing)(connection)
        connection.execute(sa.update(_VERSION).values(version=SCHEMA_VERSION))
    METADATA.create_all(connection)


def _nothing(_: sa.Connection) -> None:
    """A step whose tables the next one replaces."""


def _set_aside(connection: sa.Connection) -> None:
    """Version 3: other keys, and cells instead of scans. The old rows are set aside; `OutcomeStore` takes them in again."""
    tables = set(sa.inspect(connection).get_table_names())
    for table in tables & {"arrivals", "pair_totals"}:
        connection.execute(sa.text(f"DROP TABLE {table}"))
    for table in tables & {"predictions", "outcomes"}:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO {SET_ASIDE}{table}"))


SET_ASIDE = "before_3_"
MIGRATIONS: dict[int, Callable[[sa.Connection], None]] = {2: _set_aside}
"""From a schema version to the step that makes the next one of it."""


def _shown(url: str) -> str:
    return sa.engine.make_url(url).render_as_string(hide_password=True)


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)
