"""The instance's own answer to /healthz and /readyz: whether all of its parts are ready."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

from reelay.standalone.children import Child, Tier

Report = Mapping[str, Mapping[str, Mapping[str, bool]]]
REQUEST_TIMEOUT_S = 5.0


async def report(children: Sequence[Child]) -> Report:
    """Ask every child at once."""
    answers = await asyncio.gather(*(child.is_ready() for child in children))
    parts: dict[str, dict[str, dict[str, bool]]] = {"services": {}, "companions": {}}
    for child, ready in zip(children, answers, strict=True):
        kind = "services" if child.tier is Tier.SERVICES else "companions"
        parts[kind][child.name] = {"ready": ready}
    return parts


def all_ready(parts: Report) -> bool:
    return all(part["ready"] for kind in parts.values() for part in kind.values())


async def serve(port: int, ask: Callable[[], Awaitable[Report]]) -> asyncio.Server:
    """Serve GET /readyz (200 or 503) and /healthz (200) on loopback, one request a connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                method, path = head.split(b" ", 2)[:2]
                status, body = await _answer(method, path.partition(b"?")[0], ask)
                writer.write(_response(status, body, with_body=method != b"HEAD"))
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port)


async def _answer(
    method: bytes, path: bytes, ask: Callable[[], Awaitable[Report]]
) -> tuple[HTTPStatus, Mapping[str, object]]:
    if path not in (b"/healthz", b"/readyz"):
        return HTTPStatus.NOT_FOUND, {"title": "Not Found", "status": 404}
    if method not in (b"GET", b"HEAD"):
        return HTTPStatus.METHOD_NOT_ALLOWED, {"title": "Method Not Allowed", "status": 405}
    if path == b"/healthz":
        return HTTPStatus.OK, {"status": "ok"}
    parts = await ask()
    return (HTTPStatus.OK if all_ready(parts) else HTTPStatus.SERVICE_UNAVAILABLE), parts


def _response(status: HTTPStatus, body: Mapping[str, object], *, with_body: bool) -> bytes:
    refused = status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)
    kind = "application/problem+json" if refused else "application/json"
    allow = "Allow: GET, HEAD\r\n" if status == HTTPStatus.METHOD_NOT_ALLOWED else ""
    payload = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(payload)}\r\n{allow}"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (payload if with_body else b"")
