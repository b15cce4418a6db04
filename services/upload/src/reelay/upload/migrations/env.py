"""Alembic's entry point."""

from reelay.common.database import run_migrations

run_migrations()
