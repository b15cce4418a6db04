"""Sends a file by tus 1.0 and goes on by itself after a dropped connection.

Source: https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

import base64
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import httpx

from reelay.cli.api import Api, pause
from reelay.cli.errors import (
    CommandError,
    ServerRefusedError,
    ServerUnreachableError,
    UploadGoneError,
)
from reelay.cli.source import SourceFile, blocks

VERSION = {"Tus-Resumable": "1.0.0"}
PATCH_HEADERS = {**VERSION, "Content-Type": "application/offset+octet-stream"}
PATCH_BYTES = 64 * 1024 * 1024
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
PASSING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
"""Answers after which HEAD tells where to go on; 409 and 423 are tus' own for a lost race."""


@dataclass(frozen=True)
class Patience:
    """How long an upload that makes no progress is tried again, and how often."""

    first_delay_s: float = 0.5
    longest_delay_s: float = 15.0
    give_up_after_s: float = 120.0


class Watcher(Protocol):
    """Somebody who wants to know how an upload goes."""

    def sent(self, offset: int) -> None:
        """Tell that the bytes before `offset` were sent; it goes back after a lost connection."""
        ...

    def interrupted(self, reason: str, delay_s: float) -> None:
        """Tell that the connection was lost and that the next attempt comes in `delay_s`."""
        ...


class TusUpload:
    """One upload of one file."""

    def __init__(
        self, api: Api, url: str, file: SourceFile, watcher: Watcher, patience: Patience
    ) -> None:
        self.url = url
        self._api = api
        self._file = file
        self._watcher = watcher
        self._patience = patience

    async def offset(self) -> int:
        """Ask the server how many bytes it has; raises UploadGoneError."""
        try:
            answer = await self._api.send("HEAD", self.url, headers=VERSION)
        except ServerRefusedError as error:
            if error.status in GONE:
                raise UploadGoneError from error
            if error.status not in PASSING:
                await self._hear_why()
            raise
        return _offset(answer)

    async def _hear_why(self) -> None:
        """Raise what a PATCH of no bytes is told: an answer to HEAD has no room for a sentence."""
        headers = {**PATCH_HEADERS, "Upload-Offset": "0", "Content-Length": "0"}
        await self._api.send("PATCH", self.url, headers=headers)

    async def send(self, offset: int) -> None:
        """Send the bytes from `offset` to the end; raises UploadGoneError.

        After a loss the server is asked where to go on, with growing delays, until nothing has
        progressed for as long as patience lasts; then the last error is raised.
        """
        delay_s, progressed_at, farthest, known = 0.0, time.monotonic(), offset, True
        while not known or offset < self._file.size_bytes:
            try:
                offset = await (self._patch(offset) if known else self.offset())
                known = True
            except (ServerUnreachableError, ServerRefusedError) as error:
                stalled_s = time.monotonic() - progressed_at
                if not _may_pass(error) or stalled_s > self._patience.give_up_after_s:
                    raise
                delay_s = min(delay_s * 2, self._patience.longest_delay_s)
                delay_s = delay_s or self._patience.first_delay_s
                known = False
                self._watcher.interrupted(error.detail, delay_s)
                await pause(delay_s)
            if offset > farthest:
                delay_s, progressed_at, farthest = 0.0, time.monotonic(), offset
            self._watcher.sent(offset)

    async def _patch(self, offset: int) -> int:
        end = min(self._file.size_bytes, offset + PATCH_BYTES)
        headers = {
            **PATCH_HEADERS,
            "Upload-Offset": str(offset),
            # A known length, so that the body is not sent in HTTP/1.1 chunks.
            "Content-Length": str(end - offset),
        }
        body = blocks(self._file, offset, end, self._watcher.sent)
        try:
            answer = await self._api.send("PATCH", self.url, headers=headers, content=body)
        except ServerRefusedError as error:
            if error.status in GONE:
                raise UploadGoneError from error
            raise
        finally:
            await body.aclose()
        return _offset(answer)


async def create(api: Api, file: SourceFile, video_id: str) -> str:
    """Begin an upload to a draft; return its URL (tus extension 'creation')."""
    endpoint = f"{api.server}/api/v1/uploads"
    metadata = {"video_id": video_id, "filename": file.name}
    answer = await api.send(
        "POST",
        endpoint,
        headers={
            **VERSION,
            "Upload-Length": str(file.size_bytes),
            "Upload-Metadata": ",".join(f"{key} {_base64(text)}" for key, text in metadata.items()),
        },
    )
    location: str | None = answer.headers.get("location")
    if not location:
        raise ServerRefusedError(f"{endpoint} named no upload.", answer.status_code)
    # The server behind a proxy may not know its own public name; and the token goes to no other.
    place = urlsplit(urljoin(endpoint, location))
    origin = urlsplit(endpoint)
    return str(place._replace(scheme=origin.scheme, netloc=origin.netloc).geturl())


def _may_pass(error: CommandError) -> bool:
    return not isinstance(error, ServerRefusedError) or error.status in PASSING


def _base64(text: str) -> str:
    return base64.b64encode(text.encode(errors="replace")).decode()


def _offset(answer: httpx.Response) -> int:
    try:
        return int(answer.headers["upload-offset"])
    except (KeyError, ValueError) as error:
        raise ServerRefusedError(
            f"{answer.request.url} is no tus upload.", answer.status_code
        ) from error
