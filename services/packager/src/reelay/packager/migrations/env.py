"""Runs the packager's migrations."""

from reelay.common.migrations import run_migrations

run_migrations()
