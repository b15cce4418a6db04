"""A request's hold on an upload, which others may ask it to let go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STALLED_AFTER_S = 1.0
"""A request that sent nothing for so long gives way to a newer one."""


class Hold:
    """Held by the one request that may change an upload."""

    def __init__(self) -> None:
        self.asked_to_let_go = False
        self.released = asyncio.Event()
        self._waiting: asyncio.Timeout | None = None
        self._heard_at_s = asyncio.get_running_loop().time()

    @property
    def receives(self) -> bool:
        """Whether bytes came in just now and more are awaited."""
        silent_s = asyncio.get_running_loop().time() - self._heard_at_s
        return self._waiting is not None and silent_s < STALLED_AFTER_S

    @property
    def stalled(self) -> bool:
        """Whether the client is awaited in vain."""
        return self._waiting is not None and not self.receives

    def let_go(self) -> None:
        """Ask the holder to stop waiting for its client, keep what it has, and release."""
        self.asked_to_let_go = True
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def waiting_for_client(self, limit_s: float) -> AsyncIterator[None]:
        """Bound the block, which awaits bytes: raises TimeoutError after `limit_s` or `let_go`."""
        if self.asked_to_let_go:
            raise TimeoutError
        try:
            async with asyncio.timeout(limit_s) as self._waiting:
                yield
        finally:
            self._waiting = None
            self._heard_at_s = asyncio.get_running_loop().time()
