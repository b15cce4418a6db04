"""Revisions without gaps: a counter that is locked until the commit, instead of a sequence."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Go on counting where the sequence was."""
    # Without an index, so that PostgreSQL rewrites the one row in place (heap-only tuples).
    op.create_table("newest_revision", sa.Column("revision", sa.BigInteger, nullable=False))
    op.execute("INSERT INTO newest_revision SELECT coalesce(max(revision), 0) FROM videos")
    op.execute("ALTER TABLE video_changes ALTER COLUMN revision DROP IDENTITY")
