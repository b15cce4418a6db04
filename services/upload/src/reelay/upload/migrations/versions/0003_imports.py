"""Uploads whose bytes are fetched from another server."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add what is known of an import."""
    op.add_column("uploads", sa.Column("origin_url", sa.Text))
    op.create_index(
        "uploads_to_import",
        "uploads",
        ["id"],
        postgresql_where=sa.text("kind = 'imported' AND state = 'receiving'"),
    )
    op.create_table(
        "imports",
        sa.Column(
            "upload_id",
            sa.Uuid,
            sa.ForeignKey("uploads.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("validator", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("trouble", sa.Text),
        sa.Column("problem", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("free_at", WHEN, nullable=False),
        sa.Column("started_at", WHEN, nullable=False, server_default=sa.func.now()),
    )
