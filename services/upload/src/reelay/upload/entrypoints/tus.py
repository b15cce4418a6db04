"""The protocol tus 1.0 (tus.io/protocols/resumable-upload): headers in, headers out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

from fastapi import Request

from reelay.common.errors import InvalidRequestError
from reelay.upload.domain.checksum import ALGORITHMS, Checksum, parse_checksum
from reelay.upload.domain.concatenation import parse_concatenation
from reelay.upload.domain.errors import UnsupportedVersionError, WrongContentTypeError
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.upload import Kind, Upload
from reelay.upload.handlers.creation import NewUpload

PREFIX = "/api/v1/uploads"
VERSION = "1.0.0"
EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,"
    "termination,expiration,checksum,concatenation"
)
CONTENT_TYPE = "application/offset+octet-stream"
MAX_DIGITS = 19
BEYOND = 10**MAX_DIGITS
"""Stands for every larger number: it is beyond all limits, and needs no arithmetic."""
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Upload-Defer-Length",
    "Upload-Concat",
    "Upload-Checksum",
    "X-HTTP-Method-Override",
    "X-Request-ID",
    "X-Requested-With",
)
"""What a browser's script may send."""
RESPONSE_HEADERS = (
    "Location",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Expires",
    "Retry-After",
)
"""What a browser's script may read."""


def capabilities(limits: Limits) -> dict[str, str]:
    """Return what OPTIONS says."""
    return {
        "tus-version": VERSION,
        "tus-extension": EXTENSIONS,
        "tus-max-size": str(limits.max_size_bytes),
        "tus-checksum-algorithm": ",".join(ALGORITHMS),
    }


def check_version(request: Request) -> None:
    """Raise UnsupportedVersionError unless the client speaks our version."""
    if request.headers.get("tus-resumable") != VERSION:
        raise UnsupportedVersionError


def number_in(request: Request, name: str) -> int:
    """Return a header that must be a non-negative number; raise InvalidRequestError."""
    value = request.headers.get(name)
    if value is None:
        raise InvalidRequestError(f"The header {name} is missing.")
    if not (value.isascii() and value.isdecimal()):
        raise InvalidRequestError(f"{name} is not a non-negative number.")
    digits = value.lstrip("0")
    return int(digits or "0") if len(digits) <= MAX_DIGITS else BEYOND


def new_upload(request: Request) -> NewUpload:
    """Return what a client wants to send; raise InvalidRequestError when it does not say so."""
    headers = request.headers
    concatenation = parse_concatenation(headers.get("upload-concat"), PREFIX)
    metadata = headers.get("upload-metadata", "")
    deferred = headers.get("upload-defer-length")
    if concatenation.kind is Kind.FINAL:
        if deferred is not None or "upload-length" in headers:
            raise InvalidRequestError("The length of a final upload is that of its pieces.")
        return NewUpload(None, metadata, concatenation)
    if deferred is None:
        return NewUpload(number_in(request, "Upload-Length"), metadata, concatenation)
    if deferred != "1" or "upload-length" in headers:
        raise InvalidRequestError("Send Upload-Length, or `Upload-Defer-Length: 1` instead of it.")
    return NewUpload(None, metadata, concatenation)


def late_length(request: Request) -> int | None:
    """Return the length that a PATCH tells of an upload that deferred it."""
    return number_in(request, "Upload-Length") if "upload-length" in request.headers else None


def checksum(request: Request) -> Checksum | None:
    """Return the checksum of a request's bytes, if it has one; raise InvalidRequestError."""
    header = request.headers.get("upload-checksum")
    return None if header is None else parse_checksum(header)


def check_content_type(request: Request) -> None:
    """Raise WrongContentTypeError unless the body is declared as bytes of an upload."""
    if request.headers.get("content-type", "").strip().lower() != CONTENT_TYPE:
        raise WrongContentTypeError


def location(upload: Upload) -> str:
    """Return where an upload is: a path, as only the client knows under which host it asked."""
    return f"{PREFIX}/{upload.id}"


def progress_headers(upload: Upload, expires_after_s: float) -> dict[str, str]:
    """Return how far an upload is, and until when an unfinished one is kept (RFC 9110 date).

    A final upload has no offset until it is joined (tus 1.0, section Concatenation).
    """
    headers = {}
    if not upload.waits_to_be_joined:
        headers["upload-offset"] = str(upload.offset_bytes)
    if upload.may_expire:
        expires = (upload.updated_at or datetime.now(UTC)) + timedelta(seconds=expires_after_s)
        headers["upload-expires"] = format_datetime(expires.astimezone(UTC), usegmt=True)
    return headers


def state_headers(
    upload: Upload, partial_ids: Sequence[UUID], expires_after_s: float
) -> dict[str, str]:
    """Return all that HEAD says of an upload."""
    headers = progress_headers(upload, expires_after_s)
    if upload.size_bytes is None:
        headers["upload-defer-length"] = "1"
    else:
        headers["upload-length"] = str(upload.size_bytes)
    if upload.metadata:
        headers["upload-metadata"] = upload.metadata
    if upload.is_partial:
        headers["upload-concat"] = "partial"
    elif upload.kind is Kind.FINAL:
        headers["upload-concat"] = "final;" + " ".join(f"{PREFIX}/{id_}" for id_ in partial_ids)
    return headers
