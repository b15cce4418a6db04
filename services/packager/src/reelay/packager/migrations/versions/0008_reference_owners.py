"""Whose the videos are that need a package: it is made in the turns of one of them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; of videos that are there already nobody knows, nor does it matter."""
    op.add_column("package_references", sa.Column("owner_id", sa.Text))
