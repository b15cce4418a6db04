"""The tables of the upload service."""

import sqlalchemy as sa

METADATA = sa.MetaData()
WHEN = sa.DateTime(timezone=True)

UPLOADS = sa.Table(
    "uploads",
    METADATA,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("owner_id", sa.Text, nullable=False),
    sa.Column("video_id", sa.Uuid),
    sa.Column("filename", sa.Text),
    sa.Column("metadata", sa.Text, nullable=False, server_default=""),
    sa.Column("kind", sa.Text, nullable=False, server_default="whole"),
    sa.Column("final_id", sa.Uuid),
    sa.Column("final_position", sa.Integer),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("offset_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("reserved_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("recognised", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("attempt", sa.Text),
    sa.Column("tail_key", sa.Text),
    sa.Column("kept_key", sa.Text),
    sa.Column("refusal", sa.Text),
    sa.Column("asset_id", sa.Text),
    sa.Column("origin_url", sa.Text),
    sa.Column("tidy", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", WHEN, nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", WHEN, nullable=False, server_default=sa.func.now()),
)
UPLOAD_PARTS = sa.Table(
    "upload_parts",
    METADATA,
    sa.Column(
        "upload_id", sa.Uuid, sa.ForeignKey(UPLOADS.c.id, ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("tag", sa.Text, nullable=False),
)
IMPORTS = sa.Table(
    "imports",
    METADATA,
    sa.Column(
        "upload_id", sa.Uuid, sa.ForeignKey(UPLOADS.c.id, ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("validator", sa.Text),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("trouble", sa.Text),
    sa.Column("problem", sa.Text),
    sa.Column("failure", sa.Text),
    sa.Column("free_at", WHEN, nullable=False),
    sa.Column("started_at", WHEN, nullable=False, server_default=sa.func.now()),
)
ASSETS = sa.Table(
    "assets",
    METADATA,
    sa.Column("asset_id", sa.Text, primary_key=True),
    sa.Column("source_key", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at", WHEN, nullable=False, server_default=sa.func.now()),
)
DRAFTS = sa.Table(
    "drafts",
    METADATA,
    sa.Column("video_id", sa.Uuid, primary_key=True),
    sa.Column("owner_id", sa.Text, nullable=False, server_default=""),
    sa.Column("deleted", sa.Boolean, nullable=False, server_default=sa.false()),
)
