"""The client of an S3 server's HTTP, over TLS."""

import asyncio
import ssl
from pathlib import Path

import pytest

from reelay.common.storage.s3_answers import BrokenError
from reelay.common.storage.s3_connections import Connections
from reelay.common.testing.certificates import self_signed

from .conftest import Run
from .scripted import FILM, OK, Answers, get

pytestmark = pytest.mark.integration


def test_server_with_a_strange_certificate_is_not_talked_to(run: Run) -> None:
    async def check() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        port = listener.sockets[0].getsockname()[1]
        connections = Connections(
            f"127.0.0.1:{port}", tls=True, limit=1, connect_timeout_s=5, silence_s=5
        )
        with pytest.raises(BrokenError):
            await connections.ask("GET", "/k", {})
        listener.close()

    run(check())


def test_server_is_known_by_its_certificate(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        certificate = self_signed(tmp_path, "localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        large = OK + b"content-length: %d\r\n\r\n" % len(FILM) + FILM
        serve = Answers(large).serve
        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = listener.sockets[0].getsockname()[1]
        connections = Connections(
            f"localhost:{port}", tls=True, limit=1, connect_timeout_s=5, silence_s=5
        )
        for _ in range(2):
            assert await get(connections) == FILM
        connections.close()
        listener.close()
        await asyncio.sleep(0.1)

    run(check())
