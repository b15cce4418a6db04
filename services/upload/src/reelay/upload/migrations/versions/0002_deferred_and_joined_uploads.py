"""Uploads of deferred length, and partial uploads that a final one joins; usage by owner."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Extend the uploads."""
    op.alter_column("uploads", "size_bytes", nullable=True)
    op.add_column(
        "uploads", sa.Column("kind", sa.Text, nullable=False, server_default=sa.text("'whole'"))
    )
    op.add_column("uploads", sa.Column("final_id", sa.Uuid))
    op.add_column("uploads", sa.Column("final_position", sa.Integer))
    op.create_index("uploads_of_owner", "uploads", ["owner_id"])
    op.create_index(
        "uploads_of_final",
        "uploads",
        ["final_id"],
        postgresql_where=sa.text("final_id IS NOT NULL"),
    )
