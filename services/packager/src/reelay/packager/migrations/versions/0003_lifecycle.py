"""What collection and verification need to know: who needs a package, and how objects were made."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns and a table."""
    when = sa.DateTime(timezone=True)
    op.add_column("packages", sa.Column("unreferenced_at", when))
    op.add_column("packages", sa.Column("superseded_by", sa.Text))
    op.add_column("objects", sa.Column("made_first", sa.Integer))
    op.add_column("objects", sa.Column("made_last", sa.Integer))
    op.create_table(
        "deleted_videos",
        sa.Column("video_id", sa.Uuid, primary_key=True),
        sa.Column("deleted_at", when, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_package_references_video_id", "package_references", ["video_id"])
