"""The database that holds what must outlive the process: one writer at a time, a schema with a version."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from otel_ml.errors import OtelMLError

SCHEMA_VERSION = 2
PATIENCE = 5.0
"""Seconds that a writer waits for its turn."""

METADATA = sa.MetaData()
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
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
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
            with self._engine.begin() as connection:
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

    def upsert(self, table: sa.Table, *, unless_same: str | None = None, untouched: Collection[str] = ()) -> Any:
        """An insert that replaces the row of the same key, some columns `untouched`; with `unless_same` only when that differs."""
        insert = self._insert(table)
        changed = None if unless_same is None else table.c[unless_same] != insert.excluded[unless_same]
        values = {column: insert.excluded[column.key] for column in table.columns if not column.primary_key and column.key not in untouched}
        return insert.on_conflict_do_update(index_elements=[column.name for column in table.primary_key], set_=values, where=changed)

    def insert_new(self, table: sa.Table) -> Any:
        """An insert that leaves a row of the same key as it is."""
        return self._insert(table).on_conflict_do_nothing()

    def _insert(self, table: sa.Table) -> Any:
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)

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


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={PATIENCE * 1000:.0f}"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _migrate(connection: sa.Connection, shown: str) -> None:
    METADATA.create_all(connection)
    version = connection.execute(sa.select(_VERSION.c.version)).scalar()
    if version is None:
        connection.execute(sa.insert(_VERSION).values(version=SCHEMA_VERSION))
    elif version > SCHEMA_VERSION:
        raise StoreError(f"the store {shown} has schema {version}, this version knows {SCHEMA_VERSION}; update otel-ml")
    else:
        for step in range(version, SCHEMA_VERSION):
            MIGRATIONS[step](connection)
        connection.execute(sa.update(_VERSION).values(version=SCHEMA_VERSION))


def _count_pairs(connection: sa.Connection) -> None:
    """Version 2: predictions know whether they were counted, outcomes their number; labels of before count as no numbers."""
    for table, column in (("predictions", "counted TEXT"), ("outcomes", "number DOUBLE PRECISION")):
        known = sa.inspect(connection)
        if known.has_table(table) and column.split()[0] not in {each["name"] for each in known.get_columns(table)}:
            connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {column}"))


MIGRATIONS: dict[int, Callable[[sa.Connection], None]] = {1: _count_pairs}
"""From a schema version to the step that makes the next one of it."""


def _shown(url: str) -> str:
    return sa.engine.make_url(url).render_as_string(hide_password=True)


def _cause(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)
