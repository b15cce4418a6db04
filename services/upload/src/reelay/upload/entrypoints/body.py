"""The bytes of one HTTP request, as they come."""

from collections.abc import AsyncIterator
from enum import Enum, auto

from fastapi import Request

from reelay.common.errors import InvalidRequestError
from reelay.upload.domain.hold import Hold


class Ending(Enum):
    """How a request's body came to its end."""

    WHOLE = auto()
    DISCONNECTED = auto()
    STALLED = auto()
    INTERRUPTED = auto()
    """Somebody asked for the upload: a newer request, or the process, which has to stop."""


class RequestBody:
    """Implements Body over ASGI."""

    def __init__(self, request: Request, stall_limit_s: float) -> None:
        self._request = request
        self._stall_limit_s = stall_limit_s
        self._done = False
        self.ending = Ending.WHOLE
        self.announced_bytes = _content_length(request)

    @property
    def all_came(self) -> bool:
        """See Body."""
        return self.ending is Ending.WHOLE

    async def blocks(self, hold: Hold) -> AsyncIterator[bytes]:
        """See Body. `ending` says afterwards why there was no more."""
        received = 0
        while not self._done and received != self.announced_bytes:
            try:
                async with hold.waiting_for_client(self._stall_limit_s):
                    block = await self._next()
            except TimeoutError:
                asked = hold.asked_to_let_go
                self.ending = Ending.INTERRUPTED if asked else Ending.STALLED
                return
            received += len(block)
            if block:
                yield block

    async def _next(self) -> bytes:
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            self._done = True
            self.ending = Ending.DISCONNECTED
            return b""
        self._done = not message.get("more_body", False)
        block: bytes = message.get("body", b"")
        return block


def _content_length(request: Request) -> int | None:
    header = request.headers.get("content-length")
    if header is None:
        return None if "transfer-encoding" in request.headers else 0
    if not header.isdecimal():
        raise InvalidRequestError("Content-Length is not a number.")
    return int(header)
