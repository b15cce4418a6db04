"""What every answer under the uploads' path has in common."""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reelay.upload.entrypoints.tus import PREFIX, VERSION

LINGER_S = 10.0
"""How long a refused client may go on sending before its connection is closed."""


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
        # Who asks before sending (Expect: 100-continue) will not send after a refusal.
        body = _Body(receive, comes=_has_body(headers) and b"expect" not in headers)

        lingers = False

        async def send_versioned(message: Message) -> None:
            nonlocal lingers
            if message["type"] == "http.response.start":
                lingers = body.unread and _is_refusal(message["status"])
                _add_headers(message, open_end=lingers)
            if message["type"] != "http.response.body" or not lingers:
                await send(message)
                return
            await send({**message, "more_body": True})
            await body.drain()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        if override := headers.get(b"x-http-method-override"):
            scope["method"] = override.decode("latin-1").upper()
        await self._app(scope, body.receive, send_versioned)


def _is_refusal(status: int) -> bool:
    """Tell whether the client may still be sending in good faith, unlike one that fell silent."""
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        return True
    return 400 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _add_headers(message: Message, *, open_end: bool) -> None:
    headers = [*message["headers"], (b"tus-resumable", VERSION.encode())]
    if message["status"] == HTTPStatus.PRECONDITION_FAILED:
        # tus 1.0, section Headers, Tus-Resumable: who speaks another version must be told ours.
        headers.append((b"tus-version", VERSION.encode()))
    names = {name.lower() for name, _ in headers}
    if b"cache-control" not in names:
        headers.append((b"cache-control", b"no-store"))
    if open_end:
        # At the end of a known length the server closes the connection, whatever still comes in.
        headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
    message["headers"] = headers


class _Body:
    """Knows whether a request was read to its end.

    A client that sends first and listens then would meet a closed connection instead of a refusal,
    so the rest is read and dropped after the refusal was sent (nginx calls it a lingering close).
    """

    def __init__(self, receive: Receive, *, comes: bool) -> None:
        self._receive = receive
        self.unread = comes

    async def receive(self) -> Message:
        message = await self._receive()
        self.unread = self.unread and bool(message.get("more_body"))
        return message

    async def drain(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while self.unread:
                    await self.receive()
