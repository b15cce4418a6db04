"""Bodies of JSON are read only as far as any of them makes sense, whoever sends them."""

from collections.abc import AsyncIterator

import pytest

from reelay.common.bounded_bodies import MAX_BODY_BYTES

from .conftest import System

pytestmark = pytest.mark.integration

BLOCK = b" " * (64 * 1024)


async def spaces(size_bytes: int) -> AsyncIterator[bytes]:
    """A body that JSON allows, of a length that nobody announced."""
    for _ in range(size_bytes // len(BLOCK)):
        yield BLOCK
    yield b"{}"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/imports",
        "/api/v1/uploads/presigned",
        "/api/v1/sources/gc",
        "/api/v1/sources/verify",
    ],
)
async def test_endless_body_of_somebody_without_a_token_is_not_collected(
    system: System, path: str
) -> None:
    http = system.client.http
    refused = await http.post(path, content=spaces(MAX_BODY_BYTES))
    assert refused.status_code == 413
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"] == "The body of this request may have at most 1048576 bytes."
    read = await http.post(path, content=spaces(MAX_BODY_BYTES // 2))
    assert read.status_code in (401, 422), "what fits is looked at"
