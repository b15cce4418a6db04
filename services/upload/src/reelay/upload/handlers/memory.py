"""Bounds the memory that the parts of all requests take together, however many there are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from reelay.upload.domain.parts import PartBuffer, Spool

RECEIVING_PARTS = 3
"""So many parts are collected in memory: a fast sender needs two, one being stored, one coming.
All others are collected in spools."""
STORING_PARTS = 1
"""So many spooled parts are read back at a time, to be stored; others wait for their turn."""


class PartMemory:
    """Lends memory for parts."""

    def __init__(
        self,
        open_spool: Callable[[], Spool],
        receiving_parts: int = RECEIVING_PARTS,
        storing_parts: int = STORING_PARTS,
    ) -> None:
        self._open_spool = open_spool
        self._free = receiving_parts
        self._storing = asyncio.Semaphore(storing_parts)
        self.storing = 0
        """Number of spooled parts that are in memory now."""

    def lend(self) -> PartBuffer:
        """Return an empty buffer, in memory as long as there is some; to be given back."""
        if self._free:
            self._free -= 1
            return PartBuffer()
        return PartBuffer(self._open_spool())

    def give_back(self, buffer: PartBuffer) -> None:
        """Drop a buffer's bytes."""
        buffer.close()
        if buffer.in_memory:
            self._free += 1

    @asynccontextmanager
    async def loaded(self, buffer: PartBuffer) -> AsyncIterator[bytes]:
        """Yield all bytes of a buffer."""
        if buffer.in_memory:
            yield buffer.joined()
            return
        async with self._storing:
            self.storing += 1
            try:
                yield await asyncio.to_thread(buffer.joined)
            finally:
                self.storing -= 1
