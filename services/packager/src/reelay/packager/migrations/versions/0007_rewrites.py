"""Sources that wait to be rewritten, of which owners take turns."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    when = sa.DateTime(timezone=True)
    op.create_table(
        "rewrites",
        sa.Column("video_id", sa.Uuid, primary_key=True),
        sa.Column("source_key", sa.Text, primary_key=True),
        sa.Column("asset_id", sa.Text, nullable=False, index=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("requested_at", when, nullable=False),
        sa.Column("due_at", when, nullable=False, index=True),
        sa.Column("taken_by", sa.Uuid),
        sa.Column("attempts", sa.Integer, nullable=False),
    )
