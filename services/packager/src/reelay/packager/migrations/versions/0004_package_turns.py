"""Turns of packages in a table of their own, so that a decision finds the next ones by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table, let all packages that are being made wait in it, and index the unopened."""
    # Replicas of the version before are at work: what they have is waited for, before anything
    # they might wait for is held.
    op.execute("LOCK TABLE packages, turns IN SHARE ROW EXCLUSIVE MODE")
    op.create_table(
        "package_turns",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("virtual_time", sa.Float, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waits", sa.Boolean, nullable=False),
    )
    op.execute(
        "INSERT INTO package_turns"
        " SELECT package_id, owner_id, coalesce(virtual_time, 0), created_at, true FROM packages"
        " LEFT JOIN turns ON kind = 'package' AND name = package_id WHERE state = 'planned'"
    )
    op.execute("DELETE FROM turns WHERE kind = 'package'")
    waiting = sa.text("waits")
    op.create_index(
        "ix_package_turns_waiting",
        "package_turns",
        ["owner_id", "virtual_time", "since"],
        postgresql_where=waiting,
    )
    unopened = sa.text("state = 'planned' AND NOT playable")
    op.create_index("ix_packages_unopened", "packages", ["created_at"], postgresql_where=unopened)
