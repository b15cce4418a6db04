"""Finishes what crashes left, and removes uploads that nobody goes on with."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from reelay.common.errors import PermanentError, ReelayError
from reelay.common.storage.port import ObjectStore
from reelay.upload.domain.errors import NotMediaError, UploadLockedError
from reelay.upload.domain.ports import Holding, Uploads
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.uploading import Uploading

STORE_MARGIN_S = 86400.0
"""What no upload refers to is left in the store for a day longer than a silent upload lives."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Sweeping:
    """Runs at start-up and then from time to time; any replica may."""

    store: ObjectStore
    uploads: Uploads
    holding: Holding
    uploading: Uploading
    expires_after_s: float
    interval_s: float

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.sweep()
            except (ReelayError, OSError) as error:
                log.warning("sweep waits", error=repr(error)[:300])
            await asyncio.sleep(self.interval_s)

    async def sweep(self) -> None:
        """Do all that is due now."""
        async for upload in self.uploads.unfinished_business():
            await self._settle(upload)
        before = datetime.now(UTC) - timedelta(seconds=self.expires_after_s)
        async for upload in self.uploads.stale(before):
            await self._expire(upload, before)
        await self.uploads.forget_ended(before)
        # An upload may be received for longer than that, and S3 knows only when it began. One
        # whose row comes after this look is too young to be swept.
        in_use = await self.uploads.attempts_in_use()
        await self.store.sweep(self.expires_after_s + STORE_MARGIN_S, in_use)

    async def _settle(self, upload: Upload) -> None:
        if upload.waits_to_be_joined:
            self.uploading.joining.start(upload.id)  # it may take minutes
            return
        try:
            async with self.holding.hold(upload.id):
                if upload.state is State.RECEIVING:
                    await self.uploading.finish_left(upload.id)
                else:
                    await self.uploading.receiving.tidying.tidy(upload)
        except (UploadLockedError, NotMediaError):
            return
        except PermanentError as error:  # of this one; it ended, or is left for the next sweep
            log.warning("not finished", upload_id=str(upload.id), error=repr(error)[:300])
            return
        log.info("finished what was left", upload_id=str(upload.id), state=upload.state)

    async def _expire(self, upload: Upload, before: datetime) -> None:
        try:
            async with self.holding.hold(upload.id):
                now = await self.uploads.find(upload.id)
                if now.updated_at is not None and now.updated_at < before:
                    await self.uploading.receiving.end(now, State.TERMINATED)
        except UploadLockedError:
            return
        log.info("expired", upload_id=str(upload.id))
