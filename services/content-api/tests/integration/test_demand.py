"""What packagers are told to make for those who wait, over a real broker, and what they are not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from reelay.common.commands import SegmentDemanded
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .sites import LATE, SEGMENT, Site, updated

pytestmark = pytest.mark.integration

LAST = "audio/main/16.m4s"
MANY = (SEGMENT, LATE, "video/360p/init.mp4", "audio/main/3.m4s", "master.m3u8")


async def heard_so_far(site: Site, audience: Any) -> list[SegmentDemanded]:
    """Return all that was demanded until now.

    What one sender says is heard in order, so that nothing can follow what is demanded now.
    """
    waiting = asyncio.create_task(site.get(LAST))
    while not audience.demands or audience.demands[-1].path != LAST:
        await audience.until(len(audience.demands) + 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return list(audience.demands[:-1])


async def test_fifty_waiting_requests_make_one_demand(
    connected: Any, messaging: Messaging, audience: Any
) -> None:
    waiting = [asyncio.create_task(connected.get(SEGMENT)) for _ in range(50)]
    await audience.until(1)
    await connected.until_waiting(50)
    await asyncio.sleep(0.7)
    (demand,) = audience.demands
    assert (demand.package_id, demand.path) == (connected.package, SEGMENT)
    assert demand.viewer
    await connected.put(SEGMENT, b"late")
    await messaging.publish(updated(connected.package, "360p", 1))
    assert {(await answer).content for answer in waiting} == {b"late"}


@pytest.mark.parametrize("path", ["unknown.m4s", "video/360p/18.m4s", "index.json"])
async def test_nobody_demands_what_was_never_promised(
    connected: Any, audience: Any, path: str
) -> None:
    assert (await connected.get(path)).status_code == 404
    assert await heard_so_far(connected, audience) == []


async def unknown(_: Site) -> None:
    """Leave it as it is."""


async def failed(site: Site) -> None:
    """Let it fail, whatever else of it there is."""
    await site.put("failed.json", b'{"reason": "The file is damaged."}')


async def failed_later(site: Site) -> None:
    """Let it fail after it was planned."""
    await site.plan()
    await failed(site)


async def deleted(site: Site) -> None:
    """Let it be served, so that its plan is known, and then deleted."""
    await site.plan()
    await site.put(SEGMENT, b"x")
    assert (await site.get(SEGMENT)).status_code == 200
    for path in (SEGMENT, "plan.json"):
        await site.store.delete(f"packages/{site.package}/{path}")


@pytest.mark.parametrize(
    ("becomes", "status"), [(unknown, 404), (failed, 410), (failed_later, 410), (deleted, 404)]
)
async def test_nobody_demands_of_a_package_that_is_not_being_made(
    connected: Any, audience: Any, becomes: Callable[[Site], Awaitable[None]], status: int
) -> None:
    site = replace(connected, package=uuid4().hex * 2)
    await becomes(site)
    answers = await asyncio.gather(*map(site.get, MANY))
    assert [answer.status_code for answer in answers] == [status] * len(MANY)
    assert await heard_so_far(connected, audience) == []


async def test_demand_is_repeated_and_stops_when_the_client_leaves(
    nats: Program, audience: Any, run_site: Any
) -> None:
    async with run_site(nats_url=nats.url, repeat_s=0.2) as site:
        await audience.heard(site)
        request = f"GET {site.prefix}/{SEGMENT} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
        _, writer = await asyncio.open_connection("127.0.0.1", site.program.port)
        writer.write(request)
        await audience.until(4)
        writer.close()
        withdrawal = await audience.until_withdrawn()
        assert withdrawal.model_dump() == audience.demands[0].model_dump()
        assert withdrawal.teller
        await site.until_waiting(0)
        count = len(audience.demands)
        await asyncio.sleep(0.8)
        assert len(audience.demands) == count
