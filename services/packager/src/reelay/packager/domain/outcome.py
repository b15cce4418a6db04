"""What is written about a package when it ends: its index, or the reason why there is none."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import rfc8785
from pydantic import BaseModel

INDEX = "index.json"
FAILED = "failed.json"
PLAN = "plan.json"


@dataclass(frozen=True)
class StoredObject:
    """A stored object of a package: path relative to it, size, SHA-256 in lower-case hex."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Index:
    """The list by which anyone can check a package."""

    body: bytes
    root_digest: str
    size_bytes: int
    """Of all objects listed."""

    @property
    def sha256(self) -> str:
        """Digest of the list itself."""
        return hashlib.sha256(self.body).hexdigest()


def index(package_id: str, objects: Iterable[StoredObject]) -> Index:
    """Return `index.json`; the root digest is SHA-256 over the canonical JSON of its `objects`."""
    listed: dict[str, dict[str, int | str]] = {
        item.path: {"size": item.size_bytes, "sha256": item.sha256}
        for item in sorted(objects, key=lambda item: item.path)
    }
    root = hashlib.sha256(rfc8785.dumps(listed)).hexdigest()
    document = {"package_id": package_id, "root_digest": root, "objects": listed}
    size = sum(entry["size"] for entry in listed.values() if isinstance(entry["size"], int))
    return Index((json.dumps(document, indent=1) + "\n").encode(), root, size)


class _Entry(BaseModel):
    size: int
    sha256: str


class _Document(BaseModel):
    objects: dict[str, _Entry]


def listed(body: bytes) -> list[StoredObject]:
    """Return the objects that an `index.json` lists; raise ValueError for what is none."""
    entries = _Document.model_validate_json(body).objects
    return [StoredObject(path, entry.size, entry.sha256) for path, entry in entries.items()]


def failure(reason: str) -> bytes:
    """Return `failed.json`, from which the content API answers 410."""
    return (json.dumps({"reason": reason}) + "\n").encode()
