"""Tables of an earlier version are brought to the newest one with what is in them."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa

from reelay.common.database import Database
from reelay.common.migrations import migrate, upgrade
from reelay.packager.adapters import references, virtual_times

pytestmark = pytest.mark.integration

PACKAGE = """
INSERT INTO packages (package_id, asset_id, owner_id, source_key, plan, state, stored,
                      segments_stored, segments_total, playable, warnings, created_at)
VALUES (%s, 'asset', 'ann', 'sources/x', '{}', %s, '{}', 0, 9, false, '[]', now())
"""
TURN = "INSERT INTO turns VALUES (%s, %s, %s)"

WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def tables_of() -> str | None:
    return None


async def test_films_that_are_being_made_keep_their_turns(database_url: str) -> None:
    upgrade(database_url, "reelay.packager", "0003")
    with psycopg.connect(database_url) as connection:
        for name, state in [("waits", "planned"), ("new", "planned"), ("over", "complete")]:
            connection.execute(PACKAGE, (name, state))
        for turn in [("package", "waits", 3.0), ("package", "over", 4.0), ("owner", "ann", 7.0)]:
            connection.execute(TURN, turn)
    await migrate(database_url, "reelay.packager")
    database = Database(database_url)
    async with database.transaction() as session:
        turns = await virtual_times.first(session, 10)
        assert await virtual_times.owner_time(session, "ann") == 7.0
    assert {(t.package_id, t.package_time) for t in turns} == {("waits", 3.0), ("new", 0.0)}
    await database.close()


def test_replica_of_the_version_before_ends_a_film_while_tables_are_changed(
    database_url: str,
) -> None:
    upgrade(database_url, "reelay.packager", "0003")
    with psycopg.connect(database_url) as connection:
        connection.execute(PACKAGE, ("film", "planned"))
        connection.execute(TURN, ("package", "film", 1.0))
    with ThreadPoolExecutor() as pool, psycopg.connect(database_url) as old:
        old.execute("UPDATE packages SET state = 'complete'")
        changing = pool.submit(upgrade, database_url, "reelay.packager")
        with psycopg.connect(database_url, autocommit=True) as look:
            while not look.execute(WAITING).fetchone()[0]:  # type: ignore[index]
                time.sleep(0.01)
        old.execute("DELETE FROM turns WHERE name = 'film'")
        old.commit()
        changing.result(timeout=60)


async def test_packages_of_a_source_are_found_by_an_index(database_url: str) -> None:
    upgrade(database_url, "reelay.packager", "0004")
    with psycopg.connect(database_url) as connection:
        connection.execute(PACKAGE, ("film", "complete"))
    await migrate(database_url, "reelay.packager")
    database = Database(database_url)
    look = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'ix_packages_source_key'"
    async with database.transaction() as session:
        await session.execute(sa.text("SET LOCAL enable_seqscan = off"))  # else small tables are
        assert await references.is_source(session, "sources/x")
        assert not await references.is_source(session, "sources/y")
        await session.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    async with database.transaction() as session:
        assert (await session.execute(sa.text(look))).scalar_one() == 2
    await database.close()
