"""Signed links: what S3 does by itself, for stores in a directory, answered by one of our services.

A link names a key, until when, and for a part its attempt, number and digest; the signature is
HMAC-SHA-256 over all of that with a secret that lies in the store's directory, where no key can
name it, so that every process that uses the directory signs and checks alike.
"""

import hmac
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from reelay.common.storage.port import InvalidLinkError, SignedRequest, check_key

SIGNED_AT = "/api/v1/uploads/signed"
"""Path below which a service answers signed links (signed_http)."""
SECRET_BYTES = 32
FIELDS = ("attempt", "part", "sha256", "size", "expires")


@dataclass(frozen=True)
class Grant:
    """What a link allows."""

    method: str
    key: str
    expires_at_s: int
    """POSIX time."""
    attempt: str = ""
    part: int = 0
    sha256: str = ""
    size_bytes: int = 0

    def query(self) -> dict[str, str]:
        """Return the fields that a link has beside its key."""
        part = {
            "attempt": self.attempt,
            "part": str(self.part),
            "sha256": self.sha256,
            "size": str(self.size_bytes),
        }
        return {**(part if self.part else {}), "expires": str(self.expires_at_s)}

    def signed_text(self) -> bytes:
        """Return what is signed; no field can hold a line feed."""
        query = self.query()
        return "\n".join([self.method, self.key, *(query.get(f, "") for f in FIELDS)]).encode()


class Links:
    """Signs and checks links with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, grant: Grant) -> SignedRequest:
        """Return the request that a grant allows."""
        query = urlencode({**grant.query(), "signature": self._signature(grant)})
        url = f"{SIGNED_AT}/{grant.key}?{query}"
        return SignedRequest(grant.method, url, {}, grant.expires_at_s)

    def check(self, method: str, key: str, query: Mapping[str, str]) -> Grant:
        """Return what a link allows; raises InvalidLinkError."""
        try:
            grant = Grant(
                "GET" if method == "HEAD" else method,
                check_key(key),
                int(query["expires"]),
                query.get("attempt", ""),
                int(query.get("part", "0")),
                query.get("sha256", ""),
                int(query.get("size", "0")),
            )
            given = query["signature"]
        except (KeyError, ValueError) as error:
            raise InvalidLinkError from error
        if not hmac.compare_digest(self._signature(grant).encode(), given.encode()):
            raise InvalidLinkError
        if grant.expires_at_s < time.time():
            raise InvalidLinkError("This link is over; ask for a new one.")
        return grant

    def _signature(self, grant: Grant) -> str:
        return hmac.new(self._secret, grant.signed_text(), "sha256").hexdigest()


def load_secret(root: Path) -> bytes:
    """Return the secret of a store's directory, made by whoever comes first."""
    path = root / ".secret"
    with suppress(FileNotFoundError):
        return path.read_bytes()
    temporary = root / ".tmp" / uuid4().hex
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    return path.read_bytes()
