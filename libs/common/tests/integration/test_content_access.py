"""Tokens in the paths of content: what they prove, and what they are not good for."""

import time

import jwt
import pytest

from reelay.common.content_access import AUDIENCE, Grant, read_grant, sign_grant
from reelay.common.storage import ObjectStore
from reelay.common.tokens import InvalidTokenError, TokenSigner, TokenVerifier

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
