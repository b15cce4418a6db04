"""Bounds the memory that the parts of all requests take together, however many there are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from reelay.common.identity import PART_SIZE_BYTES
from reelay.upload.domain.parts import PartBuffer, Spool

RECEIVING_PARTS = 2
"""So many parts are collected in memory: a fast sender needs two, one being stored, one coming.
All others are collected in spools."""
CROWD_PARTS = 32
"""With more than this lent, being collected or stored, all new ones are spooled: two in memory are
no help to so many, and cost as much as the requests themselves."""
STORING_PARTS = 1
"""So many spooled parts are read back at a time, to be stored; others wait for their turn."""


class Rooms:
    """Memory for a number of parts, taken from the system when first needed, and used again."""

    def __init__(self, number: int) -> None:
        self._fresh = number
        self._used: list[bytearray] = []

    def take(self) -> bytearray | None:
        """Return room for a part, while there is any."""
        if self._used:
            return self._used.pop()
        if not self._fresh:
            return None
        self._fresh -= 1
        return bytearray(PART_SIZE_BYTES)

    def give_back(self, room: bytearray, *, keep: bool) -> None:
        """Take room back, to be used again or for the system.

        Keep none that somebody may still read.
        """
        if keep:
            self._used.append(room)
        else:
            self._fresh += 1

    def release(self) -> None:
        """Give the system what nobody uses now."""
        self._fresh += len(self._used)
        self._used.clear()


class PartMemory:
    """Lends memory for parts."""

    def __init__(
        self,
        open_spool: Callable[[], Spool],
        receiving_parts: int = RECEIVING_PARTS,
        storing_parts: int = STORING_PARTS,
    ) -> None:
        self._open_spool = open_spool
        self._receiving = Rooms(receiving_parts)
        self._storing = Rooms(storing_parts)
        self._turns = asyncio.Semaphore(storing_parts)
        self._unclean: set[int] = set()
        self._lent = 0
        self.storing = 0
        """Number of spooled parts that are in memory now."""

    def lend(self) -> PartBuffer:
        """Return an empty buffer, in memory as long as there is some; to be given back."""
        self._lent += 1
        if self._crowded:
            self._receiving.release()
            return PartBuffer(self._open_spool())
        return PartBuffer(self._receiving.take() or self._open_spool())

    def give_back(self, buffer: PartBuffer) -> None:
        """Drop a buffer's bytes."""
        buffer.close()
        crowded = self._crowded
        self._lent -= 1
        if buffer.memory is not None:
            clean = id(buffer.memory) not in self._unclean
            self._unclean.discard(id(buffer.memory))
            self._receiving.give_back(buffer.memory, keep=clean and not crowded)

    @property
    def _crowded(self) -> bool:
        return self._lent > CROWD_PARTS

    @asynccontextmanager
    async def loaded(self, buffer: PartBuffer) -> AsyncIterator[memoryview]:
        """Yield all bytes of a buffer; they may change after the block.

        If the block fails, a thread that it no longer waits for may still read them: they are left
        to it then.
        """
        if buffer.memory is not None:
            try:
                yield buffer.lend()
            except BaseException:
                self._unclean.add(id(buffer.memory))
                raise
            return
        async with self._turns:
            room, clean = self._storing.take(), False
            assert room is not None, "there are as many as turns"
            self.storing += 1
            try:
                yield await asyncio.to_thread(buffer.read_into, room)
                clean = True
            finally:
                self.storing -= 1
                self._storing.give_back(room, keep=clean)
