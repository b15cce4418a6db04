"""An object store in an S3 bucket: AWS, SeaweedFS, MinIO, Ceph and others."""

import base64
import io
import random
import threading
import time
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from pathlib import Path
from typing import IO

from minio import Minio
from minio.error import S3Error

from reelay.common.identity import MAX_PARTS, PART_SIZE_BYTES
from reelay.common.storage.blocking import BlockingCalls
from reelay.common.storage.port import (
    AttemptMissingError,
    InvalidKeyError,
    InvalidPartsError,
    ObjectInfo,
    ObjectMissingError,
    PartInfo,
    PutResult,
    SignedRequest,
    StoreUnavailableError,
    check_key,
    check_part,
    check_part_number,
    check_prefix,
)
from reelay.common.storage.s3_listing import described, parts_of, scan_bucket, unfinished
from reelay.common.storage.s3_presign import Signer
from reelay.common.storage.s3_reading import read_range
from reelay.common.storage.s3_requests import (
    READ_TIMEOUT_S,
    Bucket,
    Connections,
    Query,
    completion,
    s3_errors,
)

THREADS = 32
CONNECTIONS = 64
SINGLE_PUT_MAX_BYTES = 1024**3
"""Larger files are sent in parts; S3 itself takes 5 GiB in one request."""
ASK_FIRST_BYTES = 1024 * 1024
"""From this size on it is worth asking whether the object exists before its bytes are sent."""
CONFLICT_TRIES = 6
WRITE_ONCE = {"If-None-Match": "*"}
CONFLICTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted"})
"""Error codes of 412 and 409: the key is taken, or somebody is writing it."""


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
        single_put_max_bytes: int = SINGLE_PUT_MAX_BYTES,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Connect to `endpoint` (`host:port`) when first used."""
        connections = Connections(CONNECTIONS, read_timeout_s)
        client = Minio(
            endpoint,
            access_key,
            secret_key,
            secure=tls,
            region=region,
            http_client=connections,
        )
        self._bucket = Bucket(client, connections, bucket)
        self._signer = Signer(endpoint, access_key, secret_key, region, tls)
        self._single_put_max_bytes = single_put_max_bytes
        self._calls = BlockingCalls("s3-store", THREADS)
        self._bucket_lock = threading.Lock()
        self._bucket_made = False

    async def put(self, key: str, data: bytes | Path) -> PutResult:
        """See ObjectStore. Raises FileNotFoundError when `data` is a path that leads nowhere."""
        check_key(key)
        return await self._calls.run(self._put, key, data)

    async def head(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        check_key(key)
        return await self._calls.run(self._head, key)

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore."""
        check_key(key)
        return self._calls.stream(self._blocks(key, start, end))

    async def delete(self, key: str) -> None:
        """See ObjectStore."""
        check_key(key)
        await self._calls.run(self._delete, key)

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

    async def begin_parts(self, key: str) -> str:
        """See ObjectStore. The attempt is the S3 upload id."""
        check_key(key)
        return await self._calls.run(self._begin_parts, key)

    async def put_part(self, key: str, attempt: str, number: int, data: bytes) -> str:
        """See ObjectStore. The tag is the part's ETag, without quotes."""
        check_key(key)
        check_part(number, data)
        return await self._calls.run(self._put_part, key, attempt, number, data)

    async def list_parts(self, key: str, attempt: str) -> list[PartInfo]:
        """See ObjectStore."""
        check_key(key)
        return await self._calls.run(parts_of, self._bucket, key, attempt)

    async def complete_parts(self, key: str, attempt: str, tags: list[str]) -> PutResult:
        """See ObjectStore."""
        check_key(key)
        if not 0 < len(tags) <= MAX_PARTS:
            raise InvalidPartsError
        return await self._calls.run(self._complete_parts, key, attempt, tags)

    async def abort_parts(self, key: str, attempt: str) -> None:
        """See ObjectStore."""
        check_key(key)
        await self._calls.run(self._abort_parts, key, attempt)

    async def presign_part(
        self, key: str, attempt: str, number: int, sha256: str, expires_s: float
    ) -> SignedRequest:
        """See ObjectStore. The server checks the digest, as its header is signed."""
        check_key(key)
        check_part_number(number)
        headers = {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        query = {"partNumber": str(number), "uploadId": attempt}
        path = f"/{self._bucket.name}/{key}"
        url = self._signer.url("PUT", path, query, headers, expires_s)
        return SignedRequest("PUT", url, headers)

    async def presign_get(self, key: str, expires_s: float) -> SignedRequest:
        """See ObjectStore."""
        path = f"/{self._bucket.name}/{check_key(key)}"
        return SignedRequest("GET", self._signer.url("GET", path, {}, {}, expires_s), {})

    async def sweep(self, older_than_s: float) -> int:
        """See ObjectStore. A lifecycle rule (AbortIncompleteMultipartUpload) does the same."""
        return await self._calls.run(self._sweep, older_than_s)

    async def check(self) -> None:
        """See ObjectStore."""
        with s3_errors():
            await self._calls.run(self._bucket.make)

    def _put(self, key: str, data: bytes | Path) -> PutResult:
        source: IO[bytes] = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
        with source:
            size_bytes = source.seek(0, io.SEEK_END)
            source.seek(0)
            self._make_bucket_once()
            if size_bytes >= ASK_FIRST_BYTES:
                with suppress(ObjectMissingError):
                    return PutResult(self._head(key), created=False)
            if size_bytes > self._single_put_max_bytes:
                return self._put_in_parts(key, source)
            headers = {"Content-Length": str(size_bytes)}
            return self._write_once("PUT", key, source, headers)

    def _put_in_parts(self, key: str, source: IO[bytes]) -> PutResult:
        attempt = self._begin_parts(key)
        try:
            tags: list[str] = []
            while data := source.read(PART_SIZE_BYTES):
                tags.append(self._put_part(key, attempt, len(tags) + 1, data))
            return self._complete_parts(key, attempt, tags)
        except BaseException:
            self._abort_parts(key, attempt)
            raise

    def _write_once(
        self,
        method: str,
        key: str,
        body: IO[bytes],
        headers: dict[str, str],
        query: Query | None = None,
    ) -> PutResult:
        """Send a conditional request; when the key is taken, describe the object under it."""
        for tried in range(CONFLICT_TRIES):
            body.seek(0)
            with s3_errors():
                try:
                    self._bucket.send(method, key, body, {**headers, **WRITE_ONCE}, query)
                except S3Error as error:
                    if error.code not in CONFLICTS:
                        raise
                    created = False
                else:
                    created = True
            with suppress(ObjectMissingError):
                return PutResult(self._head(key), created)
            # Refused, yet not there: a writer that failed, a deletion, or SeaweedFS's directory.
            if self._is_directory(key):
                raise InvalidKeyError(f"{key} is the directory of other objects")
            time.sleep(random.uniform(0, 0.1 * 2**tried))  # noqa: S311 (jitter is no secret)
        raise StoreUnavailableError(f"{key} is deleted as often as it is stored")

    def _head(self, key: str) -> ObjectInfo:
        with s3_errors():
            found = self._bucket.client.stat_object(self._bucket.name, key)
            return described(key, found)

    def _blocks(self, key: str, start: int, end: int | None) -> Generator[bytes]:
        if end is not None and end <= start:
            self._head(key)
            return
        yield from read_range(self._bucket, key, start, end)

    def _delete(self, key: str) -> None:
        with suppress(ObjectMissingError), s3_errors():
            self._bucket.client.remove_object(self._bucket.name, key)

    def _begin_parts(self, key: str) -> str:
        self._make_bucket_once()
        with s3_errors():
            return self._bucket.client._create_multipart_upload(self._bucket.name, key, {})

    def _put_part(self, key: str, attempt: str, number: int, data: bytes) -> str:
        query: Query = {"partNumber": str(number), "uploadId": attempt}
        with s3_errors():
            response = self._bucket.send("PUT", key, data, query=query)
        return response.headers["ETag"].strip('"')

    def _complete_parts(self, key: str, attempt: str, tags: list[str]) -> PutResult:
        """Complete conditionally, after a look for servers that do not know the condition."""
        try:
            result = PutResult(self._head(key), created=False)
        except ObjectMissingError:
            body = io.BytesIO(completion(tags))
            headers = {"Content-Type": "application/xml"}
            try:
                result = self._write_once("POST", key, body, headers, {"uploadId": attempt})
            except AttemptMissingError as missing:
                try:
                    result = PutResult(self._head(key), created=False)
                except ObjectMissingError:
                    raise missing from None
        if not result.created:
            self._abort_parts(key, attempt)
        return result

    def _abort_parts(self, key: str, attempt: str) -> None:
        with suppress(AttemptMissingError), s3_errors():
            self._bucket.client._abort_multipart_upload(self._bucket.name, key, attempt)

    def _sweep(self, older_than_s: float) -> int:
        before_s = time.time() - older_than_s
        old = [
            (key, attempt)
            for key, attempt, begun_s in unfinished(self._bucket)
            if begun_s < before_s
        ]
        for key, attempt in old:
            self._abort_parts(key, attempt)
        return len(old)

    def _is_directory(self, key: str) -> bool:
        with s3_errors():
            below = self._bucket.client.list_objects(self._bucket.name, f"{key}/")
            return next(iter(below), None) is not None

    def _make_bucket_once(self) -> None:
        with self._bucket_lock:
            if not self._bucket_made:
                with s3_errors():
                    self._bucket.make()
                self._bucket_made = True
