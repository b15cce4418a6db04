"""HTTP to servers that nobody vouched for: every connection goes to an address that was checked.

A name is resolved once per connection, its addresses are checked, and the connection is made to
such an address by number; what the name says a moment later (DNS rebinding) does not matter.
`Host`, and the name that TLS asks for and checks, are those of the URL.
"""

import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

import httpcore

from reelay.upload.domain.addresses import AddressGuard
from reelay.upload.domain.remote import (
    Place,
    RedirectsError,
    RemoteError,
    Resolver,
    UrlNotAllowedError,
)

MAX_REDIRECTS = 5
REDIRECTS = (
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
)
MAX_ADDRESSES = 4
"""So many addresses of one name are tried."""
FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the guard lets pass."""

    def __init__(
        self, resolver: Resolver, guard: AddressGuard, network: httpcore.AsyncNetworkBackend
    ) -> None:
        self._resolver = resolver
        self._guard = guard
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect; raise PrivateAddressError when any address is not public."""
        found = await self._resolver.resolve(host, port)
        checked = [self._guard.check(address) for address in found]
        failure: Exception = RemoteError(f"There is no address of {host}.")
        for address in checked[:MAX_ADDRESSES]:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """See AsyncNetworkBackend."""
        await self._network.sleep(seconds)


@dataclass
class HttpAnswer:
    """Implements Answer."""

    pool: httpcore.AsyncConnectionPool
    response: httpcore.Response
    status: int = field(init=False)
    headers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.status = self.response.status
        self.headers = {
            name.decode("latin-1").lower(): value.decode("latin-1").strip()
            for name, value in self.response.headers
        }

    async def blocks(self) -> AsyncIterator[bytes]:
        """See Answer."""
        try:
            async for block in self.response.aiter_stream():
                yield block
        except FAILURES as error:
            raise RemoteError(f"The server broke off: {_reason(error)}.") from error

    async def close(self) -> None:
        """See Answer."""
        await self.response.aclose()
        await self.pool.aclose()


@dataclass(frozen=True)
class GuardedFetcher:
    """Implements Fetcher."""

    resolver: Resolver
    guard: AddressGuard
    connect_limit_s: float
    tls: ssl.SSLContext = field(default_factory=httpcore.default_ssl_context)
    network: httpcore.AsyncNetworkBackend = field(default_factory=httpcore.AnyIOBackend)

    async def fetch(self, place: Place, headers: dict[str, str]) -> HttpAnswer:
        """See Fetcher."""
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(place, headers)
            if answer.status not in REDIRECTS:
                return answer
            location = answer.headers.get("location")
            await answer.close()
            if location is None:
                raise UrlNotAllowedError("The server sends elsewhere without saying where.")
            place = place.joined(location)
        raise RedirectsError

    async def _ask(self, place: Place, headers: dict[str, str]) -> HttpAnswer:
        guarded = GuardedNetwork(self.resolver, self.guard, self.network)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self.tls, max_connections=1, network_backend=guarded
        )
        request = httpcore.Request(
            "GET",
            place.url.partition("#")[0],
            headers=[("Host", _host(place)), *headers.items()],
            extensions={"timeout": {"connect": self.connect_limit_s}},
        )
        try:
            return HttpAnswer(pool, await pool.handle_async_request(request))
        except FAILURES as error:
            await pool.aclose()
            raise RemoteError(f"{place.host} cannot be reached: {_reason(error)}.") from error
        except BaseException:
            await pool.aclose()
            raise


def _host(place: Place) -> str:
    """Return the Host field (RFC 9110, section 7.2)."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port == (443 if place.tls else 80) else f"{host}:{place.port}"


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]
