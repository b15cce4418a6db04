"""When a segment of a task was last stored: what makes progress is not made once more."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a column. Replicas of the version before may be at work, and note nothing in it."""
    op.add_column("tasks", sa.Column("progressed_at", sa.DateTime(timezone=True)))
