"""The station's database: one engine, short reading transactions, one writer at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import BigInteger, Connection, DateTime, Dialect, String, event, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from patrol.domain.errors import NightPatrolError

# How long a writer waits for another process (`patrol users add`) to finish before it gives up.
_BUSY_TIMEOUT_S = 10.0
_MIGRATIONS = Path(__file__).parent / "migrations"


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. SQLite forgets the zone, so UTC goes in and UTC comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse times without a zone, store UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """All tables of the station."""


class StationRecord(Base):
    """This station's identity and the number of its latest change; the table has one row."""

    __tablename__ = "station"

    id: Mapped[int] = mapped_column(primary_key=True)
    station_id: Mapped[str] = mapped_column(String(32))
    last_change: Mapped[int] = mapped_column(BigInteger)


async def next_change(session: AsyncSession) -> int:
    """The number of the change that this writing transaction makes: one more than the last committed.

    The row stays locked until the transaction ends, so numbers have no gaps and become visible in order.
    """
    statement = update(StationRecord).values(last_change=StationRecord.last_change + 1)
    return (await session.execute(statement.returning(StationRecord.last_change))).scalar_one()


class Database:
    """Sessions on one database. Nothing is read or written outside `reading` and `writing`."""

    def __init__(self, url: str) -> None:
        self.url = url
        is_sqlite = url.startswith("sqlite")
        self._engine = create_async_engine(
            url, connect_args={"timeout": _BUSY_TIMEOUT_S} if is_sqlite else {}, pool_pre_ping=not is_sqlite
        )
        if is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite_connection)
            event.listen(self._engine.sync_engine, "begin", _begin_sqlite_transaction)
        self._read = async_sessionmaker(self._engine, expire_on_commit=False)
        self._write = async_sessionmaker(
            self._engine.execution_options(station_writes=True), expire_on_commit=False
        )
        # SQLite has one writer; waiting here is fair and costs nothing, waiting in SQLite polls.
        self._writer = asyncio.Lock()

    async def migrate(self) -> None:
        """Bring the database to the newest form.

        Raises:
            NightPatrolError: the database cannot be opened, or a newer night-patrol wrote it.
        """
        try:
            async with self._engine.execution_options(station_writes=True).begin() as connection:
                await connection.run_sync(migrate_connection)
        except CommandError as error:
            raise NightPatrolError(
                f"{self._shown_url}: a newer night-patrol wrote this database ({error}); "
                "install that version again, or restore the backup made before it"
            ) from error
        except DBAPIError as error:
            raise NightPatrolError(
                f"{self._shown_url}: the database cannot be used ({error.orig}); "
                "check that the folder is writable and the file is a station's database"
            ) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that sees one state of the database and changes nothing."""
        async with self._read() as session, session.begin():
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that is written, durably, when the block ends; an error undoes all of it."""
        async with self._writer, self._write() as session, session.begin():
            yield session

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @property
    def _shown_url(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)


def migrate_connection(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to `revision` on `connection`, inside its transaction."""
    command.upgrade(alembic_config(connection), revision)


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for a connection that is already open."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _prepare_sqlite_connection(connection: Any, _record: Any) -> None:
    # The driver would begin transactions by itself, late and deferred; _begin_sqlite_transaction does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL: an alert that was answered survives a power cut (NORMAL in WAL mode may lose the last commits).
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite_transaction(connection: Connection) -> None:
    # IMMEDIATE takes the write lock now: a deferred transaction that turns into a writer can fail half-way.
    writes = connection.get_execution_options().get("station_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
