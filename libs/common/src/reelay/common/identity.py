"""The identities of the system: of source bytes, of packages and of database rows."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import rfc8785
import uuid6

PART_SIZE_BYTES = 8 * 1024 * 1024
"""Fixed part length of the composite hash and of every multipart upload."""

MAX_PARTS = 10_000
"""Most parts of one asset, S3's own limit; longer uploads are refused (78 GiB)."""

MAX_ASSET_BYTES = PART_SIZE_BYTES * MAX_PARTS


def asset_id(part_digests: Iterable[bytes]) -> str:
    """Return the composite SHA-256 of an asset: `sha256(d0 || d1 || ...)`, lower-case hex.

    `part_digests` are the raw 32-byte SHA-256 digests of consecutive parts of `PART_SIZE_BYTES`
    (the last may be shorter): the form of an S3 multipart composite checksum.
    """
    composite = hashlib.sha256()
    for digest in part_digests:
        composite.update(digest)
    return composite.hexdigest()


def package_id(asset: str, recipe: Mapping[str, Any]) -> str:
    """Return the identity of what `recipe` makes of `asset`, known before a frame is encoded.

    SHA-256 over the canonical JSON (RFC 8785) of `{asset_id, recipe}`, lower-case hex.
    """
    return hashlib.sha256(rfc8785.dumps({"asset_id": asset, "recipe": dict(recipe)})).hexdigest()


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562, section 5.7): unique, and sorted by the time it was made."""
    return UUID(bytes=uuid6.uuid7().bytes)
