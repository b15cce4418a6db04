"""Reads an S3 bucket's objects on the event loop, going on where a connection broke."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import responses
from io import BytesIO

from minio.error import S3Error
from urllib3 import HTTPResponse

from reelay.common.storage.port import ObjectInfo, StoreUnavailableError
from reelay.common.storage.s3_answers import Answer, BrokenError
from reelay.common.storage.s3_connections import Connections, Exchange
from reelay.common.storage.s3_presign import Signer
from reelay.common.storage.s3_requests import (
    CONNECT_TIMEOUT_S,
    RETRIED,
    Guard,
    s3_errors,
    told,
)

BLOCK_BYTES = 256 * 1024
"""What one step yields at most."""
FIRST_BYTES = 32 * 1024
"""What the first one does: somebody may wait for the first bytes, and they come before the rest."""
CLOSING_STEPS = 3
"""Of the event loop, until connections are gone."""
RESUMPTIONS = 4
"""How often in a row, without a block in between, a connection may break."""
CONNECTIONS = 256
"""Many, as a read may rest for minutes: that of a paused FFmpeg."""
UNREAD_S = 1.0
"""After this an object that was asked for ahead is not going to be read."""
TRIES = 5
BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 5.0
READABLE = (
    HTTPStatus.OK,
    HTTPStatus.PARTIAL_CONTENT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
)


class Reader:
    """Reads over connections of its own, which belong to the loop that reads first.

    A detour through a thread costs a quarter of the time that the store needs for a first byte.
    """

    def __init__(self, signer: Signer, folder: str, guard: Guard, read_timeout_s: float) -> None:
        """`signer` signs for the server as we reach it; its objects lie in the path `folder`."""
        self._signer = signer
        self._folder = folder
        self._guard = guard
        self._connections = Connections(
            signer.endpoint,
            tls=signer.tls,
            limit=CONNECTIONS,
            connect_timeout_s=CONNECT_TIMEOUT_S,
            silence_s=read_timeout_s,
        )
        self._ahead: dict[str, Exchange] = {}
        self._closed = False

    def anticipate(self, key: str, begun: Callable[[bytes], None]) -> None:
        """Ask for a whole object over a kept connection, if there is one; see ObjectStore."""
        if self._closed or key in self._ahead or not self._guard.sees_none_fail:
            return
        exchange = self._connections.begin("GET", self._target("GET", key))
        if exchange is not None:
            exchange.answer.when_begun(begun)
            self._ahead[key] = exchange
            asyncio.get_running_loop().call_later(UNREAD_S, self._give_up, key, exchange)

    async def read(self, key: str, start: int, end: int | None) -> AsyncIterator[bytes]:
        """Yield the bytes [start, end) of an object, `end` None meaning its end.

        After a break the rest is asked for on condition that the object is the same (`If-Match`).
        """
        etag, broken = "", 0
        while end is None or start < end:
            async with await self._open(key, start, end, etag) as answer:
                blocks = self._blocks(answer, first=not etag)
                etag = answer.fields.get("etag", "")
                try:
                    async for block in blocks:
                        wanted = block if end is None else block[: end - start]
                        start += len(wanted)
                        broken = 0
                        yield wanted
                        if start == end:
                            return
                    return
                except BrokenError as error:
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
                    when = parsedate_to_datetime(answer.fields.get("last-modified", ""))
                    modified_at_s = when.timestamp()
                if "content-length" not in answer.fields:
                    raise StoreUnavailableError("The object store does not tell an object's size.")
                return ObjectInfo(key, int(answer.fields["content-length"]), modified_at_s)

    async def aclose(self) -> None:
        """Close the connections; nothing is read from then on."""
        self._closed = True
        self._ahead.clear()
        self._connections.close()
        for _ in range(CLOSING_STEPS):
            await asyncio.sleep(0)

    async def _open(self, key: str, start: int, end: int | None, etag: str) -> Answer:
        """Return the answer to a GET, its body unread; that of 416 is to be taken for the end."""
        headers = {"If-Match": etag} if etag else {}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        with s3_errors():
            answer = await self._ask("GET", key, headers)
            if answer.status in READABLE and _begins_at(answer, start):
                return answer
            async with answer:
                raise _refusal(answer, await _gathered(answer))

    async def _ask(self, method: str, key: str, headers: dict[str, str]) -> Answer:
        """Return what the server answers, or in the end does; tell the guard how it went."""
        self._guard.enter()
        for tried in range(1, TRIES):
            with suppress(BrokenError):
                answer = await self._request(method, key, headers)
                if answer.status not in RETRIED:
                    self._guard.answered(answer.status)
                    return answer
                answer.close()
            await asyncio.sleep(_pause_s(tried))
        try:
            answer = await self._request(method, key, headers)
        except BrokenError as error:
            self._guard.failed(repr(error))
            raise
        self._guard.answered(answer.status)
        return answer

    async def _request(self, method: str, key: str, headers: dict[str, str]) -> Answer:
        if self._closed:
            raise StoreUnavailableError("The object store was closed.")
        begun = self._ahead.pop(key, None) if method == "GET" and not headers else None
        return await self._connections.ask(method, self._target(method, key), headers, begun)

    def _target(self, method: str, key: str) -> str:
        return self._signer.target(method, f"{self._folder}/{key}")

    def _give_up(self, key: str, exchange: Exchange) -> None:
        if self._ahead.get(key) is exchange:
            self._ahead.pop(key).answer.close()

    async def _blocks(self, answer: Answer, *, first: bool) -> AsyncIterator[bytes]:
        """Yield an answer's body; if it is the `first` one, what comes first as it comes."""
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return
        if first and (block := await answer.read(FIRST_BYTES)):
            yield block
        while block := await _gathered(answer):
            yield block


async def _gathered(answer: Answer) -> bytes:
    """Return the next BLOCK_BYTES, or what is left before the end, or came before a break."""
    pieces, missing = list[bytes](), BLOCK_BYTES
    try:
        while missing and (piece := await answer.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
    except BrokenError:  # it is told again at the next step
        if not pieces:
            raise
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _begins_at(answer: Answer, start: int) -> bool:
    """Tell whether an answer has the bytes that were asked for (RFC 9110, section 14.4)."""
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        return answer.fields.get("content-range", f"bytes {start}-").startswith(f"bytes {start}-")
    return start == 0 or answer.status != HTTPStatus.OK


def _refusal(answer: Answer, content: bytes) -> S3Error:
    reason = responses.get(answer.status, "")
    return told(HTTPResponse(BytesIO(content), answer.fields, answer.status, reason=reason))


def _pause_s(tried: int) -> float:
    longest_s = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (tried - 1))
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311 (jitter is no secret)
