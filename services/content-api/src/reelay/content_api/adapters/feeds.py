"""Answers whose bytes are not one finished file, sent through named pipes."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.adapters.growing import gathered
from reelay.content_api.adapters.pipes import FileThreads, Pipe
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.ports import Found


class PipeFeeds:
    """Pipes from files that are on their way: each may keep one of the file threads waiting."""

    def __init__(self, folder: Path, threads: FileThreads) -> None:
        """Make pipes in `folder`, which nobody else uses for names of digits."""
        self._folder = folder
        self._threads = threads
        self._numbers = itertools.count()

    @property
    def full(self) -> bool:
        """Whether no pipe is free."""
        return self._threads.free <= 0

    async def send(self, body: Body, source: Found, answer: Callable[[str], None]) -> None:
        """See Feeds."""
        with self._threads.taken():
            pipe = Pipe(self._folder / str(next(self._numbers)))
            try:
                answer(str(pipe.path))
                with suppress(BrokenPipeError, TimeoutError, StoreUnavailableError):
                    for piece in body.pieces:
                        if isinstance(piece, bytes):
                            await pipe.write(piece)
                        else:
                            await pipe.move(source, piece)
            finally:
                pipe.close()

    async def read(self, body: Body, source: Found) -> bytes:
        """See Feeds."""
        return await gathered(source, body.pieces)
