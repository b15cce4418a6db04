"""The first tables: uploads with their parts, assets, drafts, and the outbox."""

import sqlalchemy as sa
from alembic import op

from reelay.common.migrations import create_messaging_tables

revision = "0001"
down_revision = None

WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("video_id", sa.Uuid),
        sa.Column("filename", sa.Text),
        sa.Column("metadata", sa.Text, nullable=False, server_default=""),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("offset_bytes", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("recognised", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("attempt", sa.Text),
        sa.Column("tail_key", sa.Text),
        sa.Column("kept_key", sa.Text),
        sa.Column("refusal", sa.Text),
        sa.Column("asset_id", sa.Text),
        sa.Column("tidy", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", WHEN, nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", WHEN, nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("offset_bytes BETWEEN 0 AND size_bytes"),
    )
    # Complete and tidied uploads are nearly all rows; the sweeps look for the others.
    op.create_index(
        "uploads_in_work",
        "uploads",
        ["updated_at"],
        postgresql_where=sa.text("state <> 'complete' OR NOT tidy"),
    )
    op.create_table(
        "upload_parts",
        sa.Column(
            "upload_id",
            sa.Uuid,
            sa.ForeignKey("uploads.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
    )
    op.create_table(
        "assets",
        sa.Column("asset_id", sa.Text, primary_key=True),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", WHEN, nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "drafts",
        sa.Column("video_id", sa.Uuid, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False, server_default=""),
        sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    create_messaging_tables()
