"""Upload-Concat (tus 1.0, section Concatenation): `partial`, or `final;` and what to join."""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from reelay.common.errors import InvalidRequestError
from reelay.upload.domain.upload import Kind

MAX_PARTIALS = 100
"""Most partial uploads of one file; clients send a handful at a time."""


@dataclass(frozen=True)
class Concatenation:
    """What an upload is for, and of what it is made."""

    kind: Kind = Kind.WHOLE
    partial_ids: tuple[UUID, ...] = ()


def parse_concatenation(header: str | None, prefix: str) -> Concatenation:
    """Return what Upload-Concat says; raise InvalidRequestError.

    Uploads are named by URL or path; only a path below `prefix` counts, whatever the host: the
    client may know this server under another name.
    """
    if header is None:
        return Concatenation()
    if header.strip() == "partial":
        return Concatenation(Kind.PARTIAL)
    word, _, urls = header.strip().partition(";")
    if word != "final" or not urls.split():
        raise InvalidRequestError("Upload-Concat is neither `partial` nor `final;` and URLs.")
    ids = tuple(_upload_id(url, prefix) for url in urls.split())
    if len(ids) > MAX_PARTIALS:
        raise InvalidRequestError(f"Upload-Concat joins at most {MAX_PARTIALS} uploads.")
    if len(set(ids)) != len(ids):
        raise InvalidRequestError("Upload-Concat names an upload twice.")
    return Concatenation(Kind.FINAL, ids)


def _upload_id(url: str, prefix: str) -> UUID:
    try:
        folder, _, name = urlsplit(url).path.rpartition("/")
        if folder == prefix:
            return UUID(name)
    except ValueError:
        pass
    raise InvalidRequestError(f"Upload-Concat: {url[:100]!r} is no upload of this server.")
