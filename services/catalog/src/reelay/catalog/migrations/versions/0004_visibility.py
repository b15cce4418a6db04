"""Who may see a video, and with it the content of its packages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """All videos of before are public; what they refer to is known from their plans."""
    for table in ("videos", "video_changes"):
        op.add_column(
            table, sa.Column("visibility", sa.Text, nullable=False, server_default="public")
        )
    op.add_column(
        "videos",
        sa.Column("withdrawn_revision", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.add_column(
        "video_changes", sa.Column("owner_id", sa.Text, nullable=False, server_default="")
    )
    op.add_column(
        "video_changes",
        sa.Column("withdrawn", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "package_references",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("video_id", UUID, sa.ForeignKey("videos.id"), primary_key=True, index=True),
    )
    op.execute(
        "INSERT INTO package_references SELECT DISTINCT package_id, video_id FROM video_plans "
        "WHERE package_id IS NOT NULL"
    )
    op.execute("CREATE SEQUENCE package_access_revisions")
    op.create_table(
        "package_access",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("access", sa.Text, nullable=False),
        sa.Column("video_ids", JSONB, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("published", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_index(
        "package_access_pending",
        "package_access",
        ["revision"],
        postgresql_where=sa.text("published < revision"),
    )
