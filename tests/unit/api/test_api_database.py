"""The database: migrations up and down with data, durability, two writers."""

import asyncio
import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.orm.exc import StaleDataError

from api.alerts.models import AlertRecord
from api.database import Base, Database, StationRecord, alembic_config, migrate_connection, next_change
from patrol.domain.errors import NightPatrolError


@pytest.fixture
async def database(tmp_path):
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite3'}")
    await opened.migrate()
    yield opened
    await opened.close()


async def test_connections_are_durable_and_check_references(database):
    async with database.reading() as session:
        found = {
            name: (await session.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_models_and_migrations_agree(database, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite3'}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []


async def test_every_migration_goes_down_and_up_again_on_a_database_with_data(asked, make_report, make_jpeg):
    await asked.edge.post("/api/v1/alerts", json=make_report(evidence=("a" * 64,)))
    path = asked.data_dir / "station.sqlite3"
    with sqlite3.connect(path) as connection:
        before = sorted(connection.iterdump())
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = alembic_config(connection)
        revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
        for _ in revisions[:-1]:
            command.downgrade(config, "-1")
        migrate_connection(connection)
    with sqlite3.connect(path) as connection:
        assert sorted(connection.iterdump()) == before
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        migrate_connection(connection)
        assert set(inspect(connection).get_table_names()) == {"alembic_version", *Base.metadata.tables}
    engine.dispose()


async def test_two_databases_are_two_stations(tmp_path):
    identities = set()
    for name in ("one", "two"):
        opened = Database(f"sqlite+aiosqlite:///{tmp_path / name}")
        await opened.migrate()
        async with opened.reading() as session:
            identities.add((await session.scalars(select(StationRecord.station_id))).one())
        await opened.close()
    assert len(identities) == 2


async def test_a_database_of_a_newer_version_is_left_alone_with_a_sentence(database):
    async with database.writing() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NightPatrolError, match="a newer night-patrol wrote this database"):
        await database.migrate()


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "test.sqlite3"
    path.write_bytes(b"this is a letter, not a database, and it is long enough to be looked at" * 40)
    return path


async def test_a_file_that_is_no_database_is_told_in_a_sentence(letter):
    broken = Database(f"sqlite+aiosqlite:///{letter}")
    with pytest.raises(NightPatrolError, match=r"test\.sqlite3.*cannot be used"):
        await broken.migrate()
    await broken.close()


async def test_a_failed_change_gives_its_number_back(database):
    async with database.writing() as session:
        assert await next_change(session) == 1

    async def fail():
        async with database.writing() as session:
            assert await next_change(session) == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with database.writing() as session:
        assert await next_change(session) == 2


async def test_writers_take_turns_and_readers_do_not_wait_for_them(database):
    async def add() -> int:
        async with database.writing() as session:
            return await next_change(session)

    async with database.writing() as session:
        assert await next_change(session) == 1
        waiting = [asyncio.create_task(add()) for _ in range(20)]
        async with database.reading() as reader:
            assert (await reader.scalars(select(StationRecord.last_change))).one() == 0
    assert sorted(await asyncio.gather(*waiting)) == list(range(2, 22))


async def test_an_update_from_an_old_reading_fails_and_overwrites_nothing(asked, make_report):
    body = make_report()
    await asked.edge.post("/api/v1/alerts", json=body)
    async with asked.station.database.reading() as session:
        old = await session.get(AlertRecord, body["id"])
    await asked.officer.post(f"/api/v1/alerts/{body['id']}/acknowledge")

    async def overwrite():
        async with asked.station.database.writing() as session:
            session.add(old)
            old.revision += 1
            old.acknowledged_by = "somebody else"
            await session.flush()

    with pytest.raises(StaleDataError):
        await overwrite()
    shown = (await asked.officer.get(f"/api/v1/alerts/{body['id']}")).json()
    assert (shown["acknowledged_by"], shown["revision"]) == ("officer", 2)
