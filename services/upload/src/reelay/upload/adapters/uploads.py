"""The uploads in PostgreSQL, each change with its announcement."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from reelay.common.database import Database
from reelay.common.events import AssetUploaded, AssetUploadStarted, AssetUploadTerminated
from reelay.common.outbox import Outbox, Transaction
from reelay.upload.adapters.assets import claim_asset
from reelay.upload.adapters.joins import bind, bound, end_bound
from reelay.upload.adapters.rows import as_it_stands, new_row, upload_of
from reelay.upload.adapters.tables import UPLOAD_PARTS, UPLOADS
from reelay.upload.adapters.usage import check_growth, check_usage
from reelay.upload.domain.errors import OvertakenError, UploadMissingError
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.ports import Settle
from reelay.upload.domain.upload import Kind, Part, State, Upload

BATCH = 100
UNFINISHED = (State.RECEIVING, State.STORED)


class PostgresUploads:
    """Implements Uploads."""

    def __init__(self, database: Database, outbox: Outbox, limits: Limits) -> None:
        self._database = database
        self._outbox = outbox
        self._limits = limits

    async def find(self, upload_id: UUID) -> Upload:
        """See Uploads."""
        query = sa.select(UPLOADS).where(UPLOADS.c.id == upload_id)
        async with self._database.transaction() as session:
            row = (await session.execute(query)).first()
        if row is None:
            raise UploadMissingError
        return upload_of(row)

    async def begin(self, upload: Upload) -> Upload:
        """See Uploads."""
        async with self._outbox.transaction() as transaction:
            session, more = transaction.session, upload.size_bytes or 0
            await check_usage(session, self._limits, upload.owner_id, more, begins=True)
            done = await session.execute(new_row(upload).returning(UPLOADS.c.updated_at))
            if not upload.is_partial:
                await _announce_start(transaction, upload)
        return replace(upload, updated_at=done.scalar_one())

    async def begin_final(self, upload: Upload, partial_ids: Sequence[UUID]) -> Upload:
        """See Uploads."""
        async with self._outbox.transaction() as transaction:
            bound_to, new = await bind(transaction.session, self._limits, upload, partial_ids)
            if new:
                await _announce_start(transaction, bound_to)
        return bound_to

    async def partials(self, final_id: UUID) -> list[Upload]:
        """See Uploads."""
        async with self._database.transaction() as session:
            return await bound(session, final_id)

    async def reserve(self, upload: Upload, end_bytes: int) -> None:
        """See Uploads."""
        reserved = UPLOADS.c.reserved_bytes
        change = sa.update(UPLOADS).where(UPLOADS.c.id == upload.id, reserved < end_bytes)
        async with self._database.transaction() as session:
            await check_growth(session, self._limits, upload, end_bytes)
            await session.execute(change.values(reserved_bytes=end_bytes))

    async def advance(self, before: Upload, after: Upload, *parts: Part) -> Upload:
        """See Uploads."""
        change = (
            as_it_stands(before)
            .values(
                size_bytes=after.size_bytes,
                offset_bytes=after.offset_bytes,
                tail_key=after.tail_key,
                attempt=after.attempt,
                recognised=after.recognised,
                updated_at=sa.func.now(),
            )
            .returning(UPLOADS.c.updated_at)
        )
        async with self._database.transaction() as session:
            if before.size_bytes is None:
                size_bytes = after.size_bytes or after.offset_bytes
                await check_growth(session, self._limits, before, size_bytes)
            row = (await session.execute(change)).first()
            if row is None:
                raise OvertakenError
            if parts:
                await session.execute(
                    sa.insert(UPLOAD_PARTS),
                    [{"upload_id": after.id, **asdict(part)} for part in parts],
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
        self,
        upload: Upload,
        asset_id: str,
        still_stored: Callable[[str], Awaitable[bool]],
        settle: Settle | None = None,
    ) -> tuple[Upload, list[Upload]]:
        """See Uploads."""
        assert upload.size_bytes is not None
        async with self._outbox.transaction() as transaction:
            session = transaction.session
            kept_key = await claim_asset(session, upload, asset_id, still_stored)
            change = as_it_stands(upload).values(
                state=State.COMPLETE,
                offset_bytes=upload.size_bytes,
                tail_key=None,
                recognised=True,
                asset_id=asset_id,
                kept_key=kept_key,
                updated_at=sa.func.now(),
            )
            done = (await session.execute(change.returning(UPLOADS))).first()
            if done is None:
                raise OvertakenError
            if settle is not None:
                await settle()
            joined = await end_bound(session, upload, State.JOINED)
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
        return upload_of(done), joined

    async def note_stored(self, upload: Upload, settle: Settle | None = None) -> Upload:
        """See Uploads."""
        change = as_it_stands(upload).values(
            state=State.STORED,
            offset_bytes=upload.size_bytes,
            tail_key=None,
            updated_at=sa.func.now(),
        )
        async with self._database.transaction() as session:
            row = (await session.execute(change.returning(UPLOADS))).first()
            if row is None:
                raise OvertakenError
            if settle is not None:
                await settle()
        return upload_of(row)

    async def end(self, upload: Upload, state: State, refusal: str | None = None) -> list[Upload]:
        """See Uploads."""
        change = sa.update(UPLOADS).where(
            UPLOADS.c.id == upload.id,
            UPLOADS.c.state.in_(UNFINISHED),
            UPLOADS.c.final_id.is_(None),
        )
        change = change.values(state=state, refusal=refusal, updated_at=sa.func.now())
        async with self._outbox.transaction() as transaction:
            session = transaction.session
            ended = (await session.execute(change.returning(UPLOADS))).first()
            if ended is None:
                return []
            bound_to_it = await end_bound(session, upload, State.TERMINATED)
            if not upload.is_partial:
                await transaction.announce(
                    AssetUploadTerminated(
                        upload_id=upload.id, video_id=upload.video_id, reason=refusal
                    ),
                    message_id=f"upload-terminated:{upload.id}",
                )
        return [upload_of(ended), *bound_to_it]

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
        left = receiving & (whole | (columns.kind == Kind.FINAL))
        ended = columns.state.not_in(UNFINISHED)
        return self._each(~columns.tidy & (ended | left))

    def stale(self, before: datetime) -> AsyncIterator[Upload]:
        """See Uploads."""
        columns = UPLOADS.c
        open_ = columns.state.in_(UNFINISHED) & columns.final_id.is_(None)
        return self._each(open_ & (columns.updated_at < before))

    async def attempts_in_use(self) -> set[str]:
        """See Uploads."""
        attempt = UPLOADS.c.attempt
        query = sa.select(attempt).where(attempt.is_not(None), UPLOADS.c.state.in_(UNFINISHED))
        async with self._database.transaction() as session:
            return set((await session.execute(query)).scalars())

    async def forget_ended(self, before: datetime) -> int:
        """See Uploads."""
        columns = UPLOADS.c
        old = sa.delete(UPLOADS).where(
            columns.state.in_([State.REFUSED, State.TERMINATED, State.JOINED]),
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
                yield upload_of(row)
            if len(rows) < BATCH:
                return
            last = rows[-1].id


async def _announce_start(transaction: Transaction, upload: Upload) -> None:
    await transaction.announce(
        AssetUploadStarted(
            upload_id=upload.id,
            video_id=upload.video_id,
            filename=upload.filename,
            size_bytes=upload.size_bytes,
        ),
        message_id=f"upload-started:{upload.id}",
    )
