"""However slow the store and however many the clients, memory stays bounded."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage.port import StoreFullError
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.upload import Part, Upload
from reelay.upload.handlers.memory import PartMemory
from reelay.upload.handlers.part_queue import Means
from reelay.upload.handlers.reception import Reception

BLOCK = b"\x00\x00\x00\x20ftypmp42" + bytes(1024 * 1024 - 12)
BLOCKS_OF_PART = PART_SIZE_BYTES // len(BLOCK)


class GatedStore:
    """Stores a part only when it is let; may be full."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.full = False
        self.stored: list[int] = []

    async def begin_parts(self, key: str) -> str:
        return "attempt"

    async def put_part(self, key: str, attempt: str, number: int, data: bytes) -> str:
        await self.gate.wait()
        if self.full:
            raise StoreFullError
        assert len(data) == PART_SIZE_BYTES
        self.stored.append(number)
        return f"tag {number}"


class InMemoryUploads:
    """Notes what is durable."""

    async def advance(self, before: Upload, after: Upload, *parts: Part) -> Upload:
        return after


class ListSpool:
    """Counts what is spooled."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def write(self, block: bytes) -> None:
        self.blocks.append(block)

    def read_all(self) -> bytes:
        return b"".join(self.blocks)

    def close(self) -> None:
        self.blocks.clear()


class Sender:
    """Sends blocks without end, and counts those that were taken."""

    def __init__(self, store: GatedStore, memory: PartMemory, hold: Hold) -> None:
        upload = Upload(uuid4(), "ada", 100 * PART_SIZE_BYTES)
        means = Means(store, InMemoryUploads(), memory)  # type: ignore[arg-type]  # what it needs
        self.reception = Reception(upload, means, Limits(), on_failure=hold.let_go)
        self.taken = 0

    async def send(self, blocks: int) -> None:
        for _ in range(blocks):
            await self.reception.take(BLOCK)
            self.taken += 1


async def test_slow_store_makes_its_client_wait_with_two_parts_at_most() -> None:
    store, memory = GatedStore(), PartMemory(ListSpool)
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
    spools: list[ListSpool] = []

    def open_spool() -> ListSpool:
        spools.append(ListSpool())
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


async def test_spooled_parts_are_read_back_a_few_at_a_time() -> None:
    store = GatedStore()
    memory = PartMemory(ListSpool, receiving_parts=0, storing_parts=2)
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
    sender = Sender(store, PartMemory(ListSpool), hold)
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
