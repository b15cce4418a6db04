"""Upload-Metadata (tus 1.0, section Creation): `key base64, key base64`."""

import base64
import binascii
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from reelay.common.errors import InvalidRequestError, UnprocessableError

MAX_HEADER_CHARS = 8192
MAX_FILENAME_CHARS = 255


class InvalidMetadataError(InvalidRequestError):
    """Upload-Metadata is not a list of `key base64value` pairs."""


@dataclass(frozen=True)
class FileDescription:
    """What a client says about its file."""

    video_id: UUID | None
    filename: str | None


def parse_metadata(header: str) -> dict[str, bytes]:
    """Return the decoded values by key; raise InvalidMetadataError."""
    if len(header) > MAX_HEADER_CHARS:
        raise InvalidMetadataError(f"Upload-Metadata is longer than {MAX_HEADER_CHARS} characters.")
    found: dict[str, bytes] = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        if not key:
            if header.strip():
                raise InvalidMetadataError("Upload-Metadata has a pair without a key.")
            continue
        if key in found or not key.isascii():
            raise InvalidMetadataError(f"Upload-Metadata: the key {key[:50]!r} cannot be used.")
        found[key] = _decode(key, value.strip())
    return found


def format_metadata(**values: object) -> str:
    """Return a header that says these values, without those that are None."""
    return ",".join(
        f"{key} {base64.b64encode(str(value).encode()).decode()}"
        for key, value in values.items()
        if value is not None
    )


def _decode(key: str, value: str) -> bytes:
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidMetadataError(f"Upload-Metadata: {key[:50]!r} is not base64.") from error


def describe_file(metadata: Mapping[str, bytes]) -> FileDescription:
    """Return what Reelay needs of the metadata; raise UnprocessableError for a bad `video_id`."""
    video_id = None
    if raw := metadata.get("video_id", b"").strip():
        try:
            video_id = UUID(raw.decode("ascii"))
        except ValueError as error:
            raise UnprocessableError("Upload-Metadata: video_id is not a UUID.") from error
    name = metadata.get("filename", b"").decode(errors="replace")
    return FileDescription(video_id, clean_filename(name))


def clean_filename(name: str) -> str | None:
    """Return the last component of a name, printable and of bounded length; None if none is left.

    It is only ever shown to people; no path is made of it.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    printable = "".join(char for char in last if unicodedata.category(char)[0] != "C").strip()
    return printable[:MAX_FILENAME_CHARS] or None
