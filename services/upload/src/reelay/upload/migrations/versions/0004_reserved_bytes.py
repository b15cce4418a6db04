"""Uploads of unknown length reserve what they are going to store."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add what such an upload may have stored, whether that counts as received or not."""
    op.add_column(
        "uploads",
        sa.Column("reserved_bytes", sa.BigInteger, nullable=False, server_default="0"),
    )
