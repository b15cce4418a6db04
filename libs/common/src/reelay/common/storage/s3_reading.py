"""Reads objects from an S3 bucket, going on where a broken connection left off."""

import random
import time
from collections.abc import Generator

from minio.error import S3Error
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from reelay.common.storage.port import StoreUnavailableError
from reelay.common.storage.s3_requests import Bucket, s3_errors

BLOCK_BYTES = 256 * 1024
"""What one step yields at most."""
FIRST_BYTES = 32 * 1024
"""What the first one does: somebody may wait for the first bytes, and they come before the rest."""
RESUMPTIONS = 4
"""How often in a row, without a byte in between, a connection may break."""


def read_range(bucket: Bucket, key: str, start: int, end: int | None) -> Generator[bytes]:
    """Yield the bytes [start, end) of an object, `end` None meaning its end.

    After a break the rest is asked for on condition that the object is the same (`If-Match`).
    """
    etag, broken, size = "", 0, FIRST_BYTES
    while True:
        response = _open(bucket, key, start, end, etag)
        if response is None:
            return
        etag = response.headers.get("ETag", "")
        try:
            while block := response.read(size):
                start += len(block)
                broken, size = 0, BLOCK_BYTES
                yield block
            return
        except (HTTPError, OSError) as error:
            broken += 1
            if broken > RESUMPTIONS or not etag:
                raise StoreUnavailableError(f"The object store failed: {error}") from error
        finally:
            # Closes the connection unless it was read to its end and went back to the pool.
            response.close()
            response.release_conn()
        time.sleep(random.uniform(0, 0.1 * 2**broken))  # noqa: S311 (jitter is no secret)


def _open(
    bucket: Bucket, key: str, start: int, end: int | None, etag: str
) -> BaseHTTPResponse | None:
    """Return the answer to a ranged GET; None when nothing lies there (any more)."""
    if end is not None and end <= start:
        return None
    length = 0 if end is None else end - start
    headers: dict[str, str | list[str] | tuple[str]] = {"If-Match": etag} if etag else {}
    with s3_errors():
        try:
            return bucket.client.get_object(
                bucket.name, key, offset=start, length=length, request_headers=headers
            )
        except S3Error as error:
            if error.code == "InvalidRange":
                return None
            raise
