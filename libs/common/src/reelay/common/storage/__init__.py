"""The object store: a port, and its adapters for a filesystem and for S3."""

from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from reelay.common.errors import SetupError
from reelay.common.identity import PART_SIZE_BYTES, asset_id
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.mounted import assert_in_use
from reelay.common.storage.port import (
    AttemptMissingError,
    InvalidKeyError,
    InvalidLinkError,
    InvalidPartsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStore,
    PartInfo,
    PutResult,
    SignedRequest,
    StoreFullError,
    StoreRefusesError,
    StoreUnavailableError,
    WrongDigestError,
    read_all,
)
from reelay.common.storage.trial import assert_works

__all__ = [
    "AttemptMissingError",
    "InvalidKeyError",
    "InvalidLinkError",
    "InvalidPartsError",
    "ObjectInfo",
    "ObjectMissingError",
    "ObjectStore",
    "PartInfo",
    "PutResult",
    "SignedRequest",
    "StoreFullError",
    "StoreRefusesError",
    "StoreUnavailableError",
    "UnknownStoreError",
    "WrongDigestError",
    "assert_in_use",
    "assert_works",
    "composite_digest",
    "digest",
    "open_store",
    "read_all",
]

FORMS = (
    "file:///absolute/path or s3://key:secret@host:port/bucket, the latter with key and secret "
    "percent-encoded, and with ?tls=1, &region=name and &public=https://host:port where needed"
)


class UnknownStoreError(SetupError, ValueError):
    """This URL names no object store."""


def open_store(url: str) -> ObjectStore:
    """Return the object store that a URL names; raise UnknownStoreError when it names none.

    `file:///absolute/path`, or `s3://key:secret@host:port/bucket` with the optional parameters
    `tls=1`, `region=name`, and `public=https://host:port`, the address under which those who follow
    signed links reach the store. Key and secret are percent-encoded.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return FilesystemObjectStore(Path(unquote(parts.path)))
    bucket = parts.path.strip("/")
    if parts.scheme == "s3" and parts.username and parts.password and parts.hostname and bucket:
        from reelay.common.storage.s3 import S3ObjectStore

        options = parse_qs(parts.query, strict_parsing=bool(parts.query))
        tls = options.get("tls", ["0"])[-1]
        known = options.keys() <= {"tls", "region", "public"} and tls in ("0", "1")
        if known and "/" not in bucket:
            return S3ObjectStore(
                parts.netloc.rpartition("@")[2],
                bucket,
                unquote(parts.username),
                unquote(parts.password),
                tls=tls == "1",
                region=options.get("region", ["us-east-1"])[-1],
                public_url=options.get("public", [None])[-1],
            )
    # A secret that is not percent-encoded and holds a slash would begin the path.
    shown = f"{parts.scheme}://…{parts.path.rpartition('@')[2]}"
    raise UnknownStoreError(f"{shown} is no object store; it must look like {FORMS}")


async def digest(store: ObjectStore, key: str) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 (lower-case hex) of a stored object's bytes."""
    size_bytes, sha = 0, sha256()
    async for block in store.read(key):
        size_bytes += len(block)
        sha.update(block)
    return size_bytes, sha.hexdigest()


async def composite_digest(store: ObjectStore, key: str) -> tuple[int, str]:
    """Return the size in bytes and the `asset_id` (identity.asset_id) of a stored object's bytes.

    Raises ObjectMissingError.
    """
    size_bytes, part, digests = 0, sha256(), list[bytes]()
    async for block in store.read(key):
        rest = memoryview(block)
        while rest:
            room = PART_SIZE_BYTES - size_bytes % PART_SIZE_BYTES
            part.update(rest[:room])
            size_bytes += len(rest[:room])
            rest = rest[room:]
            if size_bytes % PART_SIZE_BYTES == 0:
                digests.append(part.digest())
                part = sha256()
    if size_bytes % PART_SIZE_BYTES or not digests:
        digests.append(part.digest())
    return size_bytes, asset_id(digests)
