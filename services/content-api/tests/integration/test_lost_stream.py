"""A stream of restrictions that was lost: what it does not say yet is not taken for open."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest

from reelay.common.content_access import Access, mark_key
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .films import Film
from .sites import Site
from .telling import say_all_told, tell_surely

pytestmark = pytest.mark.integration

LONG_S = 5.0
"""Longer than a lost stream goes unnoticed, and than an answer of the store holds."""


async def holds(check: Callable[[], Awaitable[None]], for_s: float = LONG_S) -> None:
    """Assert something again and again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + for_s
    while loop.time() < until:
        await check()
        await asyncio.sleep(0.1)


async def another(film: Film, messaging: Messaging) -> Film:
    """Return the film of another package of the same content API."""
    site = film.site
    other = Film(Site(site.program, site.store, site.client), messaging)
    other.signer = film.signer
    await other.prepare()
    return other


async def follows(film: Film) -> None:
    """Return when marks in the store count for nothing, as the stream is trusted."""
    mark = mark_key(film.site.package, Access.TOKEN)
    await film.site.store.put(mark, b"")
    await film.until(200)
    await holds(lambda: answers(film, 200), 4)
    await film.site.store.delete(mark)


async def answers(film: Film, status: int) -> None:
    assert await film.status() == status


async def test_stream_made_anew_is_trusted_only_when_all_was_told(
    film: Film, messaging: Messaging
) -> None:
    await say_all_told(messaging)
    shown, gone, late = [await another(film, messaging) for _ in range(3)]
    for each in (film, gone, late):
        await each.hide()
    await answers(shown, 200)

    async def nothing_changed() -> None:
        seen = [await each.status() for each in (film, gone, late, shown)]
        assert seen == [404, 404, 404, 200]
        assert await film.status(film.token()) == 200

    await messaging.jetstream.delete_stream("ACCESS")
    await messaging.start()  # as any service does
    await holds(nothing_changed)
    await film.tell(Access.TOKEN, film.id)  # a part of what the catalog knows
    await holds(nothing_changed, 2)
    await say_all_told(messaging, datetime.now(UTC) - timedelta(hours=1))  # to the lost stream
    await holds(nothing_changed, 2)
    await late.tell(Access.TOKEN, late.id)
    await say_all_told(messaging)
    await gone.until(200)  # the catalog knows nothing of it any more
    assert [await each.status() for each in (film, late, shown)] == [404, 404, 200]
    await follows(shown)


async def test_stream_that_the_broker_set_back_is_trusted_only_when_all_was_told_again(
    film: Film, messaging: Messaging, nats: Program, tmp_path: Path
) -> None:
    await say_all_told(messaging)
    shown, (kept, earlier) = await another(film, messaging), (tmp_path / "nats", tmp_path / "kept")
    await film.tell(Access.OPEN)
    await follows(shown)
    nats.kill()
    copytree(kept, earlier)
    nats.start()
    await tell_surely(film, Access.TOKEN)
    await film.until(404)
    await follows(shown)
    nats.kill()
    rmtree(kept)
    earlier.rename(kept)
    nats.start()

    async def nothing_changed() -> None:
        seen = [await film.status(), await film.status(film.token()), await shown.status()]
        assert seen == [404, 200, 200]

    await holds(nothing_changed, 2 * LONG_S)
    await tell_surely(film, Access.TOKEN)
    await say_all_told(messaging)
    await follows(shown)
    await nothing_changed()


async def test_changes_are_heard_before_all_was_told(film: Film, messaging: Messaging) -> None:
    await film.tell(Access.TOKEN, film.id)
    assert await film.until(404) < 1
    await film.tell(Access.CLOSED)
    assert await film.until(404, film.token()) < 1
    await film.tell(Access.OPEN)
    assert await film.until(200) < 1


async def test_without_a_catalog_marks_in_the_store_decide(
    nats: Program, messaging: Messaging, run_site: Any
) -> None:
    await messaging.start()
    async with run_site(nats_url=nats.url) as site:
        film = Film(site, messaging)
        await film.prepare()
        assert await film.status() == 200
        await site.store.put(mark_key(site.package, Access.TOKEN), b"")
        await film.until(404)
        await holds(lambda: answers(film, 404))
        assert await film.status(film.token()) == 200
        await say_all_told(messaging)
        assert await film.until(200) < 1
