"""Rows of the table of uploads, and what the domain makes of them."""

from typing import Any

import sqlalchemy as sa

from reelay.upload.adapters.tables import UPLOADS
from reelay.upload.domain.upload import Kind, State, Upload


def upload_of(row: Any) -> Upload:
    """Return what a row says."""
    return Upload(
        id=row.id,
        owner_id=row.owner_id,
        size_bytes=row.size_bytes,
        kind=Kind(row.kind),
        final_id=row.final_id,
        video_id=row.video_id,
        filename=row.filename,
        metadata=row.metadata,
        offset_bytes=row.offset_bytes,
        state=State(row.state),
        recognised=row.recognised,
        attempt=row.attempt,
        tail_key=row.tail_key,
        kept_key=row.kept_key,
        asset_id=row.asset_id,
        refusal=row.refusal,
        origin_url=row.origin_url,
        updated_at=row.updated_at,
    )


def new_row(upload: Upload) -> sa.Insert:
    """Return the statement that notes a new upload."""
    return sa.insert(UPLOADS).values(
        id=upload.id,
        owner_id=upload.owner_id,
        kind=upload.kind,
        video_id=upload.video_id,
        filename=upload.filename,
        metadata=upload.metadata,
        origin_url=upload.origin_url,
        size_bytes=upload.size_bytes,
        state=upload.state,
    )


def as_it_stands(upload: Upload) -> sa.Update:
    """Change an upload only when nobody else has: a request may have lost its hold unawares."""
    return sa.update(UPLOADS).where(
        UPLOADS.c.id == upload.id,
        UPLOADS.c.state == State.RECEIVING,
        UPLOADS.c.offset_bytes == upload.offset_bytes,
        UPLOADS.c.tail_key.is_not_distinct_from(upload.tail_key),
    )
