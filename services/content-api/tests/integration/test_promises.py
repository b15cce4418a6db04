"""Objects that are promised, failed, unknown or deleted, over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reelay.common.commands import SegmentsStored
from reelay.common.events import PackagePlanned, TranscodeFailed
from reelay.common.identity import new_id
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .conftest import WAIT_S
from .sites import LATE, SEGMENT, updated

pytestmark = pytest.mark.integration

FAILED = b'{"reason": "The file is damaged."}'


async def test_promised_object_is_waited_for_without_a_broker(site: Any) -> None:
    await site.plan()
    waiting = asyncio.create_task(site.get(SEGMENT))
    await site.until_waiting(1)
    await site.put(SEGMENT, b"late")
    answer = await waiting
    assert (answer.status_code, answer.content) == (200, b"late")
    assert "immutable" in answer.headers["cache-control"]


async def test_wait_ends_with_503_that_no_cache_keeps(site: Any) -> None:
    await site.plan()
    paths = [SEGMENT, "audio/main/init.mp4", "master.m3u8", "manifest.mpd", "video/360p/index.m3u8"]
    started = time.monotonic()
    for answer in await asyncio.gather(*map(site.get, paths)):
        assert time.monotonic() - started > WAIT_S * 0.9
        assert answer.status_code == 503, answer.url
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["type"] == "not-yet"


async def test_head_does_not_wait(patient: Any) -> None:
    await patient.plan()
    answer = await patient.client.head(f"{patient.prefix}/{SEGMENT}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_name_never_promised_is_404_at_once(patient: Any) -> None:
    await patient.plan()
    for path in ("video/360p/18.m4s", "video/360p/0.m4s", "audio/main/17.m4s", "index.json", "x"):
        assert (await patient.get(path)).status_code == 404, path


async def test_unknown_package_is_404_until_it_is_planned(site: Any) -> None:
    assert (await site.get("master.m3u8")).status_code == 404
    await site.plan()
    await site.put("master.m3u8", b"#EXTM3U")
    assert (await site.get("master.m3u8")).content == b"#EXTM3U"


async def test_deleted_package_is_404(site: Any) -> None:
    await site.plan()
    await site.put(SEGMENT, b"x")
    assert (await site.get(SEGMENT)).status_code == 200
    await site.store.delete(f"packages/{site.package}/plan.json")
    await site.store.delete(f"packages/{site.package}/{SEGMENT}")
    assert (await site.get(SEGMENT)).status_code == 404


async def test_failed_package_is_410_for_what_does_not_exist(site: Any) -> None:
    await site.plan()
    await site.put(SEGMENT, b"made before")
    await site.put("failed.json", FAILED)
    answer = await site.get(LATE)
    assert answer.status_code == 410
    assert answer.json()["detail"] == "The file is damaged."
    assert answer.json()["type"] == "package-failed"
    assert answer.headers["cache-control"] == "no-store"
    assert (await site.get(SEGMENT)).content == b"made before"
    assert (await site.get("failed.json")).status_code == 404
    assert (await site.client.head(f"{site.prefix}/{LATE}")).status_code == 410


async def test_package_that_failed_without_a_plan_is_410(site: Any) -> None:
    await site.put("failed.json", FAILED)
    assert (await site.get("master.m3u8")).status_code == 410


async def test_failure_ends_waiting_and_a_new_plan_ends_the_failure(site: Any) -> None:
    await site.plan()
    waiting = asyncio.create_task(site.get(SEGMENT))
    await site.until_waiting(1)
    await site.put("failed.json", FAILED)
    assert (await waiting).status_code == 410
    await site.store.delete(f"packages/{site.package}/failed.json")
    waiting = asyncio.create_task(site.get(SEGMENT))
    await site.until_waiting(1)
    await site.put(SEGMENT, b"again")
    assert (await waiting).content == b"again"


async def test_damaged_plan_is_500_and_not_kept(site: Any) -> None:
    plan = site.directory / "plan.json"
    plan.parent.mkdir(parents=True)
    plan.write_text("{")
    answer = await site.get(SEGMENT)
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")


async def test_news_wake_waiting_requests_at_once(connected: Any, messaging: Messaging) -> None:
    waiting = asyncio.create_task(connected.get(SEGMENT))
    await connected.until_waiting(1)
    await connected.put(SEGMENT, b"late")
    await messaging.publish(updated(connected.package, "audio", 1))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await messaging.publish(updated(connected.package, "360p", 1))
    answer = await waiting
    assert (answer.status_code, answer.content) == (200, b"late")


@pytest.mark.parametrize("numbers", [{"360p": [2, 1]}, {}], ids=["named", "by-rendition"])
async def test_stored_segments_wake_those_who_wait_for_them(
    connected: Any, messaging: Messaging, numbers: dict[str, list[int]]
) -> None:
    waiting = asyncio.create_task(connected.get(SEGMENT))
    await connected.until_waiting(1)
    await connected.put(SEGMENT, b"late")
    news = SegmentsStored(package_id=connected.package, renditions=["360p"], numbers=numbers)
    await messaging.tell(news)
    assert (await waiting).content == b"late"


async def test_failure_and_recovery_are_heard(connected: Any, messaging: Messaging) -> None:
    waiting = asyncio.create_task(connected.get(SEGMENT))
    await connected.until_waiting(1)
    await messaging.publish(
        TranscodeFailed(asset_id="a" * 64, reason="No.", package_id=connected.package)
    )
    answer = await waiting
    assert (answer.status_code, answer.json()["detail"]) == (410, "No.")
    await messaging.publish(
        PackagePlanned(
            package_id=connected.package,
            asset_id="a" * 64,
            video_id=new_id(),
            renditions=["360p"],
            duration_s=1,
            segments_total=1,
        )
    )
    async with asyncio.timeout(10):
        path = f"{connected.prefix}/{SEGMENT}"
        while (await connected.client.head(path)).status_code != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    waiting = asyncio.create_task(connected.get(SEGMENT))
    await connected.until_waiting(1)
    await connected.put(SEGMENT, b"now")
    await messaging.publish(updated(connected.package, "360p", 1))
    assert (await waiting).content == b"now"


async def test_broker_that_comes_later_is_used_and_its_loss_survived(
    nats: Program, audience: Any, run_site: Any, messaging: Messaging
) -> None:
    nats.kill()
    async with run_site(nats_url=nats.url, repeat_s=0.2) as site:
        await site.plan()
        await site.put(SEGMENT, b"x")
        assert (await site.get(SEGMENT)).content == b"x"
        nats.start()
        await audience.heard(site)
        nats.kill()
        waiting = asyncio.create_task(site.get(LATE))
        await site.until_waiting(1)
        await site.put(LATE, b"y")
        assert (await waiting).content == b"y"
        nats.start()
        await audience.heard(site)


async def test_requests_beyond_the_limit_are_refused_at_once(run_site: Any) -> None:
    async with run_site(max_waiting_per_package=5) as site:
        await site.plan()
        waiting = [asyncio.create_task(site.get(SEGMENT)) for _ in range(5)]
        await site.until_waiting(5)
        refused = await site.get(SEGMENT)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["type"] == "too-many-waiting"
        await site.put(SEGMENT, b"x")
        assert {(await answer).status_code for answer in waiting} == {200}


@pytest.fixture
async def patient(run_site: Any) -> AsyncIterator[Any]:
    """A content API that waits for longer than a client here would, so that none may be needed."""
    async with run_site(wait_s=60) as site:
        yield site


async def test_stopping_sends_waiting_requests_away(run_site: Any) -> None:
    async with run_site(wait_s=60) as site:
        await site.plan()
        waiting = asyncio.create_task(site.get(SEGMENT))
        await site.until_waiting(1)
        site.stop()
        assert (await waiting).status_code == 503
