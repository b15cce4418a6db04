"""Alembic's way into the catalog's revisions."""

from reelay.common.migrations import run_migrations

run_migrations()
