"""The uploads in PostgreSQL, each change with its announcement."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.database import Database
from reelay.common.events import AssetUploaded, AssetUploadStarted, AssetUploadTerminated
from reelay.common.outbox import Outbox
from reelay.upload.adapters.tables import ASSETS, UPLOAD_PARTS, UPLOADS
from reelay.upload.domain.errors import OvertakenError, UploadMissingError
from reelay.upload.domain.upload import Part, State, Upload

BATCH = 100


class PostgresUploads:
    """Implements Uploads."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def find(self, upload_id: UUID) -> Upload:
        """See Uploads."""
        query = sa.select(UPLOADS).where(UPLOADS.c.id == upload_id)
        async with self._database.transaction() as session:
            row = (await session.execute(query)).first()
        if row is None:
            raise UploadMissingError
        return _upload(row)

    async def begin(self, upload: Upload) -> Upload:
        """See Uploads."""
        statement = sa.insert(UPLOADS).values(
            id=upload.id,
            owner_id=upload.owner_id,
            video_id=upload.video_id,
            filename=upload.filename,
            metadata=upload.metadata,
            size_bytes=upload.size_bytes,
            state=upload.state,
        )
        async with self._outbox.transaction() as transaction:
            done = await transaction.session.execute(statement.returning(UPLOADS.c.updated_at))
            await transaction.announce(
                AssetUploadStarted(
                    upload_id=upload.id,
                    video_id=upload.video_id,
                    filename=upload.filename,
                    size_bytes=upload.size_bytes,
                ),
                message_id=f"upload-started:{upload.id}",
            )
        return replace(upload, updated_at=done.scalar_one())

    async def advance(self, before: Upload, after: Upload, part: Part | None = None) -> Upload:
        """See Uploads."""
        change = (
            _as_it_stands(before)
            .values(
                offset_bytes=after.offset_bytes,
                tail_key=after.tail_key,
                attempt=after.attempt,
                recognised=after.recognised,
                updated_at=sa.func.now(),
            )
            .returning(UPLOADS.c.updated_at)
        )
        async with self._database.transaction() as session:
            row = (await session.execute(change)).first()
            if row is None:
                raise OvertakenError
            if part is not None:
                await session.execute(
                    sa.insert(UPLOAD_PARTS).values(
                        upload_id=after.id, number=part.number, digest=part.digest, tag=part.tag
                    )
                )
        return replace(after, updated_at=row.updated_at)

    async def parts(self, upload_id: UUID) -> list[Part]:
        """See Uploads."""
        columns = UPLOAD_PARTS.c
        query = sa.select(columns.number, columns.digest, columns.tag)
        query = query.where(columns.upload_id == upload_id).order_by(columns.number)
        async with self._database.transaction() as session:
            rows = (await session.execute(query)).all()
        return [Part(row.number, bytes(row.digest), row.tag) for row in rows]

    async def finish(
        self, upload: Upload, asset_id: str, still_stored: Callable[[str], Awaitable[bool]]
    ) -> str:
        """See Uploads."""
        async with self._outbox.transaction() as transaction:
            session = transaction.session
            kept_key = await _claim_asset(session, upload, asset_id, still_stored)
            change = _as_it_stands(upload).values(
                state=State.COMPLETE,
                offset_bytes=upload.size_bytes,
                tail_key=None,
                recognised=True,
                asset_id=asset_id,
                kept_key=kept_key,
                updated_at=sa.func.now(),
            )
            if (await session.execute(change.returning(UPLOADS.c.id))).first() is None:
                raise OvertakenError
            await transaction.announce(
                AssetUploaded(
                    upload_id=upload.id,
                    video_id=upload.video_id,
                    asset_id=asset_id,
                    source_key=kept_key,
                    size_bytes=upload.size_bytes,
                    filename=upload.filename,
                ),
                message_id=f"uploaded:{upload.id}",
            )
        return kept_key

    async def end(self, upload: Upload, state: State, refusal: str | None = None) -> bool:
        """See Uploads."""
        change = sa.update(UPLOADS).where(
            UPLOADS.c.id == upload.id, UPLOADS.c.state == State.RECEIVING
        )
        change = change.values(state=state, refusal=refusal, updated_at=sa.func.now())
        async with self._outbox.transaction() as transaction:
            done = await transaction.session.execute(change.returning(UPLOADS.c.id))
            if done.first() is None:
                return False
            await transaction.announce(
                AssetUploadTerminated(
                    upload_id=upload.id, video_id=upload.video_id, reason=refusal
                ),
                message_id=f"upload-terminated:{upload.id}",
            )
        return True

    async def tidied(self, upload: Upload) -> None:
        """See Uploads."""
        async with self._database.transaction() as session:
            await session.execute(
                sa.update(UPLOADS).where(UPLOADS.c.id == upload.id).values(tidy=True)
            )

    def unfinished_business(self) -> AsyncIterator[Upload]:
        """See Uploads."""
        columns = UPLOADS.c
        whole = columns.offset_bytes == columns.size_bytes
        receiving = columns.state == State.RECEIVING
        untidy = ~columns.tidy
        return self._each(untidy & (~receiving | (receiving & whole)))

    def stale(self, before: datetime) -> AsyncIterator[Upload]:
        """See Uploads."""
        columns = UPLOADS.c
        return self._each((columns.state == State.RECEIVING) & (columns.updated_at < before))

    async def forget_ended(self, before: datetime) -> int:
        """See Uploads."""
        columns = UPLOADS.c
        old = sa.delete(UPLOADS).where(
            columns.state.in_([State.REFUSED, State.TERMINATED]),
            columns.tidy,
            columns.updated_at < before,
        )
        async with self._database.transaction() as session:
            return len((await session.execute(old.returning(columns.id))).all())

    async def _each(self, condition: sa.ColumnElement[bool]) -> AsyncIterator[Upload]:
        """Yield what fulfils a condition, in order of the ids, without a long transaction."""
        last: UUID | None = None
        while True:
            query = sa.select(UPLOADS).where(condition).order_by(UPLOADS.c.id).limit(BATCH)
            if last is not None:
                query = query.where(UPLOADS.c.id > last)
            async with self._database.transaction() as session:
                rows = (await session.execute(query)).all()
            for row in rows:
                yield _upload(row)
            if len(rows) < BATCH:
                return
            last = rows[-1].id


def _as_it_stands(upload: Upload) -> sa.Update:
    """Change an upload only when nobody else has: a request may have lost its hold unawares."""
    return sa.update(UPLOADS).where(
        UPLOADS.c.id == upload.id,
        UPLOADS.c.state == State.RECEIVING,
        UPLOADS.c.offset_bytes == upload.offset_bytes,
        UPLOADS.c.tail_key.is_not_distinct_from(upload.tail_key),
    )


async def _claim_asset(
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


def _upload(row: Any) -> Upload:
    return Upload(
        id=row.id,
        owner_id=row.owner_id,
        size_bytes=row.size_bytes,
        video_id=row.video_id,
        filename=row.filename,
        metadata=row.metadata,
        offset_bytes=row.offset_bytes,
        state=State(row.state),
        recognised=row.recognised,
        attempt=row.attempt,
        tail_key=row.tail_key,
        kept_key=row.kept_key,
        refusal=row.refusal,
        updated_at=row.updated_at,
    )
