"""Tables of an earlier version are brought to the newest one with what is in them."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa

from reelay.catalog.live.log import newest_revision as newest_change
from reelay.common.database import Database
from reelay.common.migrations import MigrationFailedError, migrate, newest_revision, upgrade

pytestmark = pytest.mark.integration

VIDEO = """
INSERT INTO videos (id, owner_id, title, description, state, segments_stored, segments_total,
                    warnings, created_at, updated_at, revision)
VALUES (gen_random_uuid(), 'ann', 'Old', '', 'ready', 3, 3, '[]', now(), now(), 7)
"""


FAILED_AT = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = f"""
INSERT INTO video_plans (video_id, asset_id, package_id, failed_at)
SELECT id, 'a', 'p', '{FAILED_AT}' FROM videos
"""


async def test_videos_and_their_revisions_survive_an_upgrade(database_url: str) -> None:
    upgrade(database_url, "reelay.catalog", "0001")
    with psycopg.connect(database_url) as connection:
        connection.execute(VIDEO)
        connection.execute(PLAN)
    await migrate(database_url, "reelay.catalog")
    database = Database(database_url)
    assert await newest_change(database) == 7
    async with database.autocommit() as session:
        row = (
            await session.execute(sa.text("SELECT title, renditions, visibility FROM videos"))
        ).one()
        references = await session.execute(sa.text("SELECT package_id FROM package_references"))
        failure = await session.execute(sa.text("SELECT failed_at, told_at FROM video_plans"))
    assert tuple(row) == ("Old", {}, "public")
    assert failure.one() == (FAILED_AT, None)
    assert references.scalars().all() == ["p"]
    await database.close()


async def test_replicas_that_start_together_and_again_find_the_newest_tables(
    database_url: str,
) -> None:
    await asyncio.gather(*(migrate(database_url, "reelay.catalog") for _ in range(3)))
    await migrate(database_url, "reelay.catalog")
    with psycopg.connect(database_url) as connection:
        versions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert versions == [(newest_revision("reelay.catalog"),)]


async def test_tables_of_a_newer_version_are_left_alone(
    database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await migrate(database_url, "reelay.catalog")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigrationFailedError):
        await migrate(database_url, "reelay.catalog")
    assert "9999" in capfd.readouterr().err
