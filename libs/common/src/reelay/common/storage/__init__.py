"""The object store: a port, and its adapters for a filesystem and for S3."""

from reelay.common.storage.port import (
    InvalidKeyError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStore,
    PutResult,
    StoreUnavailableError,
)

__all__ = [
    "InvalidKeyError",
    "ObjectInfo",
    "ObjectMissingError",
    "ObjectStore",
    "PutResult",
    "StoreUnavailableError",
]
