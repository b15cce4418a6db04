"""The drafts in PostgreSQL."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reelay.common.database import Database
from reelay.upload.adapters.tables import DRAFTS
from reelay.upload.domain.ports import Draft


class PostgresDrafts:
    """Implements Drafts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, video_id: UUID) -> Draft | None:
        """See Drafts."""
        query = sa.select(DRAFTS).where(DRAFTS.c.video_id == video_id)
        async with self._database.transaction() as session:
            row = (await session.execute(query)).first()
        return None if row is None else Draft(row.video_id, row.owner_id, row.deleted)

    async def know(self, video_id: UUID, owner_id: str) -> None:
        """See Drafts."""
        statement = insert(DRAFTS).values(video_id=video_id, owner_id=owner_id)
        async with self._database.transaction() as session:
            await session.execute(statement.on_conflict_do_nothing())

    async def forget(self, video_id: UUID) -> None:
        """See Drafts."""
        statement = insert(DRAFTS).values(video_id=video_id, deleted=True)
        async with self._database.transaction() as session:
            await session.execute(
                statement.on_conflict_do_update(
                    index_elements=[DRAFTS.c.video_id], set_={"deleted": True}
                )
            )
