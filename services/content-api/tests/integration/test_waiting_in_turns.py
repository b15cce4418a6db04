"""A viewer who asks for everything, and one who wants to watch, over real HTTP."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from .sites import SEGMENT, Site

pytestmark = pytest.mark.integration

GREEDY = {"x-forwarded-for": "192.0.2.1"}
MODEST = {"x-forwarded-for": "192.0.2.2"}
PATHS = [f"{folder}/{n}.m4s" for folder in ("video/360p", "audio/main") for n in range(1, 17)]


def ask_for_everything(
    films: Iterable[Site], viewer: dict[str, str]
) -> list[asyncio.Task[httpx.Response]]:
    """Ask for all segments of both renditions of these films at once."""
    return [asyncio.create_task(film.get(path, headers=viewer)) for film in films for path in PATHS]


async def films_of(site: Site, number: int) -> list[Site]:
    """Return more films of the same content API, each of them planned."""
    films = [replace(site, package=f"{number}" * 64) for number in range(number)]
    for film in films:
        await film.plan()
    return films


def assert_refused(answers: Iterable[httpx.Response]) -> None:
    """Assert that all are told to ask again, by answers that no cache keeps."""
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["type"] == "too-many-waiting"


async def answered(requests: list[asyncio.Task[httpx.Response]], count: int) -> None:
    """Return when this many requests have answers, and not more."""
    waiting = set(requests)
    async with asyncio.timeout(15):
        while len(requests) - len(waiting) < count:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0.2)
    assert sum(request.done() for request in requests) == count


async def leave(requests: list[asyncio.Task[httpx.Response]]) -> None:
    """Close the connections of those who wait still."""
    for request in requests:
        request.cancel()
    await asyncio.gather(*requests, return_exceptions=True)


@pytest.mark.parametrize("film", [0, 2])
async def test_viewer_who_asks_for_everything_keeps_nobody_out(run_site: Any, film: int) -> None:
    async with run_site(wait_s=60, max_waiting=40, max_waiting_per_package=20) as site:
        films = await films_of(site, 3)
        greedy = ask_for_everything(films[:2], GREEDY)
        await answered(greedy, 64 - 40)
        modest = [
            asyncio.create_task(films[film].get(path, headers=MODEST)) for path in PATHS[14:17]
        ]
        await answered(greedy, 64 - 40 + 3)
        await site.until_waiting(40)
        assert not any(request.done() for request in modest)
        assert_refused([request.result() for request in greedy if request.done()])
        assert_refused([await films[film].get(PATHS[0], headers=GREEDY)])
        for path in PATHS[14:17]:
            await films[film].put(path, b"made")
        assert {(await request).content for request in modest} == {b"made"}
        await leave(greedy)


async def test_places_are_free_again_when_clients_are_gone(run_site: Any) -> None:
    async with run_site(wait_s=60, max_waiting=10) as site:
        films = await films_of(site, 1)
        for viewer in (GREEDY, MODEST, GREEDY):
            requests = ask_for_everything(films, viewer)
            await answered(requests, 32 - 10)
            await leave(requests)
            await site.until_waiting(0)


async def test_both_who_wait_for_an_object_are_told_of(connected: Any, audience: Any) -> None:
    waiting = [asyncio.create_task(connected.get(SEGMENT, headers=GREEDY))]
    await audience.until(1)
    waiting += [asyncio.create_task(connected.get(SEGMENT, headers=MODEST)) for _ in range(3)]
    await audience.until(2)
    await asyncio.sleep(0.3)
    first, second = audience.demands
    assert first.viewer != second.viewer
    assert {(demand.package_id, demand.path) for demand in (first, second)} == {
        (connected.package, SEGMENT)
    }
    await leave(waiting)
