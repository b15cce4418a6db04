"""Whatever anybody asks: no server error, and answers as the packager's OpenAPI document says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reelay.common.storage import open_store
from reelay.common.testing.fuzzing import fuzz
from reelay.common.testing.servers import Program, wait_until
from reelay.common.tokens import TokenSigner

from .packagers import packager_at

pytestmark = pytest.mark.integration


@pytest.fixture
def packager(nats: Program, database_url: str, tmp_path: Path) -> Iterator[Program]:
    """The service as a process of its own."""
    program = packager_at(nats.url, database_url, tmp_path)
    program.start()
    wait_until(lambda: httpx.get(f"{program.url}/readyz").is_success, "the packager is ready")
    yield program
    program.kill()


@pytest.mark.parametrize("who", ["administrator", "nobody"])
def test_answers_are_as_documented(packager: Program, tmp_path: Path, who: str) -> None:
    signer = TokenSigner(TokenSigner.new_private_key())
    asyncio.run(signer.publish_key(open_store(f"file://{tmp_path}/store")))
    token = signer.sign("admin", {"admin"}) if who == "administrator" else None
    fuzz(packager.url, tmp_path, token=token)
