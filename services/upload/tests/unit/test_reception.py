"""However slow the store and however many the clients, memory stays bounded."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from reelay.common.errors import OutageError
from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage.port import Bytes, StoreFullError
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.upload import Part, Upload
from reelay.upload.handlers.memory import CROWD_PARTS, PartMemory
from reelay.upload.handlers.part_queue import Means
from reelay.upload.handlers.reception import Reception

from .spools import InMemorySpool

BLOCK = b"\x00\x00\x00\x20ftypmp42" + bytes(1024 * 1024 - 12)
BLOCKS_OF_PART = PART_SIZE_BYTES // len(BLOCK)


class GatedStore:
    """Stores a part only when it is let; may be full."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.full = False
        self.stored: list[int] = []
        self.news: asyncio.Queue[int] = asyncio.Queue()

    async def begin_parts(self, key: str, *, signed: bool = False) -> str:
        return "attempt"

    async def put_part(
        self, key: str, attempt: str, number: int, data: Bytes, sha256: bytes | None = None
    ) -> str:
        await self.gate.wait()
        if self.full:
            raise StoreFullError
        assert len(data) == PART_SIZE_BYTES
        assert hashlib.sha256(data).digest() == sha256
        self.stored.append(number)
        self.news.put_nowait(number)
        return f"tag {number}"


class InMemoryUploads:
    """Notes what is durable, when it is let."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def reserve(self, upload: Upload, end_bytes: int) -> None:
        raise AssertionError("its length is known")

    async def advance(self, before: Upload, after: Upload, *parts: Part) -> Upload:
        if parts:
            await self.gate.wait()
        if self.broken:
            raise OutageError
        return after


class Sender:
    """Sends blocks without end, and counts those that were taken."""

    def __init__(self, store: GatedStore, memory: PartMemory, hold: Hold) -> None:
        upload = Upload(uuid4(), "ada", 100 * PART_SIZE_BYTES)
        self.uploads = InMemoryUploads()
        means = Means(store, self.uploads, memory)  # type: ignore[arg-type]  # what it needs
        self.reception = Reception(upload, means, Limits(), on_failure=hold.let_go)
        self.taken = 0

    async def send(self, blocks: int) -> None:
        for _ in range(blocks):
            await self.reception.take(BLOCK)
            self.taken += 1


async def test_slow_store_makes_its_client_wait_with_two_parts_at_most() -> None:
    store, memory = GatedStore(), PartMemory(InMemorySpool)
    sender = Sender(store, memory, Hold())
    sending = asyncio.create_task(sender.send(4 * BLOCKS_OF_PART))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await asyncio.shield(sending)
    assert sender.taken == 2 * BLOCKS_OF_PART, "one part is being stored, one is full"
    store.gate.set()
    await sending
    assert sender.taken == 4 * BLOCKS_OF_PART
    await sender.reception.close()
    assert store.stored == [1, 2, 3]
    assert sender.reception.upload.offset_bytes == 3 * PART_SIZE_BYTES


async def test_parts_beyond_the_lent_memory_are_spooled() -> None:
    spools: list[InMemorySpool] = []

    def open_spool() -> InMemorySpool:
        spools.append(InMemorySpool())
        return spools[-1]

    store, memory = GatedStore(), PartMemory(open_spool, receiving_parts=2)
    senders = [Sender(store, memory, Hold()) for _ in range(5)]
    await asyncio.gather(*[sender.send(BLOCKS_OF_PART // 2) for sender in senders])
    assert len(spools) == 3
    assert all(spool.blocks for spool in spools), "what is hashed lies outside of memory"
    for sender in senders:
        await sender.reception.close()
    assert not any(spool.blocks for spool in spools)
    later = Sender(store, memory, Hold())
    await later.send(1)
    assert len(spools) == 3, "memory that was given back is lent again"
    await later.reception.close()


async def test_a_crowd_leaves_no_memory_to_anybody() -> None:
    memory = PartMemory(InMemorySpool, receiving_parts=2)
    first = memory.lend()
    assert first.memory is not None
    crowd = [memory.lend() for _ in range(CROWD_PARTS)]
    assert [buffer.memory is None for buffer in crowd] == [False, *[True] * (CROWD_PARTS - 1)]
    memory.give_back(first)
    late = memory.lend()
    assert late.memory is None
    for buffer in (*crowd, late):
        memory.give_back(buffer)
    again = [memory.lend() for _ in range(3)]
    assert [buffer.memory is None for buffer in again] == [False, False, True]


async def test_spooled_parts_are_read_back_a_few_at_a_time() -> None:
    store = GatedStore()
    memory = PartMemory(InMemorySpool, receiving_parts=0, storing_parts=2)
    senders = [Sender(store, memory, Hold()) for _ in range(6)]
    await asyncio.gather(*[sender.send(BLOCKS_OF_PART + 1) for sender in senders])
    assert memory.storing == 2
    store.gate.set()
    await asyncio.gather(*[sender.reception.close() for sender in senders])
    assert len(store.stored) == 6
    assert memory.storing == 0


async def test_full_store_is_heard_of_while_the_client_is_silent() -> None:
    store, hold = GatedStore(), Hold()
    store.full = True
    sender = Sender(store, PartMemory(InMemorySpool), hold)
    await sender.send(BLOCKS_OF_PART + 1)

    async def silence() -> AsyncIterator[bytes]:
        async with hold.waiting_for_client(60):
            store.gate.set()
            await asyncio.Event().wait()
        yield b""

    with pytest.raises(TimeoutError):
        await anext(silence())
    with pytest.raises(StoreFullError):
        await sender.send(BLOCKS_OF_PART)
    await sender.reception.close()
    assert sender.reception.upload.offset_bytes == 0


async def test_a_part_is_stored_while_the_row_moves_on_for_the_one_before() -> None:
    store, memory = GatedStore(), PartMemory(InMemorySpool)
    sender = Sender(store, memory, Hold())
    store.gate.set()
    sender.uploads.gate.clear()
    await sender.send(2 * BLOCKS_OF_PART + 1)
    assert [await store.news.get() for _ in range(2)] == [1, 2]
    assert sender.reception.upload.offset_bytes == 0, "no part is noted yet"
    sender.uploads.gate.set()
    await sender.reception.close()
    assert sender.reception.upload.offset_bytes == 2 * PART_SIZE_BYTES


async def test_row_that_cannot_move_on_is_heard_of() -> None:
    store, hold = GatedStore(), Hold()
    sender = Sender(store, PartMemory(InMemorySpool), hold)
    await sender.send(BLOCKS_OF_PART)
    sender.uploads.gate.clear()
    await sender.send(1)
    store.gate.set()
    assert await store.news.get() == 1
    sender.uploads.broken = True
    sender.uploads.gate.set()
    with pytest.raises(OutageError):
        await sender.send(2 * BLOCKS_OF_PART)
    assert hold.asked_to_let_go
    await sender.reception.close()
    assert sender.reception.upload.offset_bytes == 0


async def test_memory_that_a_thread_may_still_read_is_not_lent_again() -> None:
    memory = PartMemory(InMemorySpool, receiving_parts=1)
    first = memory.lend()
    first.add(b"first")
    first.digest_blocks(first.cut_pending())

    async def store_for_ever() -> None:
        async with memory.loaded(first) as data:
            seen.set_result(data)
            await asyncio.Event().wait()

    seen: asyncio.Future[memoryview] = asyncio.get_running_loop().create_future()
    storing = asyncio.create_task(store_for_ever())
    lent = await seen
    storing.cancel()
    await asyncio.wait({storing})
    memory.give_back(first)
    second = memory.lend()
    second.add(b"other")
    assert bytes(lent) == b"first"
    assert second.memory is not None, "there is as much memory as before"
