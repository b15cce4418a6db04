"""Brings the bytes of one request into the store, so that none that was confirmed is lost."""

import asyncio
from uuid import uuid4

from reelay.common.storage.port import ObjectMissingError, ObjectStore
from reelay.upload.domain.errors import ExcessError, OffsetMismatchError
from reelay.upload.domain.parts import PartBuffer
from reelay.upload.domain.ports import Uploads
from reelay.upload.domain.sniff import HEAD_BYTES, recognise
from reelay.upload.domain.upload import Part, Upload
from reelay.upload.handlers.completion import Completion

HASH_BLOCK_BYTES = 256 * 1024
"""So much is hashed at once on a thread (0.7 ms); less at the end, on the event loop."""


class Reception:
    """One request's bytes on their way.

    At most one part is in memory. A full part is stored as such; what follows the last full part
    when the request ends is stored as an object of its own, which the next request takes back.
    The row says so only afterwards, so the offset a client sees is durable.
    """

    def __init__(
        self, upload: Upload, store: ObjectStore, uploads: Uploads, completion: Completion
    ) -> None:
        self.upload = upload
        self._store = store
        self._uploads = uploads
        self._completion = completion
        self._buffer = PartBuffer()
        self._part_start = upload.offset_bytes - upload.tail_bytes
        self._recognised = upload.recognised

    @property
    def position(self) -> int:
        """Number of bytes of the file that are here, durable or not."""
        return self._part_start + self._buffer.size_bytes

    async def take_back_tail(self) -> None:
        """Read what follows the last full part; raise OffsetMismatchError when it got lost."""
        key = self.upload.tail_key
        if key is None:
            return
        try:
            async for block in self._store.read(key):
                self._buffer.add(block)
        except ObjectMissingError as error:
            lost = self.upload.moved_to(self._part_start)
            await self._uploads.advance(self.upload, lost)
            raise OffsetMismatchError from error
        assert self.position == self.upload.offset_bytes
        await self._hash()

    async def take(self, block: bytes) -> None:
        """Receive bytes; durable when a part is full.

        Raises ExcessError beyond the announced length, and NotMediaError as soon as the first
        bytes tell so; nothing of the block is kept then.
        """
        if self.position + len(block) > self.upload.size_bytes:
            raise ExcessError
        while block:
            block = self._buffer.add(block)
            self._recognise()
            if self._buffer.pending_bytes >= HASH_BLOCK_BYTES:
                await self._hash()
            if self._buffer.full and self.position < self.upload.size_bytes:
                await self._store_part()

    async def keep(self) -> Upload:
        """Make all received bytes durable, and finish the upload when that were the last."""
        self._buffer.hash_pending()
        if self.position == self.upload.size_bytes:
            return await self._completion.complete(self._known(), self._buffer)
        if self.position > self.upload.offset_bytes:
            await self._store_tail()
        return self.upload

    def _recognise(self) -> None:
        whole = self.position == self.upload.size_bytes
        if not self._recognised and (whole or self._buffer.size_bytes >= HEAD_BYTES):
            recognise(self._buffer.head(HEAD_BYTES))
            self._recognised = True

    def _known(self) -> Upload:
        return self.upload.as_recognised() if self._recognised else self.upload

    async def _hash(self) -> None:
        await asyncio.to_thread(self._buffer.hash_pending)

    async def _store_part(self) -> None:
        await self._hash()
        upload, number = self.upload, self.upload.next_part
        attempt = upload.attempt or await self._store.begin_parts(upload.source_key)
        data = self._buffer.joined()
        tag = await self._store.put_part(upload.source_key, attempt, number, data)
        part = Part(number, self._buffer.digest(), tag)
        await self._move(self._known().moved_to(self.position, attempt=attempt), part)
        self._part_start = self.position
        self._buffer = PartBuffer()

    async def _store_tail(self) -> None:
        key = f"{self.upload.staging_prefix}{self.position}-{uuid4().hex}"
        await self._store.put(key, self._buffer.joined())
        await self._move(self._known().moved_to(self.position, tail_key=key))

    async def _move(self, after: Upload, part: Part | None = None) -> None:
        before = self.upload
        self.upload = await self._uploads.advance(before, after, part)
        if before.tail_key is not None:
            await self._store.delete(before.tail_key)
