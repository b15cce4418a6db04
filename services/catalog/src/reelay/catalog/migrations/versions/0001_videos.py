"""Videos, the facts about them, the log of changes, and the signing key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from reelay.common.migrations import create_messaging_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    create_messaging_tables()
    _create_videos()
    _create_facts()
    op.create_table(
        "video_changes",
        sa.Column("revision", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("video_id", UUID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        _time("changed_at", server_default=sa.func.now(), nullable=False),
    )
    op.create_table(
        "signing_keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("private_key_pem", sa.Text, nullable=False),
        _time("created_at", server_default=sa.func.now(), nullable=False),
    )


def _create_videos() -> None:
    op.create_table(
        "videos",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("asset_id", sa.Text),
        sa.Column("package_id", sa.Text),
        sa.Column("segments_stored", sa.Integer, nullable=False),
        sa.Column("segments_total", sa.Integer, nullable=False),
        sa.Column("warnings", JSONB, nullable=False),
        _time("created_at", nullable=False),
        _time("updated_at", nullable=False),
        _time("published_at"),
        _time("deleted_at"),
        sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    )


def _create_facts() -> None:
    op.create_table(
        "video_uploads",
        sa.Column("video_id", UUID, sa.ForeignKey("videos.id"), primary_key=True),
        sa.Column("upload_id", UUID, primary_key=True),
        _time("started_at"),
        sa.Column("terminated", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("asset_id", sa.Text),
        sa.Column("source_key", sa.Text),
        _time("uploaded_at"),
    )
    op.create_table(
        "video_plans",
        sa.Column("video_id", UUID, sa.ForeignKey("videos.id"), primary_key=True),
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("package_id", sa.Text, index=True),
        _time("planned_at"),
        _time("failed_at"),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "package_states",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("segments_stored", sa.Integer, nullable=False, server_default="0"),
        sa.Column("segments_total", sa.Integer, nullable=False, server_default="0"),
        sa.Column("playable", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("root_digest", sa.Text),
        sa.Column("warnings", JSONB, nullable=False, server_default="[]"),
        _time("planned_at"),
        _time("failed_at"),
        sa.Column("reason", sa.Text),
    )


def _time(name: str, **options: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # type: ignore[arg-type]  # passed on
