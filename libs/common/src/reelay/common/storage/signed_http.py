"""Answers the links that a filesystem store signed: PUT of a part, GET of an object."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.openapi import content_of
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.links import SIGNED_AT
from reelay.common.storage.port import (
    Bytes,
    InvalidLinkError,
    InvalidPartsError,
    ObjectInfo,
    WrongDigestError,
)

RANGE = re.compile(r"bytes=([0-9]{0,40})-([0-9]{0,40})")
"""One range (RFC 9110, section 14.1.2); several, and absurd ones, are answered with the whole."""

OCTETS = "application/octet-stream"
BYTES = {**content_of(OCTETS, "The object."), **content_of(OCTETS, "A range of it.", 206)}


@dataclass(frozen=True)
class Collected:
    """All bytes of a request, which may change after they were stored."""

    data: Bytes
    sha256: bytes


Collect = Callable[[Request], AbstractAsyncContextManager[Collected]]


@asynccontextmanager
async def in_memory(request: Request) -> AsyncIterator[Collected]:
    """Collect the bytes of a part; raises InvalidPartsError when they are too many for one."""
    data = bytearray()
    async for block in request.stream():
        data += block
        if len(data) > PART_SIZE_BYTES:
            raise InvalidPartsError(f"A part has at most {PART_SIZE_BYTES} bytes")
    yield Collected(memoryview(data), hashlib.sha256(data).digest())


def signed_router(store: FilesystemObjectStore, collect: Collect = in_memory) -> APIRouter:
    """Return routes below SIGNED_AT; an S3 server answers its links itself.

    `collect` takes the bytes of a part in, as a service does that has many senders.
    """
    router = APIRouter(prefix=SIGNED_AT)

    @router.put("/{key:path}", response_class=Response)
    async def put_part(key: str, request: Request) -> Response:
        """Store a part."""
        links = await store.links()
        grant = links.check("PUT", key, request.query_params)
        if request.headers.get("content-length") != str(grant.size_bytes):
            raise InvalidLinkError(f"This link is for {grant.size_bytes} bytes (Content-Length).")
        async with collect(request) as body:
            if not compare_digest(body.sha256.hex(), grant.sha256):
                raise WrongDigestError
            part = (grant.attempt, grant.part, body.data, body.sha256)
            tag = await store.put_part(key, *part)
        return Response(headers={"etag": f'"{tag}"'})

    @router.api_route(
        "/{key:path}", methods=["GET", "HEAD"], response_class=StreamingResponse, responses=BYTES
    )
    async def get_object(key: str, request: Request) -> Response:
        """Send an object, or a range of it."""
        links = await store.links()
        links.check(request.method, key, request.query_params)
        return _answer(store, await store.head(key), request.headers.get("range", ""), request)

    return router


def _answer(
    store: FilesystemObjectStore, info: ObjectInfo, wanted: str, request: Request
) -> Response:
    start, end, status = 0, info.size_bytes, HTTPStatus.OK
    headers = {"accept-ranges": "bytes", "cache-control": "private, no-store"}
    found = RANGE.fullmatch(wanted)
    if found and any(found.groups()):
        status = HTTPStatus.PARTIAL_CONTENT
        first, last = found.groups()
        if first:
            start = int(first)
            end = min(info.size_bytes, int(last) + 1) if last else info.size_bytes
        else:
            start = max(0, info.size_bytes - int(last))
        if start >= end:
            headers["content-range"] = f"bytes */{info.size_bytes}"
            return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
        headers["content-range"] = f"bytes {start}-{end - 1}/{info.size_bytes}"
    headers["content-length"] = str(end - start)
    body: AsyncIterator[bytes] | tuple[()] = store.read(info.key, start, end)
    if request.method == "HEAD":
        body = ()
    return StreamingResponse(body, status, headers=headers, media_type=OCTETS)
