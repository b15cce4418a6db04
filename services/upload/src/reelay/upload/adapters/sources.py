"""Which source objects are needed, by the rows of uploads and the deletions of videos."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.database import Database
from reelay.upload.adapters.tables import ASSETS, DRAFTS, UPLOADS

PREFIX = "sources/"


@dataclass(frozen=True)
class Asset:
    """What the object under a key was found to be when it was uploaded."""

    asset_id: str
    source_key: str
    size_bytes: int


class PostgresSources:
    """Answers by the tables of uploads, assets and drafts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_needed(self, key: str) -> bool:
        """Tell whether an object must stay.

        It must while an upload that is whole refers to it whose video is not deleted, or that
        belongs to no video yet; and while the upload that stores it is under way or not forgotten.
        """
        async with self._database.transaction() as session:
            return await _is_needed(session, key)

    @asynccontextmanager
    async def deciding(self, key: str) -> AsyncIterator[bool]:
        """Tell it as `is_needed` does, and let no upload refer to the object during the block."""
        async with self._database.transaction() as session:
            mine = sa.select(ASSETS.c.asset_id).where(ASSETS.c.source_key == key)
            await session.execute(mine.with_for_update())
            yield await _is_needed(session, key)

    async def assets(self, names: Sequence[str]) -> list[Asset]:
        """Return the assets (of those named) whose sources are needed, in order of their ids."""
        query = sa.select(ASSETS).order_by(ASSETS.c.asset_id)
        if names:
            query = query.where(ASSETS.c.asset_id.in_(names))
        async with self._database.transaction() as session:
            rows = (await session.execute(query)).all()
            return [
                Asset(row.asset_id, row.source_key, row.size_bytes)
                for row in rows
                if await _is_needed(session, row.source_key)
            ]


async def _is_needed(session: AsyncSession, key: str) -> bool:
    deleted = sa.select(DRAFTS.c.deleted).where(DRAFTS.c.video_id == UPLOADS.c.video_id)
    gone = sa.func.coalesce(deleted.scalar_subquery(), sa.false())
    query = sa.select(gone).where(UPLOADS.c.kept_key == key)
    users = (await session.execute(query)).scalars().all()
    if users:
        return not all(users)
    try:
        upload_id = UUID(key.removeprefix(PREFIX))
    except ValueError:
        return False
    own = sa.select(UPLOADS.c.id).where(UPLOADS.c.id == upload_id)
    return (await session.execute(own)).first() is not None
