"""Alembic's entry point."""

from reelay.common.migrations import run_migrations

run_migrations()
