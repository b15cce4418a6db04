"""The protocol tus 1.0 (tus.io/protocols/resumable-upload): headers in, headers out."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fastapi import Request

from reelay.common.errors import InvalidRequestError
from reelay.common.identity import MAX_ASSET_BYTES
from reelay.upload.domain.errors import UnsupportedVersionError, WrongContentTypeError
from reelay.upload.domain.upload import Upload

PREFIX = "/api/v1/uploads"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,expiration"
CONTENT_TYPE = "application/offset+octet-stream"
MAX_DIGITS = 19

CAPABILITIES = {
    "tus-version": VERSION,
    "tus-extension": EXTENSIONS,
    "tus-max-size": str(MAX_ASSET_BYTES),
}
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Tus-Resumable",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Upload-Defer-Length",
    "Upload-Concat",
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
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Expires",
    "Retry-After",
)
"""What a browser's script may read."""


def check_version(request: Request) -> None:
    """Raise UnsupportedVersionError unless the client speaks our version."""
    if request.headers.get("tus-resumable") != VERSION:
        raise UnsupportedVersionError


def number_in(request: Request, name: str) -> int:
    """Return a header that must be a non-negative number; raise InvalidRequestError."""
    value = request.headers.get(name)
    if value is None:
        raise InvalidRequestError(f"The header {name} is missing.")
    if not (value.isascii() and value.isdecimal() and len(value) <= MAX_DIGITS):
        raise InvalidRequestError(f"{name} is not a non-negative number.")
    return int(value)


def upload_length(request: Request) -> int:
    """Return the size of the file in bytes; raise InvalidRequestError when it is not told."""
    if "upload-defer-length" in request.headers:
        raise InvalidRequestError("Upload-Defer-Length is not supported; send Upload-Length.")
    if "upload-concat" in request.headers:
        raise InvalidRequestError("Upload-Concat is not supported; send the file as one upload.")
    return number_in(request, "Upload-Length")


def check_content_type(request: Request) -> None:
    """Raise WrongContentTypeError unless the body is declared as bytes of an upload."""
    if request.headers.get("content-type", "").strip().lower() != CONTENT_TYPE:
        raise WrongContentTypeError


def location(upload: Upload) -> str:
    """Return where an upload is: a path, as only the client knows under which host it asked."""
    return f"{PREFIX}/{upload.id}"


def progress_headers(upload: Upload, expires_after_s: float) -> dict[str, str]:
    """Return how far an upload is, and until when an unfinished one is kept (RFC 9110 date)."""
    headers = {"upload-offset": str(upload.offset_bytes)}
    if upload.remaining_bytes:
        expires = (upload.updated_at or datetime.now(UTC)) + timedelta(seconds=expires_after_s)
        headers["upload-expires"] = format_datetime(expires.astimezone(UTC), usegmt=True)
    return headers


def state_headers(upload: Upload, expires_after_s: float) -> dict[str, str]:
    """Return all that HEAD says of an upload."""
    headers = progress_headers(upload, expires_after_s)
    headers["upload-length"] = str(upload.size_bytes)
    if upload.metadata:
        headers["upload-metadata"] = upload.metadata
    return headers
