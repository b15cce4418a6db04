"""The bytes of another server's answer, as a body that an upload receives."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from reelay.common.errors import ReelayError
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.known_start import KnownStart
from reelay.upload.domain.remote import (
    Answer,
    FileChangedError,
    RemoteError,
    StalledError,
    TooSlowError,
)


@dataclass(frozen=True)
class Pace:
    """How slow a server may be."""

    stall_limit_s: float
    """It may be silent for so long, and its rate is measured over so much waiting."""
    least_bytes_per_s: float
    time_limit_s: float
    """So long may all tries at a file take together."""

    def too_slow(self) -> TooSlowError:
        """Return the end of an import that took too long."""
        return TooSlowError(f"The file did not come within {self.time_limit_s:.0f} seconds.")


class RemoteBody:
    """Implements Body. What goes wrong ends it, and is told in `trouble`: what came is kept."""

    announced_bytes: int | None = None

    def __init__(self, answer: Answer, known: KnownStart, pace: Pace, left_s: float) -> None:
        self._answer = answer
        self._known = known
        self._pace = pace
        self._deadline_s = asyncio.get_running_loop().time() + left_s
        self._waited_s = 0.0
        self._waited_bytes = 0
        self.all_came = False
        self.trouble: ReelayError | None = None

    async def blocks(self, hold: Hold) -> AsyncIterator[bytes]:
        """See Body."""
        blocks = self._answer.blocks()
        try:
            while (block := await self._next(blocks, hold)) is not None:
                if new := self._known.strip(block):
                    yield new
        except (RemoteError, FileChangedError, TooSlowError) as error:
            self.trouble = error

    async def _next(self, blocks: AsyncIterator[bytes], hold: Hold) -> bytes | None:
        """Return the next block, or None at the end or when the hold is wanted."""
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        limit_s = max(0.0, min(self._pace.stall_limit_s, self._deadline_s - start_s))
        try:
            async with hold.waiting_for_client(limit_s):
                block = await anext(blocks, None)
        except TimeoutError as error:
            if hold.asked_to_let_go:
                return None
            if loop.time() >= self._deadline_s:
                raise self._pace.too_slow() from error
            raise StalledError from error
        if block is None:
            if not self._known.passed:
                raise FileChangedError
            self.all_came = True
            return None
        self._measure(len(block), loop.time() - start_s)
        return block

    def _measure(self, size_bytes: int, waited_s: float) -> None:
        """Hold the rate against the least one; what our own store takes does not count."""
        self._waited_bytes += size_bytes
        self._waited_s += waited_s
        if self._waited_s < self._pace.stall_limit_s:
            return
        if self._waited_bytes < self._pace.least_bytes_per_s * self._waited_s:
            rate = self._waited_bytes / self._waited_s
            raise StalledError(f"The server sends only {rate:.0f} bytes a second.")
        self._waited_bytes, self._waited_s = 0, 0.0
