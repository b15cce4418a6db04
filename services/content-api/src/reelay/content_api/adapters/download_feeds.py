"""Answers from many objects one behind the other, sent through named pipes for as long as it takes.

A download lasts as long as its client likes, so it holds none of the server's file threads but
while the store is slower than the client: then the server waits at an empty pipe.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import structlog

from reelay.common.storage import StoreUnavailableError
from reelay.common.tasks import end
from reelay.content_api.adapters.growing import gathered, readable
from reelay.content_api.adapters.pipes import FileThreads, Pipe
from reelay.content_api.domain.assembled import Assembled
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.layout import Slice
from reelay.content_api.domain.ports import Found
from reelay.content_api.domain.ranges import ByteRange

AHEAD = 2
"""Objects fetched before they are needed: usually the next one of pictures and of sound."""
PATIENCE_S = 2.0
"""How long a download may keep a thread waiting without being counted."""

T = TypeVar("T")
Piece = bytes | tuple[Found, ByteRange]

log = structlog.get_logger()


class NoThreadLeftError(StoreUnavailableError):
    """The object store is too slow for so many at a time."""


class DownloadFeeds:
    """At most so many answers at a time; see AssembledFeeds."""

    def __init__(self, folder: Path, limit: int, threads: FileThreads) -> None:
        """Make pipes in `folder`; `threads` are those that other feeds use too."""
        self._folder = folder
        self._free = limit
        self._threads = threads
        self._numbers = itertools.count()

    @property
    def full(self) -> bool:
        """See AssembledFeeds."""
        return self._free <= 0

    async def send(self, body: Body, source: Assembled, answer: Callable[[str], None]) -> None:
        """See AssembledFeeds."""
        self._free -= 1
        try:
            async with aclosing(self._pieces(body, source)) as pieces:
                first = await anext(pieces)
                pipe = Pipe(self._folder / f"download-{next(self._numbers)}")
                try:
                    answer(str(pipe.path))
                    await self._feed(pipe, first, pieces)
                finally:
                    pipe.close()
        finally:
            self._free += 1

    async def read(self, body: Body, source: Assembled) -> bytes:
        """See AssembledFeeds."""
        content = []
        async with aclosing(self._pieces(body, source)) as pieces:
            async for piece in pieces:
                if isinstance(piece, bytes):
                    content.append(piece)
                else:
                    found, part = piece
                    content.append(await gathered(found, [part]))
        return b"".join(content)

    async def _feed(self, pipe: Pipe, first: Piece, more: AsyncIterator[Piece]) -> None:
        try:
            await self._write(pipe, first)
            async for piece in more:
                await self._write(pipe, piece)
        except (BrokenPipeError, TimeoutError):
            pass
        except (StoreUnavailableError, OSError) as error:
            log.warning("a download is broken off", error=repr(error)[:200])
            await pipe.opened()

    async def _write(self, pipe: Pipe, piece: Piece) -> None:
        if isinstance(piece, bytes):
            await pipe.write(piece)
        else:
            await pipe.move(*piece, self._arrived)

    async def _arrived(self, found: Found, position: int) -> int:
        return await self._counted(readable(found, position))

    async def _pieces(self, body: Body, source: Assembled) -> AsyncGenerator[Piece, None]:
        """Yield what is to be sent; fetch what comes next meanwhile."""
        left = _flat(body, source)
        fetched: deque[tuple[bytes | Slice, asyncio.Task[Found] | None]] = deque()
        try:
            while True:
                while len(fetched) <= AHEAD and (item := next(left, None)) is not None:
                    ahead = None
                    if isinstance(item, Slice):
                        ahead = asyncio.create_task(source.open(item.part))
                    fetched.append((item, ahead))
                if not fetched:
                    return
                item, ahead = fetched.popleft()
                if isinstance(item, bytes):
                    yield item
                else:
                    assert ahead is not None
                    await self._counted(ahead)
                    # Asked for again: what was there long ago may have been dropped since.
                    yield await self._counted(source.open(item.part)), item.bytes
        finally:
            await end(*(task for _, task in fetched if task is not None))

    async def _counted(self, waiting: Awaitable[T]) -> T:
        """Wait for the store; whoever waits long takes one of the threads, or is sent away."""
        task = asyncio.ensure_future(waiting)
        try:
            await asyncio.wait({task}, timeout=PATIENCE_S)
            if not task.done():
                if self._threads.free <= 0:
                    raise NoThreadLeftError
                with self._threads.taken():
                    await asyncio.wait({task})
            return task.result()
        finally:
            task.cancel()


def _flat(body: Body, source: Assembled) -> Iterator[bytes | Slice]:
    for piece in body.pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from source.slices(piece)
