"""What a process has in hand, and the one message that has it for itself.

Whoever dies tells nothing: its death counts against every message that it had in hand. The one
that died with its process on all its attempts gets one more, alone.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class OneAloneError(Exception):
    """Another message has this process for itself."""


class Solitude:
    """The messages of all consumers of one process that give theirs to others."""

    def __init__(self) -> None:
        self._others = 0
        self._alone = False
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def entered(self, *, alone: bool) -> AsyncIterator[None]:
        """Have one more message in hand; one that is `alone` waits until no other is.

        Raises OneAloneError while another is, or waits to be.
        """
        if self._alone:
            raise OneAloneError
        if not alone:
            self._others += 1
        self._alone = alone
        try:
            while alone and self._others:
                await self._change()
            yield
        finally:
            if alone:
                self._alone = False
            else:
                self._others -= 1
            self._changed.set()

    async def over(self) -> None:
        """Return when no message is alone."""
        while self._alone:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
