"""Bearer tokens: signed by the catalog (EdDSA), verified everywhere without calling it.

A public key lies in the object store under `keys/<kid>.json` as a JWK (RFC 8037); its `kid` is the
JWK thumbprint (RFC 7638). It is written once, so that what a verifier read stays true.
"""

import asyncio
import base64
import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reelay.common.errors import ForbiddenError, TransientError, UnauthorizedError
from reelay.common.storage.port import ObjectMissingError, ObjectStore, read_all

ALGORITHM = "EdDSA"
ISSUER = "reelay"
KEY_ID = re.compile(r"[0-9a-f]{64}")
LOOKS = 2
"""Unknown keys looked for at a time: forged tokens, however many, do not keep the store busy."""

MAX_LOOKING = 100
"""Unknown keys that may wait for their look; who comes with more is asked to come again."""


class TooManyKeysError(TransientError):
    """Too many tokens of unknown origin are being looked at; ask again soon."""


class InvalidTokenError(UnauthorizedError):
    """The bearer token is not valid, or no longer."""


@dataclass(frozen=True)
class Identity:
    """Who makes a request."""

    subject: str
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raise ForbiddenError unless this identity may do what `scope` names."""
        if scope not in self.scopes and "admin" not in self.scopes:
            raise ForbiddenError(f"This token does not allow {scope!r}.")


class TokenSigner:
    """Signs tokens with a private key; lives in the catalog alone."""

    def __init__(self, private_key_pem: str) -> None:
        key = serialization.load_pem_private_key(private_key_pem.encode(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        self._key = key
        raw = key.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        self.jwk = {"crv": "Ed25519", "kty": "OKP", "x": x}
        canonical = json.dumps(self.jwk, sort_keys=True, separators=(",", ":")).encode()
        self.kid = hashlib.sha256(canonical).hexdigest()

    @staticmethod
    def new_private_key() -> str:
        """Return a new Ed25519 private key in PEM."""
        return (
            Ed25519PrivateKey.generate()
            .private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            .decode()
        )

    async def publish_key(self, store: ObjectStore) -> None:
        """Put the public key where verifiers look for it."""
        await store.put(f"keys/{self.kid}.json", json.dumps(self.jwk).encode())

    def sign(self, subject: str, scopes: set[str], *, lifetime_s: float | None = None) -> str:
        """Return a token for `subject`; without a lifetime it does not expire."""
        claims: dict[str, object] = {
            "iss": ISSUER,
            "sub": subject,
            "scope": " ".join(sorted(scopes)),
            "iat": int(time.time()),
        }
        if lifetime_s is not None:
            claims["exp"] = int(time.time() + lifetime_s)
        return self.encode(claims)

    def encode(self, claims: Mapping[str, object]) -> str:
        """Return a token with these claims, which says nothing else."""
        headers = {"kid": self.kid}
        return jwt.encode(dict(claims), self._key, algorithm=ALGORITHM, headers=headers)


class TokenVerifier:
    """Verifies tokens with the keys in the object store; a key is read once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._keys: dict[str, jwt.PyJWK] = {}
        self._looks = asyncio.Semaphore(LOOKS)
        self._looking: dict[str, asyncio.Task[jwt.PyJWK]] = {}

    async def verify_header(self, authorization: str | None) -> Identity:
        """Return who sent an `Authorization` header; raises UnauthorizedError."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthorizedError
        return await self.verify(token.strip())

    async def verify(self, token: str) -> Identity:
        """Return whom a token was signed for; raises InvalidTokenError."""
        claims = await self.decode(token, issuer=ISSUER, leeway=30, require=["sub", "iat"])
        return Identity(str(claims["sub"]), frozenset(str(claims.get("scope", "")).split()))

    async def decode(
        self,
        token: str,
        *,
        require: list[str],
        issuer: str | None = None,
        audience: str | None = None,
        leeway: float = 0,
        verify_exp: bool = True,
    ) -> dict[str, Any]:
        """Return the claims of a token that has those of `require`.

        A token for an audience is valid for no other, and for none that is not named (RFC 7519,
        section 4.1.3). Raises InvalidTokenError, and StoreUnavailableError when the key cannot be
        read now.
        """
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            return jwt.decode(
                token,
                key.key,
                algorithms=[ALGORITHM],
                issuer=issuer,
                audience=audience,
                leeway=leeway,
                options={"require": require, "verify_exp": verify_exp},
            )
        except (jwt.InvalidTokenError, ObjectMissingError) as error:
            raise InvalidTokenError from error

    async def _key(self, kid: str) -> jwt.PyJWK:
        if kid in self._keys:
            return self._keys[kid]
        if not KEY_ID.fullmatch(kid):
            raise InvalidTokenError
        task = self._looking.get(kid)
        if task is None:
            if len(self._looking) >= MAX_LOOKING:
                raise TooManyKeysError
            task = self._looking[kid] = asyncio.create_task(self._look(kid))
            task.add_done_callback(partial(self._looked, kid))
        return await asyncio.shield(task)

    def _looked(self, kid: str, task: asyncio.Task[jwt.PyJWK]) -> None:
        del self._looking[kid]
        if not task.cancelled():
            task.exception()  # taken note of, if those who waited left

    async def _look(self, kid: str) -> jwt.PyJWK:
        async with self._looks:
            jwk = json.loads(await read_all(self._store, f"keys/{kid}.json"))
        key = self._keys[kid] = jwt.PyJWK.from_dict(jwk, algorithm=ALGORITHM)
        return key
