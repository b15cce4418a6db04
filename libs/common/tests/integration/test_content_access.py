"""Tokens in the paths of content: what they prove, and what they are not good for."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest

from reelay.common.content_access import AUDIENCE, Grant, read_grant, sign_grant
from reelay.common.storage import ObjectStore
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.tokens import (
    MAX_LOOKING,
    InvalidTokenError,
    TokenSigner,
    TokenVerifier,
    TooManyKeysError,
)

pytestmark = pytest.mark.integration

GRANT = Grant("a" * 64, "01890000-0000-7000-8000-000000000000", 4_000_000_000.0)


@pytest.fixture
async def signer(store: ObjectStore) -> TokenSigner:
    signer = TokenSigner(TokenSigner.new_private_key())
    await signer.publish_key(store)
    return signer


@pytest.fixture
def verifier(store: ObjectStore, signer: TokenSigner) -> TokenVerifier:
    return TokenVerifier(store)


async def test_token_proves_its_grant(signer: TokenSigner, verifier: TokenVerifier) -> None:
    token = sign_grant(signer, GRANT)
    assert await read_grant(verifier, token) == GRANT
    assert token == sign_grant(signer, GRANT)


def test_token_is_made_of_characters_that_paths_do_not_escape(signer: TokenSigner) -> None:
    token = sign_grant(signer, GRANT)
    assert all(char.isalnum() or char in "-._" for char in token)
    assert len(token) < 600


async def test_grant_is_read_when_its_time_is_over(
    signer: TokenSigner, verifier: TokenVerifier
) -> None:
    over = Grant("a" * 64, GRANT.video_id, 1_000.0)
    assert await read_grant(verifier, sign_grant(signer, over)) == over


async def test_every_altered_token_is_refused(signer: TokenSigner, verifier: TokenVerifier) -> None:
    header, claims, signature = sign_grant(signer, GRANT).split(".")
    other = sign_grant(signer, Grant("b" * 64, GRANT.video_id, GRANT.expires_at_s)).split(".")
    unsigned = jwt.encode({"aud": AUDIENCE, "sub": "a" * 64, "vid": "", "exp": 9}, "", "none")
    for bad in (
        f"{header}.{other[1]}.{signature}",
        f"{header}.{claims}.{other[2]}",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        unsigned,
        "",
        "..",
        "ü",
    ):
        with pytest.raises(InvalidTokenError):
            await read_grant(verifier, bad)


async def test_token_of_another_key_is_refused(store: ObjectStore, verifier: TokenVerifier) -> None:
    stranger = TokenSigner(TokenSigner.new_private_key())
    with pytest.raises(InvalidTokenError):
        await read_grant(verifier, sign_grant(stranger, GRANT))
    [key_object] = [info.key async for info in store.scan("keys/")]
    with_our_kid = {"kid": key_object.removeprefix("keys/").removesuffix(".json")}
    key = TokenSigner.new_private_key()
    claims = {"aud": AUDIENCE, "sub": "a" * 64, "vid": "", "exp": int(time.time() + 60)}
    with pytest.raises(InvalidTokenError):
        await read_grant(verifier, jwt.encode(claims, key, "EdDSA", headers=with_our_kid))


async def test_bearer_tokens_and_tokens_in_paths_are_never_taken_for_each_other(
    signer: TokenSigner, verifier: TokenVerifier
) -> None:
    with pytest.raises(InvalidTokenError):
        await read_grant(verifier, signer.sign("admin", {"admin"}, lifetime_s=60))
    with pytest.raises(InvalidTokenError):
        await verifier.verify(sign_grant(signer, GRANT))
    both = {"aud": AUDIENCE, "iss": "reelay", "sub": "admin", "scope": "admin", "iat": 1}
    with pytest.raises(InvalidTokenError):
        await verifier.verify(signer.encode(both))


class Watched(FilesystemObjectStore):
    """A store that notes how many objects are being read at a time."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reading = self.most_at_once = self.total = 0

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.total += 1
        self.reading += 1
        self.most_at_once = max(self.most_at_once, self.reading)
        try:
            async for block in super().read(key, start, end):
                yield block
        finally:
            self.reading -= 1


async def test_forged_tokens_however_many_ask_the_store_for_few_keys_at_a_time(
    tmp_path: Path,
) -> None:
    store = Watched(tmp_path)
    verifier = TokenVerifier(store)
    strangers = [TokenSigner(TokenSigner.new_private_key()) for _ in range(40)]
    tokens = [sign_grant(stranger, GRANT) for stranger in strangers]
    looks = [read_grant(verifier, token) for token in tokens]
    outcomes = await asyncio.gather(*looks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {InvalidTokenError}
    assert store.most_at_once <= 2


async def test_a_key_id_that_is_none_is_not_looked_for(tmp_path: Path) -> None:
    store = Watched(tmp_path)
    claims = {"aud": AUDIENCE, "sub": "a" * 64, "vid": "", "exp": int(time.time() + 60)}
    for kid in ("", "../../secret", "a" * 63, "A" * 64, "a" * 65):
        key = TokenSigner.new_private_key()
        with pytest.raises(InvalidTokenError):
            await read_grant(
                TokenVerifier(store), jwt.encode(claims, key, "EdDSA", headers={"kid": kid})
            )
    assert store.total == 0


async def test_a_genuine_token_does_not_queue_behind_forged_ones_for_long(tmp_path: Path) -> None:
    """All who bring one key wait for one look, and beyond a hundred unknown keys nobody queues."""
    store = Watched(tmp_path)
    signer = TokenSigner(TokenSigner.new_private_key())
    await signer.publish_key(store)
    verifier = TokenVerifier(store)
    forged = [
        sign_grant(TokenSigner(TokenSigner.new_private_key()), GRANT) for _ in range(MAX_LOOKING)
    ]
    genuine = sign_grant(signer, GRANT)
    looks = [read_grant(verifier, token) for token in [*forged[1:], *[genuine] * 20, forged[0]]]
    outcomes = await asyncio.gather(*looks, return_exceptions=True)
    assert outcomes[MAX_LOOKING - 1 : -1] == [GRANT] * 20
    assert store.total <= MAX_LOOKING
    assert isinstance(outcomes[-1], TooManyKeysError)
    assert await read_grant(verifier, genuine) == GRANT
