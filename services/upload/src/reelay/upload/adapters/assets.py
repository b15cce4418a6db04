"""Which object holds the bytes of an asset, however often they came."""

from collections.abc import Awaitable, Callable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.upload.adapters.tables import ASSETS
from reelay.upload.domain.upload import Upload


async def claim_asset(
    session: AsyncSession,
    upload: Upload,
    asset_id: str,
    still_stored: Callable[[str], Awaitable[bool]],
) -> str:
    """Return the object of an asset: the first upload's, unless it is gone."""
    ours = insert(ASSETS).values(
        asset_id=asset_id, source_key=upload.source_key, size_bytes=upload.size_bytes
    )
    ours = ours.on_conflict_do_nothing()
    if (await session.execute(ours.returning(ASSETS.c.asset_id))).first() is not None:
        return upload.source_key
    same = ASSETS.c.asset_id == asset_id
    query = sa.select(ASSETS.c.source_key).where(same).with_for_update()
    first: str = (await session.execute(query)).scalar_one()
    if await still_stored(first):
        return first
    await session.execute(sa.update(ASSETS).where(same).values(source_key=upload.source_key))
    return upload.source_key
