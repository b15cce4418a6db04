"""Finds out whether a store holds those who follow its links to the bytes they were signed for.

An asset's id is made of the digests of its parts. A store that took other bytes for them would let
one user give another's file a content of his own. Some S3 servers do not know checksums.
"""

import asyncio
import hashlib
from uuid import uuid4

import httpcore
import structlog

from reelay.common.storage.port import ObjectStore, SignedRequest, StoreUnavailableError
from reelay.upload.domain.errors import PresignedUnsupportedError

RIGHT, WRONG = b"the bytes that were signed", b"other bytes, just as many!"
EXPIRES_S = 60.0
TIMEOUTS_S = {"connect": 10.0, "read": 30.0, "write": 30.0, "pool": 10.0}
FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)

assert len(RIGHT) == len(WRONG)

log = structlog.get_logger()


class LinkProof:
    """Looks once per process, when links are first asked for."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._turn = asyncio.Lock()
        self._holds: bool | None = None

    async def check(self) -> None:
        """Raise PresignedUnsupportedError when the store takes other bytes than were signed.

        Raises StoreUnavailableError when its answer cannot be heard.
        """
        async with self._turn:
            if self._holds is None:
                self._holds = await self._find_out()
        if not self._holds:
            raise PresignedUnsupportedError

    async def _find_out(self) -> bool:
        key = f"staging/uploads/proof-{uuid4().hex}"
        attempt = await self._store.begin_parts(key, signed=True)
        try:
            digest = hashlib.sha256(RIGHT).hexdigest()
            link = await self._store.presign_part(
                key, attempt, 1, digest, EXPIRES_S, size_bytes=len(RIGHT)
            )
            if link.url.startswith("/"):
                return True  # answered by this service, which checks
            refused, taken = await _put(link, WRONG), await _put(link, RIGHT)
        finally:
            await self._store.abort_parts(key, attempt)
        if refused >= 500 or taken >= 500:
            raise StoreUnavailableError("The object store is not well; try again.")
        holds = refused >= 400 and 200 <= taken < 300
        if not holds:
            log.error("the store does not check digests", wrong_bytes=refused, right_bytes=taken)
        return holds


async def _put(link: SignedRequest, data: bytes) -> int:
    """Return the status of the answer."""
    headers = [*link.headers.items(), ("Content-Length", str(len(data)))]
    try:
        async with httpcore.AsyncConnectionPool() as pool:
            answer = await pool.request(
                link.method,
                link.url,
                headers=headers,
                content=data,
                extensions={"timeout": TIMEOUTS_S},
            )
    except FAILURES as error:
        address = link.url.partition("?")[0]
        raise StoreUnavailableError(f"{address} cannot be reached: {error!r}"[:300]) from error
    return int(answer.status)
