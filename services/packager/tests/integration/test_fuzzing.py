"""Whatever anybody asks: no server error, and answers as the packager's OpenAPI document says."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reelay.common.storage import open_store
from reelay.common.testing.fuzzing import fuzz
from reelay.common.testing.media import ffmpeg_binary, ffprobe_binary, shaka_binary
from reelay.common.testing.servers import Program, free_port, wait_until
from reelay.common.tokens import TokenSigner

pytestmark = pytest.mark.integration


@pytest.fixture
def packager(nats: Program, database_url: str, tmp_path: Path) -> Iterator[Program]:
    """The service as a process of its own."""
    port = free_port()
    settings = {
        "PORT": port,
        "NATS_URL": nats.url,
        "DATABASE_URL": database_url,
        "STORE_URL": f"file://{tmp_path}/store",
        "FFMPEG": ffmpeg_binary(),
        "FFPROBE": ffprobe_binary(),
        "SHAKA": shaka_binary(),
    }
    environment = [f"PACKAGER_{name}={value}" for name, value in settings.items()]
    argv = ["/usr/bin/env", *environment, sys.executable, "-m", "reelay.packager"]
    program = Program(argv, port, f"http://127.0.0.1:{port}", tmp_path / "packager.log")
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
