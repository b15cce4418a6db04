"""What those who serve content are told: in the stream, in the store, over outages and restarts."""

import asyncio
import signal
from collections.abc import Sequence
from uuid import UUID

import nats as nats_client
import pytest
from nats.js.errors import NotFoundError

from reelay.catalog.restrictions import stream
from reelay.common.content_access import Access, ContentAccessChanged, subject_of
from reelay.common.events import PackageRemoved
from reelay.common.messaging import Messaging
from reelay.common.storage import open_store
from reelay.common.streams import ACCESS
from reelay.common.testing.servers import Program

from .system import DEADLINE_S, Catalog, Film, publish

pytestmark = pytest.mark.integration

STREAM = str(ACCESS.name)


async def told(messaging: Messaging, package_id: str) -> tuple[str, list[str]] | None:
    """Return what the stream says of a package."""
    try:
        message = await messaging.jetstream.get_last_msg(STREAM, subject_of(package_id))
    except NotFoundError:
        return None
    state = ContentAccessChanged.model_validate_json(message.data or b"")
    return state.access.value, [str(video_id) for video_id in state.video_ids]


async def until_told(
    messaging: Messaging, package_id: str, access: str, videos: Sequence[str] = ()
) -> None:
    expected, last = (access, sorted(videos)), None
    try:
        async with asyncio.timeout(DEADLINE_S):
            while (last := await told(messaging, package_id)) != expected:  # noqa: ASYNC110  # polls
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        raise AssertionError(f"told {last}, not {expected}") from error


async def marks(catalog: Catalog, package_id: str) -> list[str]:
    store = open_store(f"file://{catalog.directory}/store")
    return [i.key.rpartition(".")[2] async for i in store.scan(f"access/{package_id}")]


async def until_marked(catalog: Catalog, package_id: str, *expected: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while await marks(catalog, package_id) != list(expected):  # noqa: ASYNC110  # polls a folder
            await asyncio.sleep(0.02)


async def planned(
    catalog: Catalog, facts: Messaging, visibility: str, like: Film | None = None
) -> Film:
    """Return the film of a new video whose package is planned; the same one as that of `like`."""
    film = Film(await catalog.draft(visibility=visibility))
    if like is not None:
        film.asset_id, film.package_id = like.asset_id, like.package_id
    assert film.video_id
    for event in (film.uploaded(), film.planned()):
        await publish(facts, event)
    await catalog.until(film.video_id, state="planned")
    return film


def ids(*films: Film) -> list[str]:
    return [film.video_id for film in films if film.video_id]


async def test_public_package_is_never_spoken_of(shared_catalog: Catalog, facts: Messaging) -> None:
    film = await planned(shared_catalog, facts, "public")
    other = await planned(shared_catalog, facts, "private")
    await until_told(facts, other.package_id, "token", ids(other))
    assert await told(facts, film.package_id) is None
    assert await marks(shared_catalog, film.package_id) == []


async def test_every_change_of_visibility_is_told(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = await planned(shared_catalog, facts, "private")
    assert film.video_id
    await until_told(facts, film.package_id, "token", ids(film))
    for visibility, access in (
        ("public", "open"),
        ("private", "token"),
        ("unlisted", "open"),
        ("private", "token"),
    ):
        await shared_catalog.show_to(film.video_id, visibility)
        await until_told(facts, film.package_id, access, ids(film) if access == "token" else ())
    await until_marked(shared_catalog, film.package_id, "token")
    await shared_catalog.delete(film.video_id)
    await until_told(facts, film.package_id, "closed")
    await until_marked(shared_catalog, film.package_id, "closed", "token")


async def test_shared_package_is_what_its_most_open_video_is(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    first = await planned(shared_catalog, facts, "private")
    await until_told(facts, first.package_id, "token", ids(first))
    second = await planned(shared_catalog, facts, "public", like=first)
    await until_told(facts, first.package_id, "open")
    assert second.video_id
    await shared_catalog.show_to(second.video_id, "private")
    await until_told(facts, first.package_id, "token", ids(first, second))
    assert first.video_id
    await shared_catalog.delete(first.video_id)
    await until_told(facts, first.package_id, "token", ids(second))
    await shared_catalog.delete(second.video_id)
    await until_told(facts, first.package_id, "closed")
    third = await planned(shared_catalog, facts, "unlisted", like=first)
    await until_told(facts, third.package_id, "open")


async def test_package_that_a_video_had_before_is_as_secret_as_its_present_one(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    old = await planned(shared_catalog, facts, "public")
    assert old.video_id
    new = Film(old.video_id, asset_id=old.asset_id)
    await publish(facts, new.planned())
    await shared_catalog.until(old.video_id, package_id=new.package_id)
    await shared_catalog.show_to(old.video_id, "private")
    for package_id in (old.package_id, new.package_id):
        await until_told(facts, package_id, "token", ids(old))
    await shared_catalog.delete(old.video_id)
    for package_id in (old.package_id, new.package_id):
        await until_told(facts, package_id, "closed")


async def test_package_planned_for_a_video_that_was_deleted_is_closed(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft(visibility="private"))
    assert film.video_id
    await shared_catalog.delete(film.video_id)
    await publish(facts, film.planned())
    await until_told(facts, film.package_id, "closed")


async def test_removed_package_is_forgotten_and_may_come_again(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = await planned(shared_catalog, facts, "private")
    assert film.video_id
    await shared_catalog.delete(film.video_id)
    await until_told(facts, film.package_id, "closed")
    await publish(facts, PackageRemoved(package_id=film.package_id))
    await until_told(facts, film.package_id, "open")
    await until_marked(shared_catalog, film.package_id)
    again = await planned(shared_catalog, facts, "private", like=film)
    await until_told(facts, film.package_id, "token", ids(again))


async def test_videos_of_one_package_that_change_at_once_leave_it_right(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    other = Catalog(shared_catalog.directory, shared_catalog.nats_url, shared_catalog.database_url)
    other.start()
    try:
        first = await planned(shared_catalog, facts, "public")
        films = [first, *[await planned(other, facts, "public", like=first) for _ in range(3)]]
        for _ in range(5):
            for visibility in ("public", "private"):
                changes = [
                    (other if n % 2 else shared_catalog).show_to(video_id, visibility)
                    for n, video_id in enumerate(ids(*films))
                ]
                await asyncio.gather(*changes)
            await until_told(facts, first.package_id, "token", ids(*films))
    finally:
        assert other.stop() == 0


async def test_what_changed_while_the_broker_was_away_is_marked_at_once_and_told_later(
    lonely: Catalog, nats: Program, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    film = await planned(lonely, messaging, "public")
    assert film.video_id
    nats.kill()
    await lonely.show_to(film.video_id, "private")
    await until_marked(lonely, film.package_id, "token")
    lonely.stop(signal.SIGKILL)
    nats.start()
    lonely.start()
    await until_told(messaging, film.package_id, "token", ids(film))


async def test_stream_that_was_lost_is_told_everything_again(
    lonely: Catalog, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    films = [await planned(lonely, messaging, "private") for _ in range(3)]
    for film in films:
        await until_told(messaging, film.package_id, "token", ids(film))
    await messaging.jetstream.delete_stream(STREAM)
    lonely.stop()
    lonely.start()
    for film in films:
        await until_told(messaging, film.package_id, "token", ids(film))


async def test_state_that_comes_late_overwrites_no_newer_one(
    nats: Program, messaging: Messaging
) -> None:
    await messaging.start()

    def state(access: Access, revision: int) -> ContentAccessChanged:
        return ContentAccessChanged(package_id="a" * 64, access=access, revision=revision)

    await stream.tell(messaging, state(Access.CLOSED, 5))
    await stream.tell(messaging, state(Access.OPEN, 4))
    assert await told(messaging, "a" * 64) == ("closed", [])
    client = await nats_client.connect(nats.url)
    await client.publish(subject_of("a" * 64), b"nonsense")
    await client.flush()
    await client.close()
    await stream.tell(messaging, state(Access.TOKEN, 6))
    assert await told(messaging, "a" * 64) == ("token", [])


async def test_many_states_at_once_leave_the_newest(messaging: Messaging) -> None:
    await messaging.start()
    states = [
        ContentAccessChanged(
            package_id="b" * 64, access=Access.TOKEN, revision=n, video_ids=[UUID(int=n)]
        )
        for n in range(1, 21)
    ]
    await asyncio.gather(*(stream.tell(messaging, state) for state in states))
    assert await told(messaging, "b" * 64) == ("token", [str(UUID(int=20))])
