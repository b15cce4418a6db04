"""Hosts of delivery networks: which are named, which are healthy, in which order they come."""

import random
from collections import Counter
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from reelay.catalog.cdn.health import CdnHosts
from reelay.catalog.cdn.hosts import CdnHost, draw

ONE = CdnHost(url="https://one.example", weight=1)
TWO = CdnHost(url="https://two.example", weight=3)


@pytest.mark.parametrize("unit", [1e-9, 1, 1e18])
def test_each_host_is_first_as_often_as_its_weight_says(unit: float) -> None:
    chance = random.Random(7)
    hosts = [ONE.model_copy(update={"weight": unit}), TWO.model_copy(update={"weight": 3 * unit})]
    first = Counter(draw(hosts, chance)[0].url for _ in range(4000))
    assert first[TWO.url] / 4000 == pytest.approx(0.75, abs=0.03)


def test_every_host_is_in_the_order_once() -> None:
    for _ in range(20):
        drawn = draw([ONE, TWO], random.Random())
        assert sorted(h.url for h in drawn) == [ONE.url, TWO.url]


def test_address_loses_its_trailing_slash() -> None:
    assert CdnHost(url="http://cdn.example:81/a/").url == "http://cdn.example:81/a"


@pytest.mark.parametrize(
    "host",
    [
        {"url": "cdn.example"},
        {"url": "ftp://cdn.example"},
        {"url": "https://"},
        {"url": "https://a.example:x"},
        {"url": "https://a.example:99999"},
        {"url": "https://xn--a"},
        {"url": "https://a.example/?q"},
        {"url": "https://u:p@a.example"},
        {"url": ONE.url, "weight": 0},
        {"url": ONE.url, "weight": -1},
        {"url": ONE.url, "weight": "inf"},
    ],
)
def test_host_that_makes_no_sense_is_refused(host: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CdnHost.model_validate(host)


class Network:
    """Answers as told, by the name of the host."""

    def __init__(self) -> None:
        self.status = {"one.example": 200, "two.example": 200}

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/healthz"
        status = self.status[request.url.host]
        if status == 0:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(status)


async def test_hosts_leave_after_two_failures_and_come_back_after_one_success() -> None:
    network = Network()
    async with httpx.AsyncClient(transport=httpx.MockTransport(network.answer)) as client:
        hosts = CdnHosts([ONE, TWO], 60, client)

        def healthy() -> set[str]:
            return {host.url for host in hosts.draw()}

        assert healthy() == set()
        await hosts.probe()
        assert healthy() == {ONE.url, TWO.url}
        for failure in (0, 503, 301):
            network.status["one.example"] = failure
            await hosts.probe()
            assert healthy() == {ONE.url, TWO.url}
            await hosts.probe()
            assert healthy() == {TWO.url}
            network.status["one.example"] = 200
            await hosts.probe()
            assert healthy() == {ONE.url, TWO.url}


async def test_without_hosts_there_is_nothing_to_try() -> None:
    async with httpx.AsyncClient() as client:
        hosts = CdnHosts([], 60, client)
        await hosts.probe()
        assert (hosts.any, list(hosts.draw())) == (False, [])
