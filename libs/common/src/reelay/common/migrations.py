"""Brings the tables of a service to their newest form, also when replicas start at the same time.

Alembic works in a process of its own, and only where there is something to do: a service that runs
for months has no use for the memory that it takes.
"""

import asyncio
import os
import sys
from contextlib import suppress
from importlib.resources import as_file, files

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine, text

from reelay.common.database import CONNECTION, sqlalchemy_url
from reelay.common.messaging_tables import INBOX, OUTBOX

MIGRATION_LOCK = 0x7265656C6179  # 'reelay'
URL_VARIABLE = "REELAY_MIGRATE_URL"
"""How the process is told the database: what is in its arguments everybody may read."""
VERSIONS = sql.SQL("SELECT version_num FROM alembic_version")


class MigrationFailedError(Exception):
    """The tables could not be brought to their newest form; the log says why."""


async def migrate(url: str, package: str) -> None:
    """Bring the tables to the newest revision in `<package>/migrations`.

    Replicas that start together take turns. Raises psycopg.OperationalError when the database does
    not answer, and MigrationFailedError.
    """
    if await asyncio.to_thread(_revisions, url) == {newest_revision(package)}:
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, package, env={**os.environ, URL_VARIABLE: url}
    )
    try:
        failed = await process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if failed:
        raise MigrationFailedError(f"{package}: status {process.returncode}")


def newest_revision(package: str) -> str:
    """Return the newest revision of a package: its files begin with theirs, four digits."""
    names = (entry.name for entry in (files(package) / "migrations" / "versions").iterdir())
    return max(name[:4] for name in names if name[:4].isdecimal())


def upgrade(url: str, package: str, revision: str = "head") -> None:
    """Do the work of `migrate` here; not further than a revision."""
    from alembic import command
    from alembic.config import Config

    engine = create_engine(sqlalchemy_url(url), connect_args=CONNECTION)
    with as_file(files(package) / "migrations") as directory, engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(directory))
        config.attributes["connection"] = connection
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        try:
            command.upgrade(config, revision)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
    engine.dispose()


def run_migrations() -> None:
    """Body of every service's `migrations/env.py`."""
    from alembic import context

    context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()


def create_messaging_tables() -> None:
    """Create the tables of outbox and inbox; the first migration of a service calls it."""
    from alembic import op

    for table in (OUTBOX, INBOX):
        table.create(op.get_bind())


def _revisions(url: str) -> set[str]:
    """Return the revisions that the database has; none when it is new."""
    with psycopg.connect(make_conninfo(url, **CONNECTION), autocommit=True) as connection:
        try:
            return {row[0] for row in connection.execute(VERSIONS)}
        except psycopg.errors.UndefinedTable:
            return set()


if __name__ == "__main__":
    upgrade(os.environ[URL_VARIABLE], sys.argv[1])
