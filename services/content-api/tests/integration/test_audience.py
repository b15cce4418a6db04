"""Where viewers are, as it is told over a real broker to those who ask."""

import asyncio
import contextlib
from typing import Any
from uuid import uuid4

import pytest

from reelay.common.commands import ViewersAsked, ViewerSeen, ViewersSeen
from reelay.common.messaging import Messaging
from reelay.content_api.handlers.audience import ASKED_S

from .films import Film
from .sites import LATE, SEGMENT, Site, updated

pytestmark = pytest.mark.integration

FIRST, SOUND = "video/360p/9.m4s", "audio/main/1.m4s"


class Asking:
    """Asks where the viewers of a package are, and hears the answers."""

    def __init__(self, messaging: Messaging) -> None:
        self._messaging = messaging
        self.answers = asyncio.Queue[ViewersSeen]()

    async def ask(self, site: Site) -> None:
        """Ask once."""
        await self._messaging.tell(ViewersAsked(package_id=site.package))

    async def until_seen(self, site: Site, count: int = 1) -> list[ViewerSeen]:
        """Ask until so many are seen."""
        async with asyncio.timeout(20):
            while True:
                await self.ask(site)
                with contextlib.suppress(TimeoutError):
                    answer = await asyncio.wait_for(self.answers.get(), 0.2)
                    assert answer.package_id == site.package
                    if len(answer.viewers) >= count:
                        return answer.viewers

    async def begin(self, site: Site, token: str = "") -> None:
        """Return when whoever comes is noted: nobody is before the first question was heard."""
        await site.put(FIRST, b"one")
        asking = asyncio.create_task(self.until_seen(site))
        while not asking.done():
            await site.get(token + FIRST, headers={"user-agent": "first"})
            await asyncio.wait([asking], timeout=0.05)
        await asking


@pytest.fixture
async def asking(messaging: Messaging, audience: Any) -> Asking:
    """Somebody who looks at the map of a package."""
    asking = Asking(messaging)

    async def on_seen(msg: Any) -> None:
        asking.answers.put_nowait(ViewersSeen.model_validate_json(msg.data))

    await messaging.client.subscribe(ViewersSeen.subject, cb=on_seen)
    return asking


async def test_viewer_is_seen_at_the_picture_that_was_sent_last(
    connected: Site, asking: Asking, audience: Any
) -> None:
    await asking.begin(connected)
    await connected.put(SEGMENT, b"first")
    await connected.put(SOUND, b"sound")
    for path in ("plan.json", SEGMENT, SOUND):
        assert (await connected.get(path)).status_code == 200
    _, one = await asking.until_seen(connected, 2)
    assert (one.path, one.ago_s < 10) == (SEGMENT, True)
    # Who waits is told of by the same name, so that nobody is counted twice.
    waiting = asyncio.create_task(connected.get(LATE))
    await audience.until(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert one.viewer == audience.demands[0].viewer


async def test_parts_and_answers_given_again_count(connected: Site, asking: Asking) -> None:
    await asking.begin(connected)
    await connected.put(SEGMENT, b"first")
    # At once after one another: all whole ones but the first are answers given again.
    for number, fields in enumerate([{}, {}, {}, {"range": "bytes=0-1"}, {"range": "bytes=1-"}]):
        await connected.get(SEGMENT, headers={"user-agent": str(number), **fields})
    viewers = await asking.until_seen(connected, 6)
    assert [viewer.path for viewer in viewers[1:]] == [SEGMENT] * 5


async def test_what_sends_nothing_of_a_segment_does_not_count(
    connected: Site, asking: Asking
) -> None:
    await asking.begin(connected)
    await connected.put(SEGMENT, b"first")
    url = f"{connected.prefix}/{SEGMENT}"
    assert (await connected.client.head(url, headers={"user-agent": "a"})).status_code == 200
    for fields in ({"if-none-match": "*"}, {"range": "bytes=9-"}, {"if-match": '"x"'}):
        answer = await connected.get(SEGMENT, headers={"user-agent": "b", **fields})
        assert answer.status_code in (304, 412, 416)
    await connected.get(LATE + "x", headers={"user-agent": "c"})
    await connected.get(SEGMENT, headers={"user-agent": "d"})
    assert len(await asking.until_seen(connected, 2)) == 2


async def test_viewer_is_seen_at_what_was_waited_for(
    connected: Site, asking: Asking, messaging: Messaging
) -> None:
    await asking.begin(connected)
    waiting = asyncio.create_task(connected.get(LATE))
    await connected.until_waiting(1)
    await connected.put(LATE, b"late")
    await messaging.publish(updated(connected.package, "360p", 2))
    assert (await waiting).status_code == 200
    assert (await asking.until_seen(connected, 2))[-1].path == LATE


async def test_viewer_of_a_private_film_is_seen(film: Film, asking: Asking) -> None:
    await film.hide()
    await asking.begin(film.site, f"~{film.token()}/")
    (one,) = await asking.until_seen(film.site)
    assert one.path == FIRST


async def test_nothing_is_kept_when_nobody_asks_any_more(connected: Site, asking: Asking) -> None:
    await asking.begin(connected)
    await connected.put(SEGMENT, b"first")
    await asyncio.sleep(ASKED_S + 1)
    asking.answers = asyncio.Queue()  # to what was asked before
    await connected.get(FIRST, headers={"user-agent": "meanwhile"})
    await asking.ask(connected)
    asking_again = asyncio.create_task(asking.until_seen(connected))
    while not asking_again.done():
        await connected.get(SEGMENT, headers={"user-agent": "again"})
        await asyncio.wait([asking_again], timeout=0.05)
    assert [viewer.path for viewer in await asking_again] == [SEGMENT]


async def test_viewers_of_a_package_that_nobody_asks_about_are_not_told(
    connected: Site, asking: Asking
) -> None:
    await asking.begin(connected)
    asked, connected.package = connected.package, uuid4().hex * 2
    await connected.plan()
    await connected.put(SEGMENT, b"other")
    await connected.get(SEGMENT, headers={"user-agent": "other"})
    connected.package = asked
    assert len(await asking.until_seen(connected)) == 1
