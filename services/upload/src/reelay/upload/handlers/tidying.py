"""Removes from the store what an ended upload does not need any more."""

from dataclasses import dataclass

import structlog

from reelay.common.storage.port import ObjectStore, StoreUnavailableError
from reelay.upload.domain.ports import Uploads
from reelay.upload.domain.upload import State, Upload

log = structlog.get_logger()


@dataclass(frozen=True)
class Tidying:
    """Removes tails, unused parts and second copies."""

    store: ObjectStore
    uploads: Uploads

    async def tidy(self, upload: Upload) -> None:
        """Remove what `upload` left, and note that. When the store fails, the sweep does it."""
        try:
            await self._remove_leftovers(upload)
        except StoreUnavailableError as error:
            log.warning("left for the sweep", upload_id=str(upload.id), error=repr(error))
            return
        await self.uploads.tidied(upload)

    async def _remove_leftovers(self, upload: Upload) -> None:
        async for tail in self.store.scan(upload.staging_prefix):
            await self.store.delete(tail.key)
        if upload.attempt is not None and upload.state is not State.COMPLETE:
            await self.store.abort_parts(upload.source_key, upload.attempt)
        if upload.kept_key != upload.source_key and not upload.is_partial:
            await self.store.delete(upload.source_key)
