"""What an S3 store does with single objects, each call blocking until it is done."""

import io
import random
import threading
import time
from collections.abc import Container, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from minio.error import S3Error

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage.port import (
    AttemptMissingError,
    Bytes,
    InvalidKeyError,
    ObjectInfo,
    ObjectMissingError,
    PutResult,
    StoreUnavailableError,
)
from reelay.common.storage.s3_listing import described, unfinished
from reelay.common.storage.s3_requests import Bucket, Query, completion, s3_errors

SINGLE_PUT_MAX_BYTES = 1024**3
"""Larger files are sent in parts; S3 itself takes 5 GiB in one request."""
ASK_FIRST_BYTES = 1024 * 1024
"""From this size on it is worth asking whether the object exists before its bytes are sent."""
CONFLICT_TRIES = 6
WRITE_ONCE = {"If-None-Match": "*"}
CONFLICTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "OperationAborted"})
"""Error codes of 412 and 409: the key is taken, or somebody is writing it."""


class BucketObjects:
    """Conditional writes, and what follows from their answers."""

    def __init__(self, bucket: Bucket, single_put_max_bytes: int) -> None:
        self._bucket = bucket
        self._single_put_max_bytes = single_put_max_bytes
        self._bucket_lock = threading.Lock()
        self._bucket_made = False

    def put(self, key: str, data: Bytes | Path) -> PutResult:
        """Store an object unless its key is taken."""
        source: IO[bytes] = data.open("rb") if isinstance(data, Path) else io.BytesIO(data)
        with source:
            size_bytes = source.seek(0, io.SEEK_END)
            source.seek(0)
            self.make_bucket_once()
            if size_bytes >= ASK_FIRST_BYTES:
                with suppress(ObjectMissingError):
                    return PutResult(self.head(key), created=False)
            if size_bytes > self._single_put_max_bytes:
                return self._put_in_parts(key, source)
            headers = {"Content-Length": str(size_bytes)}
            return self._write_once("PUT", key, source, headers)

    def _put_in_parts(self, key: str, source: IO[bytes]) -> PutResult:
        attempt = self.begin_parts(key)
        try:
            tags: list[str] = []
            while data := source.read(PART_SIZE_BYTES):
                tags.append(self.put_part(key, attempt, len(tags) + 1, data))
            return self.complete_parts(key, attempt, tags)
        except BaseException:
            self.abort_parts(key, attempt)
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
                return PutResult(self.head(key), created)
            # Refused, yet not there: a writer that failed, a deletion, or SeaweedFS's directory.
            if self._is_directory(key):
                raise InvalidKeyError(f"{key} is the directory of other objects")
            time.sleep(random.uniform(0, 0.1 * 2**tried))  # noqa: S311 (jitter is no secret)
        raise StoreUnavailableError(f"{key} is deleted as often as it is stored")

    def head(self, key: str) -> ObjectInfo:
        """Describe an object."""
        with s3_errors():
            found = self._bucket.client.stat_object(self._bucket.name, key)
            return described(key, found)

    def delete(self, key: str) -> None:
        """Remove an object, if there."""
        with suppress(ObjectMissingError), s3_errors():
            self._bucket.client.remove_object(self._bucket.name, key)

    def begin_parts(self, key: str, signed: bool = False) -> str:
        """Begin a multipart upload; return its id.

        Parts come with digests if it was begun with their algorithm, and without them otherwise:
        anything else is an InvalidRequest (AWS, SeaweedFS 4.48).
        """
        self.make_bucket_once()
        algorithm: Query = {"x-amz-checksum-algorithm": "SHA256"} if signed else {}
        with s3_errors():
            return self._bucket.client._create_multipart_upload(self._bucket.name, key, algorithm)

    def put_part(self, key: str, attempt: str, number: int, data: Bytes) -> str:
        """Store a part; return its ETag without quotes."""
        query: Query = {"partNumber": str(number), "uploadId": attempt}
        with s3_errors():
            response = self._bucket.send("PUT", key, data, query=query)
        return response.headers["ETag"].strip('"')

    def complete_parts(
        self,
        key: str,
        attempt: str,
        tags: list[str],
        last: Bytes = b"",
        digests: Sequence[bytes] = (),
    ) -> PutResult:
        """Complete conditionally, after a look for servers that do not know the condition."""
        try:
            result = PutResult(self.head(key), created=False)
        except ObjectMissingError:
            headers = {"Content-Type": "application/xml"}
            try:
                if last:
                    tags = [*tags, self.put_part(key, attempt, len(tags) + 1, last)]
                body = io.BytesIO(completion(tags, digests))
                result = self._write_once("POST", key, body, headers, {"uploadId": attempt})
            except AttemptMissingError as missing:
                try:
                    result = PutResult(self.head(key), created=False)
                except ObjectMissingError:
                    raise missing from None
        if not result.created:
            self.abort_parts(key, attempt)
        return result

    def abort_parts(self, key: str, attempt: str) -> None:
        """End a multipart upload, if there."""
        with suppress(AttemptMissingError), s3_errors():
            self._bucket.client._abort_multipart_upload(self._bucket.name, key, attempt)

    def sweep(self, older_than_s: float, keep: Container[str] = ()) -> int:
        """End multipart uploads that were begun longer ago, but those to keep; return how many."""
        before_s = time.time() - older_than_s
        old = [
            (key, attempt)
            for key, attempt, begun_s in unfinished(self._bucket)
            if begun_s < before_s and attempt not in keep
        ]
        for key, attempt in old:
            self.abort_parts(key, attempt)
        return len(old)

    def _is_directory(self, key: str) -> bool:
        with s3_errors():
            below = self._bucket.client.list_objects(self._bucket.name, f"{key}/")
            return next(iter(below), None) is not None

    def make_bucket_once(self) -> None:
        """Make the bucket before the first write."""
        with self._bucket_lock:
            if not self._bucket_made:
                with s3_errors():
                    self._bucket.make()
                self._bucket_made = True
