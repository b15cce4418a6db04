"""The parts of presigned uploads in PostgreSQL: announced, then found to be stored."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reelay.common.database import Database
from reelay.upload.adapters.rows import as_it_stands, upload_of
from reelay.upload.adapters.tables import UPLOAD_PARTS, UPLOADS
from reelay.upload.domain.errors import OtherDigestError, OvertakenError
from reelay.upload.domain.presigned import Announcement
from reelay.upload.domain.upload import Part, Upload

NOT_STORED = ""
"""The tag of a part of which nobody has looked whether it is stored."""


class PostgresAnnouncements:
    """Implements Announcements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, upload: Upload, announced: Sequence[Announcement]) -> None:
        """See Announcements."""
        if not announced:
            return
        parts = UPLOAD_PARTS.c
        rows = [
            {
                "upload_id": upload.id,
                "number": part.number,
                "digest": part.sha256,
                "tag": NOT_STORED,
            }
            for part in announced
        ]
        noted = sa.select(parts.number, parts.digest).where(
            parts.upload_id == upload.id, parts.number.in_([part.number for part in announced])
        )
        seen = as_it_stands(upload).values(updated_at=sa.func.now()).returning(UPLOADS.c.id)
        async with self._database.transaction() as session:
            if (await session.execute(seen)).first() is None:
                raise OvertakenError
            await session.execute(insert(UPLOAD_PARTS).on_conflict_do_nothing(), rows)
            digests = {row.number: bytes(row.digest) for row in await session.execute(noted)}
            for part in announced:
                if digests[part.number] != part.sha256:
                    raise OtherDigestError(f"Part {part.number} was announced otherwise before.")

    async def confirm(self, upload: Upload, parts: Sequence[Part]) -> Upload:
        """See Announcements."""
        whole = as_it_stands(upload).values(
            offset_bytes=UPLOADS.c.size_bytes, updated_at=sa.func.now()
        )
        table = UPLOAD_PARTS.c
        tagged = sa.update(UPLOAD_PARTS).where(
            table.upload_id == upload.id, table.number == sa.bindparam("of")
        )
        async with self._database.transaction() as session:
            row = (await session.execute(whole.returning(UPLOADS))).first()
            if row is None:
                raise OvertakenError
            connection = await session.connection()
            await connection.execute(
                tagged.values(tag=sa.bindparam("tagged")),
                [{"of": part.number, "tagged": part.tag} for part in parts],
            )
        return upload_of(row)
