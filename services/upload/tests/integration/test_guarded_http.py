"""Connections go to the checked address and nowhere else, and still speak to the named server."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from pathlib import Path

import pytest

from reelay.common.testing.certificates import self_signed
from reelay.upload.adapters.guarded_http import GuardedFetcher
from reelay.upload.domain.addresses import AddressGuard
from reelay.upload.domain.remote import PrivateAddressError, RemoteError, parse_url

from .origin import File, Origin, says

pytestmark = pytest.mark.integration

NAME = "video.example"


class FixedResolver:
    """Answers a name as it is told to, each time the next way."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


def fetcher(resolver: FixedResolver, *, tls: ssl.SSLContext | None = None) -> GuardedFetcher:
    guard = AddressGuard((ip_network("127.0.0.0/8"),))
    return GuardedFetcher(resolver, guard, 5.0, tls or ssl.create_default_context())


async def content(fetcher: GuardedFetcher, url: str) -> bytes:
    answer = await fetcher.fetch(parse_url(url), {})
    try:
        return b"".join([block async for block in answer.blocks()])
    finally:
        await answer.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path, NAME)


@pytest.fixture
def names_asked() -> list[str | None]:
    """The names that clients asked for with TLS (SNI)."""
    return []


@pytest.fixture
async def secure(certificate: Path, names_asked: list[str | None]) -> AsyncIterator[Origin]:
    """An origin that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: names_asked.append(name)
    origin = Origin()
    server = await origin.listen(context)
    yield origin
    server.close()
    await origin.stop()


async def test_tls_and_host_name_the_server_though_the_connection_goes_by_number(
    secure: Origin, certificate: Path, names_asked: list[str | None]
) -> None:
    secure.serve("/film", File(b"film"))
    resolver = FixedResolver(["127.0.0.1"])
    trusting = fetcher(resolver, tls=ssl.create_default_context(cafile=str(certificate)))
    assert await content(trusting, f"https://{NAME}:{secure.port}/film") == b"film"
    assert names_asked == [NAME]
    assert secure.asked[0].headers["host"] == f"{NAME}:{secure.port}"
    assert resolver.asked == [NAME]


async def test_server_with_another_s_certificate_is_not_spoken_to(
    secure: Origin, certificate: Path
) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    with pytest.raises(RemoteError, match="certificate"):
        await content(
            fetcher(FixedResolver(["127.0.0.1"]), tls=trusting),
            f"https://other.example:{secure.port}/film",
        )
    with pytest.raises(RemoteError, match="certificate"):
        await content(fetcher(FixedResolver(["127.0.0.1"])), f"https://{NAME}:{secure.port}/film")
    assert secure.asked == []


async def test_name_that_changes_its_mind_is_asked_once_per_connection(origin: Origin) -> None:
    """DNS rebinding: the second answer would be a private one."""
    origin.serve("/film", File(b"film"))
    resolver = FixedResolver(["127.0.0.1"], ["10.0.0.1"])
    fetching = fetcher(resolver)
    assert await content(fetching, f"http://{NAME}:{origin.port}/film") == b"film"
    assert resolver.asked == [NAME]
    with pytest.raises(PrivateAddressError):
        await content(fetching, f"http://{NAME}:{origin.port}/film")
    assert len(origin.asked) == 1


async def test_each_redirect_is_resolved_and_checked_anew(origin: Origin) -> None:
    origin.serve("/film", says("302 Found", f"Location: http://{NAME}:{origin.port}/film"))
    resolver = FixedResolver(["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"])
    with pytest.raises(PrivateAddressError):
        await content(fetcher(resolver), f"http://{NAME}:{origin.port}/film")
    assert len(origin.asked) == 2
    assert resolver.answers == []


async def test_name_with_one_private_address_among_others_is_refused(origin: Origin) -> None:
    resolver = FixedResolver(["127.0.0.1", "10.0.0.7"])
    with pytest.raises(PrivateAddressError):
        await content(fetcher(resolver), f"http://{NAME}:{origin.port}/film")
    assert origin.most_open == 0


async def test_next_address_is_tried_when_the_first_does_not_answer(origin: Origin) -> None:
    origin.serve("/film", File(b"film"))
    resolver = FixedResolver(["127.0.0.9", "127.0.0.1"])
    assert await content(fetcher(resolver), f"http://{NAME}:{origin.port}/film") == b"film"


async def test_answer_that_is_no_http_is_the_server_s_fault(origin: Origin) -> None:
    async def babble(asked: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_10.0\r\n")

    origin.serve("/film", babble)
    with pytest.raises(RemoteError):
        await content(fetcher(FixedResolver(["127.0.0.1"])), f"http://{NAME}:{origin.port}/film")
