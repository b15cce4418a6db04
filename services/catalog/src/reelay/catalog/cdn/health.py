"""Looks in the background which hosts answer."""

import asyncio
import random
from collections.abc import Sequence

import httpx
import structlog
from prometheus_client import Gauge

from reelay.catalog.cdn.hosts import CdnHost, draw

PROBE_PATH = "/healthz"
"""Answered by the gateway, and kept by nobody: it goes through the host to the origin."""
TIMEOUT_S = 3.0
FAILURES = 2
"""So many in a row, and a host is left out; one success, and it is back."""

HEALTHY = Gauge("reelay_catalog_cdn_healthy", "1 for a host that answers, 0 otherwise", ["host"])

log = structlog.get_logger()


class CdnHosts:
    """The hosts that the settings name, as far as they answer."""

    def __init__(
        self, hosts: Sequence[CdnHost], interval_s: float, client: httpx.AsyncClient
    ) -> None:
        """`interval_s` is the time between two probes; nobody is healthy before the first."""
        self._hosts = hosts
        self._interval_s = interval_s
        self._client = client
        self._failures = {host.url: FAILURES for host in hosts}
        self._chance = random.Random()  # noqa: S311 (shares of load, no secrets)

    @property
    def any(self) -> bool:
        """Whether there are hosts at all, healthy or not."""
        return bool(self._hosts)

    def draw(self) -> Sequence[CdnHost]:
        """Return the healthy hosts, in an order drawn by their weights."""
        return draw([h for h in self._hosts if self._failures[h.url] < FAILURES], self._chance)

    async def run(self) -> None:
        """Probe for ever."""
        while True:
            await self.probe()
            await asyncio.sleep(self._interval_s)

    async def probe(self) -> None:
        """Probe every host once, all at the same time."""
        await asyncio.gather(*(self._probe(host.url) for host in self._hosts))

    async def _probe(self, url: str) -> None:
        try:
            answer = await self._client.get(url + PROBE_PATH, timeout=TIMEOUT_S)
            fault = None if answer.is_success else f"status {answer.status_code}"
        except httpx.HTTPError as error:
            fault = repr(error)
        was_healthy = self._failures[url] < FAILURES
        self._failures[url] = 0 if fault is None else self._failures[url] + 1
        is_healthy = self._failures[url] < FAILURES
        HEALTHY.labels(url).set(is_healthy)
        if is_healthy != was_healthy:
            log.warning("a CDN host changed", host=url, healthy=is_healthy, fault=fault)
