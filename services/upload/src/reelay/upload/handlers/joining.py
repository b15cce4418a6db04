"""Joins partial uploads to the final one: their bytes are its body."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from reelay.common.errors import TransientError
from reelay.common.storage.port import ObjectMissingError, ObjectStore, StoreFullError
from reelay.common.tasks import end
from reelay.upload.domain.errors import UploadLockedError
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.ports import Holding, Uploads
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.receiving import Receiving

ANSWER_WITHIN_S = 20.0
"""The client is answered after this time even if joining goes on: tus allows it, and proxies
commonly end requests that are silent for a minute."""
STORE_SILENCE_S = 60.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Joining:
    """Every replica joins what it was asked to; after a crash, whoever sweeps or is asked next."""

    store: ObjectStore
    uploads: Uploads
    holding: Holding
    receiving: Receiving
    _running: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)

    async def join(self, final_id: UUID) -> Upload:
        """Join a final upload's pieces; return it complete, or as far as it is after a while.

        Raises NotMediaError when they are no video or audio file, StoreFullError.
        """
        task = self.start(final_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await asyncio.shield(task)
        return await self.uploads.find(final_id)

    def start(self, final_id: UUID) -> asyncio.Task[None]:
        """Join in the background, unless this process does so already."""
        task = self._running.get(final_id)
        if task is None:
            task = self._running[final_id] = asyncio.create_task(self._join(final_id))
            task.add_done_callback(lambda done: self._forget(final_id, done))
        return task

    async def close(self) -> None:
        """Stop; what is stored so far is where it goes on."""
        await end(*self._running.values())

    async def _join(self, final_id: UUID) -> None:
        """Try until it is done, withdrawn, or somebody else does it."""
        pause_s = FIRST_RETRY_S
        while True:
            try:
                async with self.holding.hold(final_id) as hold:
                    upload = await self._take_pieces(final_id, hold)
                    if hold.asked_to_let_go or upload.state is not State.RECEIVING:
                        return
            except UploadLockedError:
                return
            except StoreFullError:
                raise
            except TransientError as error:
                log.warning("joining waits", upload_id=str(final_id), error=repr(error)[:300])
            await asyncio.sleep(pause_s)
            pause_s = min(LAST_RETRY_S, 2 * pause_s)

    async def _take_pieces(self, final_id: UUID, hold: Hold) -> Upload:
        upload = await self.uploads.find(final_id)
        if upload.waits_to_be_finished:
            return await self.receiving.finish(upload)
        if not upload.waits_to_be_joined:
            return upload
        pieces = Pieces(self.store, await self.uploads.partials(final_id), upload.offset_bytes)
        try:
            return await self.receiving.receive(upload, pieces, hold)
        except ObjectMissingError:
            log.error("a partial upload is lost", upload_id=str(final_id))
            await self.receiving.end(upload, State.TERMINATED)
            return await self.uploads.find(final_id)

    def _forget(self, final_id: UUID, task: asyncio.Task[None]) -> None:
        del self._running[final_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("not joined", upload_id=str(final_id), error=repr(error)[:300])


class Pieces:
    """The bytes of partial uploads, one after the other, from an offset on."""

    def __init__(self, store: ObjectStore, partials: Sequence[Upload], offset: int) -> None:
        self._store = store
        self._partials = partials
        self._offset = offset
        self.announced_bytes: int | None = None
        self.all_came = False

    async def blocks(self, hold: Hold) -> AsyncIterator[bytes]:
        """See Body."""
        skipped = self._offset
        for partial in self._partials:
            start = min(skipped, partial.offset_bytes)
            skipped -= start
            if start == partial.offset_bytes:
                continue
            blocks = self._store.read(partial.source_key, start)
            while (block := await _next(blocks, hold)) is not None:
                if not block:
                    return
                yield block
        self.all_came = True


async def _next(blocks: AsyncIterator[bytes], hold: Hold) -> bytes | None:
    """Return the next block, None at the end, or b"" when the hold is wanted."""
    try:
        async with hold.waiting_for_client(STORE_SILENCE_S):
            return await anext(blocks, None)
    except TimeoutError:
        return b""
