"""Reads an S3 bucket's objects on the event loop, going on where a connection broke."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from io import BytesIO

import aiohttp
from minio.error import S3Error
from urllib3 import HTTPResponse
from yarl import URL

from reelay.common.storage.port import ObjectInfo, StoreUnavailableError
from reelay.common.storage.s3_presign import Signer
from reelay.common.storage.s3_requests import (
    CONNECT_TIMEOUT_S,
    PRESIGNED_FOR,
    RETRIED,
    Guard,
    s3_errors,
    told,
)

BLOCK_BYTES = 256 * 1024
"""What one step yields at most."""
FIRST_BYTES = 32 * 1024
"""What the first one does: somebody may wait for the first bytes, and they come before the rest."""
PIECE_BYTES = 64 * 1024
"""What aiohttp is asked for at a time; it keeps up to twice that ready."""
RESUMPTIONS = 4
"""How often in a row, without a block in between, a connection may break."""
CONNECTIONS = 256
"""Many, as a read may rest for minutes: that of a paused FFmpeg."""
TRIES = 5
BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
KEPT_S = 60.0
"""How long a connection that nobody uses is kept."""
PRESIGNED_FOR_S = PRESIGNED_FOR.total_seconds()
READABLE = (
    HTTPStatus.OK,
    HTTPStatus.PARTIAL_CONTENT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
)

BROKEN = (aiohttp.ClientError, OSError)
"""What a connection that fails raises."""


class Reader:
    """Reads over connections of its own, which belong to the loop that reads first.

    A detour through a thread costs a quarter of the time that the store needs for a first byte.
    """

    def __init__(self, signer: Signer, folder: str, guard: Guard, read_timeout_s: float) -> None:
        """`signer` signs for the server as we reach it; its objects lie in the path `folder`."""
        self._signer = signer
        self._folder = folder
        self._guard = guard
        self._read_timeout_s = read_timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def read(self, key: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """Yield the bytes [start, end) of an object, `end` None meaning its end.

        After a break the rest is asked for on condition that the object is the same (`If-Match`).
        """
        etag, broken = "", 0
        while end is None or start < end:
            async with await self._open(key, start, end, etag) as answer:
                blocks = self._blocks(answer, first=not etag)
                etag = answer.headers.get("ETag", "")
                try:
                    async for block in blocks:
                        start += len(block)
                        broken = 0
                        yield block
                    return
                except BROKEN as error:
                    broken += 1
                    if broken > RESUMPTIONS or not etag:
                        why = f"The object store failed: {error!r}"
                        raise StoreUnavailableError(why) from error
            await asyncio.sleep(random.uniform(0, 0.1 * 2**broken))  # noqa: S311 (jitter is no secret)

    async def head(self, key: str) -> ObjectInfo:
        """Describe an object."""
        with s3_errors():
            async with await self._ask("HEAD", key, {}) as answer:
                if answer.status != HTTPStatus.OK:
                    raise _refusal(answer, b"")
                modified_at_s = 0.0
                with suppress(ValueError):  # as for a server that does not say
                    when = parsedate_to_datetime(answer.headers.get("Last-Modified", ""))
                    modified_at_s = when.timestamp()
                return ObjectInfo(key, answer.content_length or 0, modified_at_s)

    async def aclose(self) -> None:
        """Close the connections; nothing is read from then on."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    async def _open(
        self, key: str, start: int, end: int | None, etag: str
    ) -> aiohttp.ClientResponse:
        """Return the answer to a GET, its body unread; that of 416 is to be taken for the end."""
        headers = {"If-Match": etag} if etag else {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        with s3_errors():
            answer = await self._ask("GET", key, headers)
            if answer.status in READABLE and not (start and answer.status == HTTPStatus.OK):
                return answer
            async with answer:
                raise _refusal(answer, await self._gathered(answer.content))

    async def _ask(self, method: str, key: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """Return what the server answers, or in the end does; tell the guard how it went."""
        self._guard.enter()
        for tried in range(1, TRIES):
            with suppress(*BROKEN):
                answer = await self._request(method, key, headers)
                if answer.status not in RETRIED:
                    self._guard.answered(answer.status)
                    return answer
                answer.close()
            await asyncio.sleep(_pause_s(tried))
        try:
            answer = await self._request(method, key, headers)
        except BROKEN as error:
            self._guard.failed(repr(error))
            raise
        self._guard.answered(answer.status)
        return answer

    async def _request(
        self, method: str, key: str, headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        url = self._signer.url(method, f"{self._folder}/{key}", {}, {}, PRESIGNED_FOR_S)
        return await self._connected().request(
            method, URL(url, encoded=True), headers=headers, allow_redirects=False
        )

    def _connected(self) -> aiohttp.ClientSession:
        if self._closed:
            raise StoreUnavailableError("The object store was closed.")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_S),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=self._read_timeout_s
                ),
                auto_decompress=False,
                read_bufsize=FIRST_BYTES // 2,  # So the rest waits until these are passed on.
                headers={"Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _blocks(self, answer: aiohttp.ClientResponse, *, first: bool) -> AsyncIterator[bytes]:
        """Yield an answer's body; if it is the `first` one, what comes first as it comes."""
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        if first and (block := await self._piece(answer.content, FIRST_BYTES)):
            yield block
        while block := await self._gathered(answer.content):
            yield block

    async def _gathered(self, content: aiohttp.StreamReader) -> bytes:
        """Return the next BLOCK_BYTES, or what is left before the end."""
        pieces, missing = list[bytes](), BLOCK_BYTES
        while missing and (piece := await self._piece(content, min(missing, PIECE_BYTES))):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    async def _piece(self, content: aiohttp.StreamReader, size: int) -> bytes:
        """Return what is here, up to `size`; aiohttp alone may wait for ever after bad chunks."""
        try:
            async with asyncio.timeout(self._read_timeout_s):
                return await content.read(size)
        except RuntimeError as error:  # its word for a connection that ended thus
            raise aiohttp.ClientPayloadError(str(error)) from error


def _refusal(answer: aiohttp.ClientResponse, content: bytes) -> S3Error:
    return told(HTTPResponse(BytesIO(content), answer.headers, answer.status, reason=answer.reason))


def _pause_s(tried: int) -> float:
    longest_s = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (tried - 1))
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311 (jitter is no secret)
