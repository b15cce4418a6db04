"""Requests to one S3 bucket: pooled, bounded in time, tried again, with the store's errors."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from html import escape
from http import HTTPStatus
from itertools import zip_longest
from typing import IO, Any
from xml.etree import ElementTree

import structlog
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from reelay.common import metrics
from reelay.common.storage.breaker import Circuit, CircuitBreaker
from reelay.common.storage.port import (
    AttemptMissingError,
    Bytes,
    InvalidKeyError,
    InvalidPartsError,
    ObjectMissingError,
    StoreFullError,
    StoreRefusesError,
    StoreUnavailableError,
)

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
PRESIGNED_FOR = timedelta(minutes=15)
OCTETS = "application/octet-stream"
SEND_BYTES = 256 * 1024
RETRIED = (429, 500, 502, 503, 504)
"""Statuses after which the same request may have another answer."""

log = structlog.get_logger()

Query = dict[str, str | list[str] | tuple[str]]

NAMED = {
    "EntityTooSmall": InvalidPartsError,
    "InvalidPart": InvalidPartsError,
    "InvalidPartOrder": InvalidPartsError,
    "KeyTooLongError": InvalidKeyError,
    "NoSuchBucket": ObjectMissingError,
    "NoSuchKey": ObjectMissingError,
    "NoSuchUpload": AttemptMissingError,
    "QuotaExceeded": StoreFullError,
    "XMinioAdminBucketQuotaExceeded": StoreFullError,
    "XMinioStorageFull": StoreFullError,
}
"""What S3 error codes mean to the store's users; all others, that it cannot be used now."""


class CircuitOpenError(HTTPError):
    """The server failed several times in a row and is left alone for some seconds."""


class Guard:
    """Stands before one server, and lets nobody pass for a while after failures in a row.

    An answer of 5xx after all tries is a failure as no answer is; every other answer shows that
    the server works.
    """

    def __init__(self) -> None:
        self._breaker = CircuitBreaker()

    def enter(self) -> None:
        """Raise CircuitOpenError while the server is left alone; else tell the outcome later."""
        if not self._breaker.lets_pass():
            raise CircuitOpenError("it failed several times in a row and is left alone for now")

    @property
    def sees_none_fail(self) -> bool:
        """Whether `enter` would let everybody pass."""
        return self._breaker.state is Circuit.CLOSED

    def answered(self, status: int) -> None:
        """Note an answer."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.failed(f"status {status}")
        else:
            self._breaker.succeeded()

    def failed(self, reason: str) -> None:
        """Note that there was no answer."""
        if self._breaker.failed():
            metrics.STORE_CIRCUIT_OPENED.inc()
            log.warning("object store is left alone for now", reason=reason[:300])


class Connections(urllib3.PoolManager):
    """Connections to one server, behind a guard.

    Idempotent requests are tried again after growing, jittered waits; POST (which begins and
    completes multipart uploads) only when it was never sent.
    """

    def __init__(self, connections: int, read_timeout_s: float, guard: Guard) -> None:
        super().__init__(
            maxsize=connections,
            blocksize=SEND_BYTES,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=read_timeout_s),
            retries=urllib3.Retry(
                total=4,
                backoff_factor=0.2,
                backoff_jitter=0.2,
                backoff_max=5,
                status_forcelist=RETRIED,
                raise_on_status=False,
            ),
        )
        self._guard = guard

    def urlopen(  # type: ignore[override]  # the base has overloads that differ in nothing we use
        self, method: str, url: str, redirect: bool = True, **options: Any
    ) -> BaseHTTPResponse:
        """Make a request; raises CircuitOpenError while the server is left alone."""
        self._guard.enter()
        try:
            response = super().urlopen(method, url, redirect, **options)
        except HTTPError as error:
            self._guard.failed(repr(error))
            raise
        self._guard.answered(response.status)
        return response


@contextmanager
def s3_errors() -> Iterator[None]:
    """Turn the errors of the client and of its connections into the store's."""
    try:
        yield
    except S3Error as error:
        refused = error.response.status == HTTPStatus.FORBIDDEN
        unnamed = StoreRefusesError if refused else StoreUnavailableError
        meaning = NAMED.get(error.code or "", unnamed)
        raise meaning(f"The object store says {error.code}: {error.message}") from error
    except (MinioException, HTTPError, OSError) as error:
        why = str(error) or repr(error)
        raise StoreUnavailableError(f"The object store failed: {why}") from error


class Bucket:
    """A bucket, and requests to it that the client's public methods cannot make.

    `put_object(metadata=...)` of minio 7.2 sends no `If-None-Match` and so overwrites silently, and
    over plain HTTP it hashes every body. Presigned URLs sign neither headers nor body.
    """

    def __init__(self, client: Minio, connections: urllib3.PoolManager, name: str) -> None:
        self.client = client
        self.name = name
        self._connections = connections

    def send(
        self,
        method: str,
        key: str,
        body: Bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
    ) -> BaseHTTPResponse:
        """Send a presigned request and return its answer; raise S3Error for an error's."""
        url = self.client.get_presigned_url(
            method, self.name, key, PRESIGNED_FOR, extra_query_params=query
        )
        response = self._connections.request(
            method,
            url,
            body=body,  # type: ignore[arg-type]  # it sends any buffer
            headers={"Content-Type": OCTETS, **(headers or {})},
        )
        # CompleteMultipartUpload may answer 200 and tell of an error in the body.
        if response.status >= 400 or b"<Error>" in response.data[:200]:
            raise told(response)
        return response

    def make(self) -> None:
        """Make the bucket unless it is there."""
        if self.client.bucket_exists(self.name):
            return
        try:
            self.client.make_bucket(self.name)
        except S3Error as error:
            if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise


def completion(tags: list[str], digests: Sequence[bytes] = ()) -> bytes:
    """Return the body of CompleteMultipartUpload for parts 1..n with these ETags.

    If the parts came with digests, all of these must be said again.
    """
    sums = [f"<ChecksumSHA256>{b64encode(digest).decode()}</ChecksumSHA256>" for digest in digests]
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag>{digest}</Part>"
        for number, (tag, digest) in enumerate(zip_longest(tags, sums, fillvalue=""), start=1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


def told(response: BaseHTTPResponse) -> S3Error:
    """Read an error answer.

    One without a body is known by its status alone; any other body is not of an object store.
    """
    if b"<Error>" in response.data:
        with suppress(ElementTree.ParseError):
            return S3Error.fromxml(response)
    code = {404: "NoSuchKey", 409: "ConditionalRequestConflict", 412: "PreconditionFailed"}
    name = f"HTTP status {response.status}"
    if not response.data:
        name = code.get(response.status, name)
    return S3Error(response, name, response.reason, None, None, None)
