"""A request's hold on an upload, which others may ask it to let go."""

import asyncio
from types import TracebackType

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

    def waiting_for_client(self, limit_s: float) -> "Waiting":
        """Bound the block, which awaits bytes: raises TimeoutError after `limit_s` or `let_go`."""
        return Waiting(self, limit_s)

    def begin_to_wait(self, limit_s: float) -> asyncio.Timeout:
        """See `waiting_for_client`, which is for use."""
        if self.asked_to_let_go:
            raise TimeoutError
        self._waiting = asyncio.timeout(limit_s)
        return self._waiting

    def heard(self) -> None:
        """See `waiting_for_client`, which is for use."""
        self._waiting = None
        self._heard_at_s = asyncio.get_running_loop().time()


class Waiting:
    """The block of `Hold.waiting_for_client`: entered for every block of a body, so made cheap."""

    __slots__ = ("_hold", "_limit_s", "_timeout")

    def __init__(self, hold: Hold, limit_s: float) -> None:
        self._hold = hold
        self._limit_s = limit_s

    async def __aenter__(self) -> None:
        """Begin to wait."""
        self._timeout = self._hold.begin_to_wait(self._limit_s)
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End to wait, with a TimeoutError if the time is over."""
        try:
            await self._timeout.__aexit__(kind, error, trace)
        finally:
            self._hold.heard()
