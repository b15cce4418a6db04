"""Packages by their source, which a collection asks for with every rewritten one."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the index. Replicas of the version before may be at work, and wait meanwhile."""
    op.create_index("ix_packages_source_key", "packages", ["source_key"])
