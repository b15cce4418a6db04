"""An object store in an S3 bucket: AWS, SeaweedFS, MinIO, Ceph and others."""

import base64
import time
from collections.abc import AsyncIterator, Callable, Container, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio

from reelay.common.identity import MAX_PARTS
from reelay.common.storage.blocking import BlockingCalls
from reelay.common.storage.port import (
    Bytes,
    InvalidPartsError,
    ObjectInfo,
    PartInfo,
    PutResult,
    SignedRequest,
    check_key,
    check_part,
    check_part_number,
    check_prefix,
)
from reelay.common.storage.s3_listing import parts_of, scan_bucket
from reelay.common.storage.s3_objects import SINGLE_PUT_MAX_BYTES, BucketObjects
from reelay.common.storage.s3_presign import Signer
from reelay.common.storage.s3_reading import Reader
from reelay.common.storage.s3_requests import (
    READ_TIMEOUT_S,
    Bucket,
    Connections,
    Guard,
    s3_errors,
)

THREADS = 32
CONNECTIONS = 64


class S3ObjectStore:
    """An object store in a bucket, which is made on first use.

    Writes are conditional (`If-None-Match: *`), for whole objects and for the completion of parts.
    Of several attempts completed under one key in the same instant SeaweedFS 4.48 may let two win,
    one after the other; AWS lets one. Whole objects are exact on both.
    """

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        access_key: str,
        secret_key: str,
        *,
        tls: bool = False,
        region: str = "us-east-1",
        public_url: str | None = None,
        single_put_max_bytes: int = SINGLE_PUT_MAX_BYTES,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Connect to `endpoint` (`host:port`) when first used.

        Links are signed for `public_url` (`https://host:port`) where clients know another address.
        """
        guard = Guard()
        connections = Connections(CONNECTIONS, read_timeout_s, guard)
        client = Minio(
            endpoint,
            access_key,
            secret_key,
            secure=tls,
            region=region,
            http_client=connections,
        )
        self._bucket = Bucket(client, connections, bucket)
        known_as, with_tls = (endpoint, tls) if public_url is None else _address(public_url)
        self._signer = Signer(known_as, access_key, secret_key, region, with_tls)
        # minio tells where the bucket is: in the path, or at AWS in the server's name.
        place = urlsplit(client.get_presigned_url("GET", bucket, "k"))
        reached_as = Signer(place.netloc, access_key, secret_key, region, tls)
        folder = place.path.removesuffix("/k")
        self._reader = Reader(reached_as, folder, guard, read_timeout_s)
        self._objects = BucketObjects(self._bucket, single_put_max_bytes)
        self._calls = BlockingCalls("s3-store", THREADS)

    async def put(self, key: str, data: Bytes | Path) -> PutResult:
        """See ObjectStore. Raises FileNotFoundError when `data` is a path that leads nowhere."""
        check_key(key)
        return await self._calls.run(self._objects.put, key, data)

    async def head(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        check_key(key)
        return await self._reader.head(key)

    def anticipate(self, key: str, begun: Callable[[bytes], None]) -> None:
        """See ObjectStore."""
        self._reader.anticipate(check_key(key), begun)

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore."""
        check_key(key)
        if end is not None and end <= start:
            return self._nothing(key)
        return self._reader.read(key, start, end)

    async def delete(self, key: str) -> None:
        """See ObjectStore."""
        check_key(key)
        await self._calls.run(self._objects.delete, key)

    async def scan(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """See ObjectStore."""
        check_prefix(prefix)
        async for infos in self._calls.stream(scan_bucket(self._bucket, prefix)):
            for info in infos:
                yield info

    def local_path(self, key: str) -> Path | None:
        """See ObjectStore. Nothing lies on this machine."""
        check_key(key)
        return None

    async def begin_parts(self, key: str, *, signed: bool = False) -> str:
        """See ObjectStore. The attempt is the S3 upload id."""
        check_key(key)
        return await self._calls.run(self._objects.begin_parts, key, signed)

    async def put_part(
        self, key: str, attempt: str, number: int, data: Bytes, sha256: bytes | None = None
    ) -> str:
        """See ObjectStore. The tag is the part's ETag, without quotes."""
        check_key(key)
        check_part(number, data)
        return await self._calls.run(self._objects.put_part, key, attempt, number, data)

    async def list_parts(self, key: str, attempt: str) -> list[PartInfo]:
        """See ObjectStore."""
        check_key(key)
        return await self._calls.run(parts_of, self._bucket, key, attempt)

    async def complete_parts(
        self,
        key: str,
        attempt: str,
        tags: list[str],
        last: Bytes = b"",
        *,
        digests: Sequence[bytes] = (),
    ) -> PutResult:
        """See ObjectStore."""
        check_key(key)
        if last:
            check_part(len(tags) + 1, last)
        elif not 0 < len(tags) <= MAX_PARTS:
            raise InvalidPartsError
        return await self._calls.run(
            self._objects.complete_parts, key, attempt, tags, last, digests
        )

    async def abort_parts(self, key: str, attempt: str) -> None:
        """See ObjectStore."""
        check_key(key)
        await self._calls.run(self._objects.abort_parts, key, attempt)

    async def presign_part(
        self,
        key: str,
        attempt: str,
        number: int,
        sha256: str,
        expires_s: float,
        *,
        size_bytes: int,
    ) -> SignedRequest:
        """See ObjectStore. The server checks digest and length, as their headers are signed."""
        check_key(key)
        check_part_number(number)
        headers = {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        query = {"partNumber": str(number), "uploadId": attempt}
        path = f"/{self._bucket.name}/{key}"
        signed = {**headers, "content-length": str(size_bytes)}
        url = self._signer.url("PUT", path, query, signed, expires_s)
        return SignedRequest("PUT", url, headers, time.time() + expires_s)

    async def presign_get(self, key: str, expires_s: float) -> SignedRequest:
        """See ObjectStore."""
        path = f"/{self._bucket.name}/{check_key(key)}"
        url = self._signer.url("GET", path, {}, {}, expires_s)
        return SignedRequest("GET", url, {}, time.time() + expires_s)

    async def sweep(self, older_than_s: float, keep: Container[str] = ()) -> int:
        """See ObjectStore. Age counts from the begin, all that S3 tells of an attempt.

        A lifecycle rule (AbortIncompleteMultipartUpload) goes by it too, and keeps nothing.
        """
        return await self._calls.run(self._objects.sweep, older_than_s, keep)

    async def check(self) -> None:
        """See ObjectStore."""
        with s3_errors():
            await self._calls.run(self._bucket.make)

    async def aclose(self) -> None:
        """See ObjectStore."""
        await self._reader.aclose()

    async def _nothing(self, key: str) -> AsyncIterator[bytes]:
        await self.head(key)
        return
        yield b""


def _address(url: str) -> tuple[str, bool]:
    """Return `host:port` and whether TLS is spoken there; raise ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise ValueError(f"{url} is no address of a server; it must look like https://host:port")
    return parts.netloc, parts.scheme == "https"
