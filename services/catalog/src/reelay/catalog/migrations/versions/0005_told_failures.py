"""When the broker was told of a failure, to be compared with what happened to uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; of failures that were known before, the time in them has to do."""
    for table in ("video_plans", "package_states"):
        op.add_column(table, sa.Column("told_at", sa.DateTime(timezone=True)))
