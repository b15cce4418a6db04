"""Brings the bytes of one request into the store, so that none that was confirmed is lost."""

import asyncio
from collections.abc import Callable

from reelay.common.storage.port import Bytes, ObjectMissingError
from reelay.upload.domain.checksum import Checksum
from reelay.upload.domain.errors import (
    ExcessError,
    NotMediaError,
    OffsetMismatchError,
)
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.parts import PartBuffer
from reelay.upload.domain.sniff import HEAD_BYTES, recognise
from reelay.upload.domain.upload import Upload
from reelay.upload.handlers.completion import Completion
from reelay.upload.handlers.part_queue import Means, PartQueue

STEP_BYTES = 256 * 1024
"""So much is hashed at once on a thread, while more comes in."""


class Reception:
    """One request's bytes on their way.

    A full part is stored as such while the next one comes in; what follows the last full part when
    the request ends is stored as an object of its own, which the next request takes back. The row
    says so only afterwards, so the offset a client sees is durable. With a checksum nothing is
    noted before it was checked.
    """

    def __init__(
        self,
        upload: Upload,
        means: Means,
        limits: Limits,
        checksum: Checksum | None = None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._means = means
        self._limits = limits
        self._checksum = checksum
        self._queue = PartQueue(upload, means, at_once=checksum is None, on_failure=on_failure)
        self._buffer = means.memory.lend()
        self._part_start = upload.offset_bytes - upload.tail_bytes
        self._head: bytearray | None = None
        if not (upload.recognised or upload.is_partial):
            self._head = bytearray()
        self._refusal: NotMediaError | None = None
        self._hashing: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def upload(self) -> Upload:
        """What is durably known."""
        return self._queue.upload

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
            async for block in self._means.store.read(key):
                self._see(block)
                self._buffer.add(block)
                await self._digest_step(None)
        except ObjectMissingError as error:
            lost = self.upload.moved_to(self._part_start)
            await self._means.uploads.advance(self.upload, lost)
            raise OffsetMismatchError from error
        assert self.position == self.upload.offset_bytes
        await self._digest_all(None)

    async def take(self, block: bytes) -> None:
        """Receive bytes; durable when a part is full and stored.

        Raises ExcessError beyond the announced length, TooLargeError beyond what any file may have,
        and NotMediaError as soon as the first bytes tell so; nothing of the block is kept then.
        """
        self._check_room(len(block))
        self._see(block)
        while block:
            if self._buffer.full:
                await self._queue_part()
            block = self._buffer.add(block)
            await self._digest_step(self._checksum)

    async def keep(self, completion: Completion, *, all_came: bool = True) -> Upload:
        """Make all received bytes durable, and finish the upload when that were the last.

        With a checksum, raises ChecksumMismatchError when they are not the right ones, and keeps
        none unless all came.
        """
        await self._digest_all(self._checksum)
        await self._queue.settled()
        if self._checksum is not None:
            if not all_came:
                return self.upload
            self._checksum.check()
        self._see(b"")
        if self._refusal is not None:
            raise self._refusal
        await self._queue.note()
        if self.position == self.upload.size_bytes:
            return await completion.complete(self.upload, self._buffer)
        if self._buffer.full:
            await self._queue_part()
            await self._queue.note()
        elif self.position > self.upload.offset_bytes:
            await self._queue.store_tail(self._buffer, self.position)
        return self.upload

    async def close(self) -> None:
        """Return when nothing of this request is being written any more; give its memory back."""
        if self._closed:
            return
        self._closed = True
        if self._hashing is not None:
            await asyncio.wait({self._hashing})
        await self._queue.close()
        self._means.memory.give_back(self._buffer)

    def _check_room(self, more_bytes: int) -> None:
        size_bytes, end = self.upload.size_bytes, self.position + more_bytes
        if size_bytes is None:
            self._limits.check_size(end)
        elif end > size_bytes:
            raise ExcessError

    def _see(self, block: bytes) -> None:
        """Look at the first bytes of the file, as soon as there are enough to tell what it is."""
        if self._head is None:
            return
        self._head += block[: HEAD_BYTES - len(self._head)]
        ends = self.position + len(block) == self.upload.size_bytes
        if len(self._head) < HEAD_BYTES and not ends:
            return
        head, self._head = bytes(self._head), None
        try:
            recognise(head)
        except NotMediaError as refusal:
            if self._checksum is None:
                raise
            self._refusal = refusal  # unless the bytes were damaged on their way
        else:
            self._queue.upload = self.upload.as_recognised()

    async def _queue_part(self) -> None:
        await self._digest_all(self._checksum)
        await self._queue.settled()
        start, full = self.position, self._buffer
        self._buffer = self._means.memory.lend()
        self._part_start = start
        await self._queue.add(full)

    async def _digest_step(self, checksum: Checksum | None) -> None:
        if self._buffer.memory is None:
            # Senders are many then: each holds one block, and takes none in meanwhile.
            await self._digest_all(checksum)
        elif self._buffer.pending_bytes >= STEP_BYTES:
            await self._digested()
            self._begin_digesting(checksum)

    async def _digest_all(self, checksum: Checksum | None) -> None:
        await self._digested()
        if self._buffer.pending_bytes:
            self._begin_digesting(checksum)
            await self._digested()

    def _begin_digesting(self, checksum: Checksum | None) -> None:
        """Hash on a thread; what comes meanwhile is hashed next."""
        buffer, blocks = self._buffer, self._buffer.cut_pending()
        loop = asyncio.get_running_loop()
        self._hashing = loop.run_in_executor(None, _digest, buffer, blocks, checksum)

    async def _digested(self) -> None:
        if self._hashing is not None:
            await asyncio.shield(self._hashing)
            self._hashing = None


def _digest(buffer: PartBuffer, blocks: list[Bytes], checksum: Checksum | None) -> None:
    buffer.digest_blocks(blocks)
    if checksum is not None:
        for block in blocks:
            checksum.update(block)
