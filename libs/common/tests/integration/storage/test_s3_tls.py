"""The client of an S3 server's HTTP, over TLS."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from reelay.common.storage.s3_answers import BrokenError
from reelay.common.storage.s3_connections import Connections

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
        certificate = self_signed(tmp_path)
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


def self_signed(folder: Path) -> Path:
    """Write a certificate for localhost, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path
