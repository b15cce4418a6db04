"""How far each rendition is, and why an upload was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; what was known before says nothing of either."""
    for table in ("videos", "package_states"):
        op.add_column(table, sa.Column("renditions", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("video_uploads", sa.Column("refused_at", sa.DateTime(timezone=True)))
    op.add_column("video_uploads", sa.Column("refusal", sa.Text))
