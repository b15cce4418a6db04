"""The pipes through which FFmpeg hands out its renditions."""

import asyncio
import functools
import os


class OutputPipes:
    """One pipe per output; its writing end is inherited under the same number."""

    def __init__(self, count: int) -> None:
        pairs = [os.pipe() for _ in range(count)]
        self._reading = [reading for reading, _ in pairs]
        self.writing = [writing for _, writing in pairs]
        """File descriptors for the child."""
        self._transports: list[asyncio.ReadTransport] = []

    async def readers(self) -> list[asyncio.StreamReader]:
        """Return the reading ends, one per output in order."""
        loop = asyncio.get_running_loop()
        readers: list[asyncio.StreamReader] = []
        while self._reading:
            pipe = os.fdopen(self._reading.pop(0), "rb", buffering=0)
            reader = asyncio.StreamReader()
            make_protocol = functools.partial(asyncio.StreamReaderProtocol, reader)
            transport, _ = await loop.connect_read_pipe(make_protocol, pipe)
            self._transports.append(transport)
            readers.append(reader)
        return readers

    def close_writing(self) -> None:
        """Close our copies of the writing ends: only then do readers see the child's end."""
        while self.writing:
            os.close(self.writing.pop())

    def close(self) -> None:
        """Close everything that is still open."""
        self.close_writing()
        while self._reading:
            os.close(self._reading.pop())
        while self._transports:
            self._transports.pop().close()
