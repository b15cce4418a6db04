"""Stores the parts of one request behind the bytes that still come in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage.port import ObjectStore
from reelay.upload.domain.parts import PartBuffer
from reelay.upload.domain.ports import Uploads
from reelay.upload.domain.upload import Part, Upload
from reelay.upload.handlers.memory import PartMemory


@dataclass(frozen=True)
class Means:
    """What every request's bytes are stored with."""

    store: ObjectStore
    uploads: Uploads
    memory: PartMemory


class PartQueue:
    """One part is stored while the next one comes in; a slow store makes its client wait.

    The row moves on only when a part is durable, and, unless `at_once`, when `note` is called.
    """

    def __init__(
        self, upload: Upload, means: Means, *, at_once: bool, on_failure: Callable[[], None]
    ) -> None:
        self.upload = upload
        """What is durably known."""
        self._means = means
        self._at_once = at_once
        self._on_failure = on_failure
        self._unnoted: list[Part] = []
        self._number = upload.next_part
        self._storing: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None

    async def add(self, buffer: PartBuffer) -> None:
        """Begin to store a full, digested part, as soon as the one before it is stored."""
        await self.settled()
        self._storing = asyncio.create_task(self._store(buffer))
        self._storing.add_done_callback(self._look)

    async def settled(self) -> None:
        """Wait until everything added is stored; raise what went wrong."""
        await _ended(self._storing)

    async def close(self) -> None:
        """Wait until nothing is being stored any more, whatever became of it."""
        if self._storing is not None:
            await asyncio.wait({self._storing})  # it begins to note at its end
        if self._noting is not None:
            await asyncio.wait({self._noting})

    async def note(self) -> None:
        """Let the row move on to what is stored."""
        await self.settled()
        await _ended(self._noting)
        await self._note()

    async def store_tail(self, buffer: PartBuffer, position: int) -> None:
        """Store what follows the last full part, up to `position`, as an object of its own."""
        await self._reserve(position)
        key = f"{self.upload.staging_prefix}{position}-{uuid4().hex}"
        async with self._means.memory.loaded(buffer) as data:
            await self._means.store.put(key, data)
        await self._move(self.upload.moved_to(position, tail_key=key))

    async def _store(self, buffer: PartBuffer) -> None:
        try:
            await self._reserve(self._number * PART_SIZE_BYTES)
            attempt = self.upload.attempt or await self._begin_attempt()
            async with self._means.memory.loaded(buffer) as data:
                key, store = self.upload.source_key, self._means.store
                digest = buffer.digest()
                tag = await store.put_part(key, attempt, self._number, data, digest)
            await _ended(self._noting)
            self._unnoted.append(Part(self._number, digest, tag))
            self._number += 1
        finally:
            self._means.memory.give_back(buffer)
        if self._at_once:
            self._noting = asyncio.create_task(self._note())  # while the next part is stored
            self._noting.add_done_callback(self._look)

    async def _note(self) -> None:
        if self._unnoted:
            parts, self._unnoted = self._unnoted, []
            await self._move(self.upload.moved_to(parts[-1].number * PART_SIZE_BYTES), *parts)

    async def _reserve(self, end_bytes: int) -> None:
        """What is stored counts at once, though it may never be noted as received."""
        if self.upload.size_bytes is None:
            await self._means.uploads.reserve(self.upload, end_bytes)

    async def _begin_attempt(self) -> str:
        """Begin to store in parts, and note that first: what a crash leaves can be removed then."""
        upload = self.upload
        attempt = await self._means.store.begin_parts(upload.source_key)
        begun = upload.moved_to(upload.offset_bytes, tail_key=upload.tail_key, attempt=attempt)
        self.upload = await self._means.uploads.advance(upload, begun)
        return attempt

    async def _move(self, after: Upload, *parts: Part) -> None:
        before = self.upload
        self.upload = await self._means.uploads.advance(before, after, *parts)
        if before.tail_key is not None:
            await self._means.store.delete(before.tail_key)

    def _look(self, task: asyncio.Task[None]) -> None:
        """Tell at once that storing failed: the client may be silent for long."""
        if not task.cancelled() and task.exception() is not None:
            self._on_failure()


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Wait for a task, if there is one; raise what went wrong in it."""
    if task is not None:
        await asyncio.shield(task)
