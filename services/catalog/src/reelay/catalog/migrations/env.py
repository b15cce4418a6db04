"""Alembic's way into the catalog's revisions."""

from reelay.common.database import run_migrations

run_migrations()
