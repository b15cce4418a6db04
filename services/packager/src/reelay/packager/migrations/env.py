"""Runs the packager's migrations."""

from reelay.common.database import run_migrations

run_migrations()
