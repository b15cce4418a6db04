"""Who may fetch a package changes while it is served, with a real broker and without one."""

import asyncio
import time
from typing import Any

import pytest

from reelay.common.content_access import Access, ContentAccessChanged, mark_key
from reelay.common.events import PackageRemoved
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .films import Film
from .sites import LATE, SEGMENT
from .telling import say_all_told, tell_surely

pytestmark = pytest.mark.integration

WITHIN_S = 1.0
"""What a change of visibility may take to reach a content API."""


@pytest.fixture
async def film(film: Film, messaging: Messaging) -> Film:
    """A film on a content API that has a broker with a stream that was told all."""
    await say_all_told(messaging)
    return film


async def test_visibility_changes_are_heard_within_a_second(film: Film) -> None:
    took = []
    for _ in range(5):
        await film.tell(Access.TOKEN, film.id)
        took.append(await film.until(404))
        await film.tell(Access.OPEN)
        took.append(await film.until(200))
    print(f"\nchanges were heard after {[round(each, 3) for each in took]} s")
    assert sorted(took)[5] < WITHIN_S
    assert (await film.get()).headers["cache-control"].startswith("public,")
    assert (await film.get(film.token())).headers["cache-control"].startswith("private,")


async def test_deletion_closes_the_package_to_its_tokens_too(film: Film) -> None:
    await film.hide()
    token = film.token()
    assert await film.status(token) == 200
    await film.tell(Access.CLOSED)
    await film.until(404, token)


async def test_deletion_of_one_private_video_leaves_the_others_token(film: Film) -> None:
    second = Film(film.site)
    second.signer = film.signer
    await film.tell(Access.TOKEN, film.id, second.id)
    await film.until(404)
    assert {await film.status(film.token()), await second.status(second.token())} == {200}
    await film.tell(Access.TOKEN, second.id)
    await film.until(404, film.token())
    assert await second.status(second.token()) == 200


@pytest.mark.parametrize("access", [Access.TOKEN, Access.CLOSED])
async def test_those_who_wait_are_sent_away_when_the_package_closes(
    film: Film, access: Access
) -> None:
    waiting = asyncio.create_task(film.get(path=LATE))
    await film.site.until_waiting(1)
    began = time.monotonic()
    await film.tell(access, *([film.id] if access is Access.TOKEN else []))
    answer = await waiting
    assert time.monotonic() - began < 10  # of the 20 that they would wait
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


async def test_content_api_that_starts_later_learns_what_was_said_before(
    film: Film, nats: Program, messaging: Messaging, run_site: Any
) -> None:
    told = []
    for n in range(2000):
        state = ContentAccessChanged(package_id=f"{n:064x}", access=Access.CLOSED, revision=n)
        body = state.model_dump_json().encode()
        told.append(messaging.jetstream.publish(state.to_subject(), body, timeout=60))
    await asyncio.gather(*told)
    await film.tell(Access.OPEN)
    await film.tell(Access.TOKEN, film.id)
    async with run_site(nats_url=nats.url) as later:
        again = Film(later)
        again.signer, again.id = film.signer, film.id
        later.package = film.site.package
        print(f"\n2001 restrictions were read within {await again.until(404):.2f} s")
        assert await again.status(again.token()) == 200
        assert await film.status(film.token()) == 200


async def test_broker_that_is_away_opens_nothing_and_is_followed_when_it_is_back(
    film: Film, nats: Program, messaging: Messaging
) -> None:
    await film.hide()
    nats.kill()
    for _ in range(12):  # longer than the silence after which marks are asked for
        assert (await film.status(), await film.status(film.token())) == (404, 200)
        await asyncio.sleep(0.4)
    await film.site.store.put(mark_key(film.site.package, Access.CLOSED), b"")
    await film.until(404, film.token())
    await film.site.store.delete(mark_key(film.site.package, Access.CLOSED))
    nats.start()
    await tell_surely(film, Access.OPEN)
    await film.until(200)
    await tell_surely(film, Access.TOKEN)
    await film.until(404)


async def test_stream_that_is_lost_and_made_anew_is_followed(
    film: Film, messaging: Messaging
) -> None:
    await film.hide()
    await messaging.jetstream.delete_stream("ACCESS")
    await film.site.store.put(mark_key(film.site.package, Access.TOKEN), b"")
    for _ in range(10):
        assert await film.status() == 404
        await asyncio.sleep(0.4)
    await messaging.start()
    await film.tell(Access.TOKEN, film.id)
    await film.tell(Access.OPEN)
    await say_all_told(messaging)
    await film.until(200)


async def test_without_a_broker_marks_in_the_store_close_packages(run_site: Any) -> None:
    async with run_site() as site:
        film = Film(site)
        await film.prepare()
        assert await film.status() == 200
        await site.store.put(mark_key(site.package, Access.TOKEN), b"")
        await film.until(404)
        assert await film.status(film.token()) == 200
        assert await film.status(film.token(lifetime_s=-1)) == 403
        await site.store.put(mark_key(site.package, Access.CLOSED), b"")
        await film.until(404, film.token())
        for access in (Access.CLOSED, Access.TOKEN):
            await site.store.delete(mark_key(site.package, access))
        await film.until(200)


async def test_package_marked_before_the_start_is_never_served(run_site: Any) -> None:
    async with run_site() as site:
        await site.store.put(mark_key(site.package, Access.TOKEN), b"")
        film = Film(site)
        await film.prepare()
        assert await film.status() == 404


async def test_removed_package_leaves_no_copy_behind(
    nats: Program, audience: Any, messaging: Messaging, run_site: Any, s3_url: str
) -> None:
    async with run_site(s3_url, nats_url=nats.url, wait_s=20, repeat_s=15) as site:
        await audience.heard(site)
        film = Film(site)
        big = b"x" * 300_000
        await site.put(SEGMENT, big)
        await site.put("master.m3u8", b"#EXTM3U")
        assert (await site.get(SEGMENT)).content == big
        assert (await site.get("master.m3u8")).status_code == 200
        for path in (SEGMENT, "master.m3u8", "plan.json"):
            await site.store.delete(f"packages/{site.package}/{path}")
        assert (await site.get(SEGMENT)).status_code == 200  # from the cache
        await messaging.publish(PackageRemoved(package_id=site.package))
        await film.until(404)
        assert (await site.get("master.m3u8")).status_code == 404
        await site.plan()
        await site.put(SEGMENT, b"other bytes")
        assert (await site.get(SEGMENT)).content == b"other bytes"
