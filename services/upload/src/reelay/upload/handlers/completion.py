"""Makes one object of a whole upload, names it by its bytes, and announces it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest

from reelay.common import identity, storage
from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage.port import (
    Bytes,
    InvalidPartsError,
    ObjectMissingError,
    ObjectStore,
)
from reelay.upload.domain.parts import PartBuffer
from reelay.upload.domain.ports import Settle, Uploads
from reelay.upload.domain.sniff import HEAD_BYTES, recognise
from reelay.upload.domain.upload import Kind, Part, Upload
from reelay.upload.handlers.memory import PartMemory
from reelay.upload.handlers.tidying import Tidying


@dataclass(frozen=True)
class Completion:
    """The last step of an upload; each part of it may be repeated after a crash."""

    store: ObjectStore
    uploads: Uploads
    tidying: Tidying
    memory: PartMemory

    async def complete(self, upload: Upload, last: PartBuffer) -> Upload:
        """Store the last part of `upload`, if there is one, and finish it; return it as complete.

        A partial upload is returned as stored.
        """
        if not last.size_bytes:
            return await self.finish(upload)
        digest = last.digest()
        async with self.memory.loaded(last) as data:
            if upload.fits_in_one_part:
                result = await self.store.put(upload.source_key, data)
                settle = partial(self._replace_others, upload.source_key, data, digest)
                return await self._end(upload, [digest], None if result.created else settle)
            parts = await self.uploads.parts(upload.id)
            await self._join(upload, parts, data, digest)
        return await self._end(upload, [*(part.digest for part in parts), digest])

    async def finish(self, upload: Upload) -> Upload:
        """Join the stored parts of an upload whose bytes have all come; return it as complete.

        Raises AttemptMissingError or InvalidPartsError when its parts are not there any more, and
        NotMediaError when nobody has seen its first bytes before, and they are no video's.
        """
        parts = await self.uploads.parts(upload.id)
        tags, digests = [part.tag for part in parts], [part.digest for part in parts]
        attempt, signed = upload.attempt or "", upload.kind is Kind.PRESIGNED
        await self.store.complete_parts(
            upload.source_key, attempt, tags, digests=digests if signed else ()
        )
        if not (upload.recognised or upload.is_partial):
            recognise(await self._head(upload.source_key))
        return await self._end(upload, digests)

    async def _head(self, key: str) -> bytes:
        return b"".join([block async for block in self.store.read(key, 0, HEAD_BYTES)])

    async def _join(
        self, upload: Upload, parts: Sequence[Part], last: Bytes, digest: bytes
    ) -> None:
        """Make the object of the stored parts and the last one.

        Raises InvalidPartsError when a crashed request has made it with another end.
        """
        key, tags = upload.source_key, [part.tag for part in parts]
        result = await self.store.complete_parts(key, upload.attempt or "", tags, last)
        if result.created:
            return
        start = len(parts) * PART_SIZE_BYTES
        found = hashlib.sha256()
        async for block in self.store.read(key, start):
            found.update(block)
        if not compare_digest(found.digest(), digest):
            raise InvalidPartsError

    async def _end(
        self, upload: Upload, digests: list[bytes], settle: Settle | None = None
    ) -> Upload:
        if not upload.is_partial:
            return await self._announce(upload, digests, settle)
        done = await self.uploads.note_stored(upload, settle)
        if upload.tail_key is not None:
            await self.store.delete(upload.tail_key)
        return done

    async def _announce(
        self, upload: Upload, digests: list[bytes], settle: Settle | None
    ) -> Upload:
        async def still_stored(key: str) -> bool:
            try:
                return (await self.store.head(key)).size_bytes == upload.size_bytes
            except ObjectMissingError:
                return False

        asset_id = identity.asset_id(digests)
        done, joined = await self.uploads.finish(upload, asset_id, still_stored, settle)
        for ended in (done, *joined):
            await self.tidying.tidy(ended)
        return done

    async def _replace_others(self, key: str, data: Bytes, sha256: bytes) -> None:
        """Replace what a request that crashed, or lost its hold, left of a file of one part.

        That one cannot finish the upload any more, but may still be storing.
        """
        while not await self._holds(key, sha256):
            await self.store.delete(key)
            await self.store.put(key, data)

    async def _holds(self, key: str, sha256: bytes) -> bool:
        try:
            _, found = await storage.digest(self.store, key)
        except ObjectMissingError:
            return False
        return found == sha256.hex()
