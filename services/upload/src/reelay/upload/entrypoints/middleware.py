"""What every answer under the uploads' path has in common."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reelay.upload.entrypoints.tus import PREFIX, VERSION

DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_S = 1.0


class TusMiddleware:
    """Says the protocol version in every answer, and obeys X-HTTP-Method-Override."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        body = _Body(receive, drainable=b"expect" not in headers)

        async def send_versioned(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    await body.drain()
                _add_headers(message)
            await send(message)

        if override := headers.get(b"x-http-method-override"):
            scope["method"] = override.decode("latin-1").upper()
        await self._app(scope, body.receive, send_versioned)


def _add_headers(message: Message) -> None:
    headers = [*message["headers"], (b"tus-resumable", VERSION.encode())]
    if not any(name.lower() == b"cache-control" for name, _ in headers):
        headers.append((b"cache-control", b"no-store"))
    message["headers"] = headers


class _Body:
    """Knows whether a request was read to its end.

    A client that sends first and listens then would meet a closed connection instead of the
    refusal; so a bounded rest is read before a refusal is sent.
    """

    def __init__(self, receive: Receive, *, drainable: bool) -> None:
        self._receive = receive
        self._rest = drainable

    async def receive(self) -> Message:
        message = await self._receive()
        self._rest = self._rest and bool(message.get("more_body"))
        return message

    async def drain(self) -> None:
        drained = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._rest and drained < DRAIN_BYTES:
                    drained += len((await self.receive()).get("body", b""))
