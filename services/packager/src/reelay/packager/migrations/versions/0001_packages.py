"""Packages, their objects and tasks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from reelay.common.migrations import create_messaging_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    create_messaging_tables()
    op.create_table(
        "packages",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("asset_id", sa.Text, nullable=False, index=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("plan", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("reason", sa.Text),
        sa.Column("stored", JSONB, nullable=False),
        sa.Column("segments_stored", sa.Integer, nullable=False),
        sa.Column("segments_total", sa.Integer, nullable=False),
        sa.Column("playable", sa.Boolean, nullable=False),
        sa.Column("warnings", JSONB, nullable=False),
        sa.Column("root_digest", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "package_references",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("video_id", sa.Uuid, primary_key=True),
    )
    op.create_table(
        "objects",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.Uuid, primary_key=True),
        sa.Column("package_id", sa.Text, nullable=False, index=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("renditions", JSONB, nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=False),
    )
