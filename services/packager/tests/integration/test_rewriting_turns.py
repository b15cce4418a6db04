"""Sources that are rewritten: owners take turns, and nothing is lost or done for nobody."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from reelay.common.commands import DeadLetter
from reelay.common.events import PackageRequested, RewriteRequested, TranscodeFailed, VideoDeleted
from reelay.common.fitness import Check
from reelay.common.outbox import OUTBOX
from reelay.common.service import background
from reelay.common.storage import StoreUnavailableError, assert_works
from reelay.packager.adapters import rewrites
from reelay.packager.adapters.ffprobe import NeedsIndexError
from reelay.packager.adapters.process import ProgramKilledError
from reelay.packager.adapters.sources import ScratchFullError
from reelay.packager.adapters.tables import RewriteRow
from reelay.packager.domain.source import SourceFacts
from reelay.packager.handlers import rewriting as module
from reelay.packager.handlers.planning import UNPREPARED, Planning
from reelay.packager.handlers.rewriting import MOST_ATTEMPTS, NO_ROOM, Rewriting

from ..unit.plans import VERSIONS, plan
from .house import House

pytestmark = pytest.mark.integration


class Reader:
    """Rewrites what it is asked for, in the order that it notes; `hinder` may keep it from that."""

    def __init__(self, hinder: Callable[[str], None] = lambda _: None) -> None:
        self.order: list[str] = []
        self.hinder = hinder
        self.endless = False
        self.ended = asyncio.Event()

    async def examine(self, key: str) -> SourceFacts:
        """See SourceReader."""
        raise NeedsIndexError

    async def find_rewritten(self, asset_id: str) -> tuple[str, SourceFacts] | None:
        """See SourceReader."""
        return None

    async def rewrite(self, asset_id: str, key: str) -> tuple[str, SourceFacts]:
        """See SourceReader."""
        self.order.append(key.removeprefix("sources/"))
        self.hinder(key)
        try:
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.ended.set()
        return key, plan(20, size=(640, 360)).source


def hindered(error: type[Exception], at: str = "") -> Reader:
    """One that cannot rewrite any source, or not the one whose key ends like that."""

    def hinder(key: str) -> None:
        if key.endswith(at):
            raise error

    return Reader(hinder)


async def is_away() -> None:
    raise StoreUnavailableError


def rewriting_of(house: House, reader: Reader, check: Check | None = None) -> Rewriting:
    """One replica's part."""
    check = check or partial(assert_works, house.store)
    planning = Planning(house.outbox, house.store, reader, house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    return Rewriting(house.outbox, house.store, planning, check)


async def ask(
    house: House, rewriting: Rewriting, name: str, *, size_bytes: int = 100, asset: str = ""
) -> RewriteRequested:
    """Let a video whose owner its name begins with wait for its source to be rewritten."""
    key, asset = f"sources/{name}", asset or uuid4().hex * 2
    await house.store.put(key, bytes(size_bytes))
    request = RewriteRequested(video_id=uuid4(), owner_id=name[0], asset_id=asset, source_key=key)
    await rewriting.note(request)
    return request


async def announced(house: House, subject: str) -> list[str]:
    async with house.database.transaction() as session:
        rows = await session.execute(sa.select(OUTBOX.c.subject, OUTBOX.c.body))
        return [row.body for row in rows if row.subject == subject]


async def reasons(house: House) -> list[tuple[UUID | None, str]]:
    bodies = await announced(house, TranscodeFailed.subject)
    failed = [TranscodeFailed.model_validate_json(body) for body in bodies]
    return [(fact.video_id, fact.reason) for fact in failed]


async def waiting(house: House) -> dict[str, int]:
    """Return the sources that are not planned yet, with how often each was tried."""
    async with house.database.transaction() as session:
        rows = await session.execute(sa.select(RewriteRow.source_key, RewriteRow.attempts))  # type: ignore[call-overload]
        return {key.removeprefix("sources/"): attempts for key, attempts in rows}


async def pass_time(house: House, **what: timedelta) -> None:
    """Let all that waits have been due, or asked for, earlier."""
    values = {name: RewriteRow.__table__.c[name] - by for name, by in what.items()}  # type: ignore[attr-defined]
    async with house.database.transaction() as session:
        await session.execute(sa.update(RewriteRow).values(**values))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def test_owner_of_one_source_waits_for_no_backlog_of_another(house: House) -> None:
    rewriting = rewriting_of(house, reader := Reader())
    for name in ("a1", "a2", "a3", "b1"):
        await ask(house, rewriting, name)
    while await rewriting.rewrite_next():
        pass
    assert reader.order == ["a1", "b1", "a2", "a3"]


async def test_owners_share_by_bytes_and_save_up_nothing(house: House) -> None:
    rewriting = rewriting_of(house, reader := Reader())
    for name, size_bytes in [("a1", 300), ("a2", 300), ("b1", 100), ("b2", 100), ("b3", 100)]:
        await ask(house, rewriting, name, size_bytes=size_bytes)
    for _ in range(5):
        await rewriting.rewrite_next()
    await ask(house, rewriting, "a3")
    for name in ("c1", "c2", "c3"):  # new, but not before all that others ever had
        await ask(house, rewriting, name)
    while await rewriting.rewrite_next():
        pass
    assert reader.order == ["a1", "b1", "b2", "b3", "a2", "c1", "c2", "c3", "a3"]


async def test_small_source_waits_for_no_large_ones(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLACES", (None, 50))
    rewriting = rewriting_of(house, reader := Reader())
    reader.endless = True
    for name in ("a1", "a2", "b1"):
        await ask(house, rewriting, name, size_bytes=100)
    async with background(rewriting.run()), asyncio.timeout(60):
        await until(lambda: reader.order == ["a1"])
        await ask(house, rewriting, "c1", size_bytes=50)
        await until(lambda: "c1" in reader.order)
    assert reader.order == ["a1", "c1"]


async def test_request_that_comes_twice_is_followed_once(house: House) -> None:
    rewriting = rewriting_of(house, reader := Reader())
    request = await ask(house, rewriting, "a1")
    await rewriting.note(request)
    while await rewriting.rewrite_next():
        pass
    assert reader.order == ["a1"]
    assert await waiting(house) == {}


async def test_many_places_take_each_source_once(house: House) -> None:
    replicas = [rewriting_of(house, reader := Reader()), rewriting_of(house, other := Reader())]
    for name in ("a1", "a2", "b1", "b2", "c1"):
        await ask(house, replicas[0], name)
    for _ in range(3):
        await asyncio.gather(*(replicas[n % 2].rewrite_next() for n in range(4)))
    assert sorted(reader.order + other.order) == ["a1", "a2", "b1", "b2", "c1"]


async def test_source_of_a_killed_replica_is_another_s_when_its_lease_is_over(
    house: House,
) -> None:
    rewriting = rewriting_of(house, reader := Reader())
    await ask(house, rewriting, "a1")
    async with house.outbox.transaction() as tx:
        assert await rewrites.take(tx.session) is not None  # and nothing is heard of it again
    assert not await rewriting.rewrite_next()
    await pass_time(house, due_at=rewrites.LEASE)
    assert await rewriting.rewrite_next()
    assert (reader.order, await waiting(house)) == (["a1"], {})


async def test_source_that_kills_every_replica_is_given_up_with_a_reason(house: House) -> None:
    rewriting = rewriting_of(house, reader := Reader())
    request = await ask(house, rewriting, "a1")
    for _ in range(MOST_ATTEMPTS):
        async with house.outbox.transaction() as tx:
            assert await rewrites.take(tx.session) is not None
        await pass_time(house, due_at=rewrites.LEASE)
    assert await rewriting.rewrite_next()
    assert (reader.order, await waiting(house)) == ([], {})
    assert await reasons(house) == [(request.video_id, UNPREPARED)]


@pytest.mark.parametrize("failure", [ProgramKilledError, StoreUnavailableError])
async def test_failures_are_counted_and_end_in_a_dead_letter(
    house: House, failure: type[Exception]
) -> None:
    rewriting = rewriting_of(house, reader := hindered(failure))
    request = await ask(house, rewriting, "a1")
    for _ in range(MOST_ATTEMPTS):
        assert await rewriting.rewrite_next()
        assert not await rewriting.rewrite_next()
        await pass_time(house, due_at=timedelta(minutes=1))
    assert (len(reader.order), await waiting(house)) == (MOST_ATTEMPTS, {})
    assert await reasons(house) == [(request.video_id, UNPREPARED)]
    [letter] = await announced(house, "deadletters.packager-rewrite")
    assert DeadLetter.model_validate_json(letter).body == request.model_dump_json()


async def test_stopped_replica_gives_its_source_back_at_once_and_uncounted(house: House) -> None:
    stopped = rewriting_of(house, reader := Reader())
    reader.endless = True
    await ask(house, stopped, "a1")
    async with background(stopped.run()), asyncio.timeout(60):
        await until(lambda: reader.order == ["a1"])
    assert await waiting(house) == {"a1": 0}
    assert await rewriting_of(house, Reader()).rewrite_next()
    assert await waiting(house) == {}


async def test_rewriting_ends_with_its_video(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_S", 0.02)
    rewriting = rewriting_of(house, reader := Reader())
    reader.endless = True
    request = await ask(house, rewriting, "a1")
    async with asyncio.timeout(60):
        work = asyncio.create_task(rewriting.rewrite_next())
        await until(lambda: reader.order == ["a1"])
        await house.planning().forget_video(VideoDeleted(video_id=request.video_id, owner_id="a"))
        await reader.ended.wait()
        assert await work
    await rewriting.note(request)
    assert await waiting(house) == {}


@pytest.mark.parametrize("hindrance", [ScratchFullError, StoreUnavailableError])
async def test_source_that_must_wait_leaves_its_place_and_counts_no_attempt(
    house: House, hindrance: type[Exception]
) -> None:
    rewriting = rewriting_of(house, reader := hindered(hindrance, at="a1"), is_away)
    await ask(house, rewriting, "a1")
    assert await rewriting.rewrite_next()
    for name in ("b1", "a2"):
        await ask(house, rewriting, name, size_bytes=10)
    while await rewriting.rewrite_next():
        pass
    # It has not been paid for either: the owner's other source has its turn.
    assert reader.order == ["a1", "b1", "a2"]
    assert await waiting(house) == {"a1": 0}


async def test_source_that_found_no_room_for_a_day_is_refused_with_advice(house: House) -> None:
    rewriting = rewriting_of(house, hindered(ScratchFullError))
    request = await ask(house, rewriting, "a1")
    await rewriting.rewrite_next()
    assert await reasons(house) == []
    await pass_time(house, due_at=timedelta(minutes=1), requested_at=timedelta(days=1))
    await rewriting.rewrite_next()
    assert await reasons(house) == [(request.video_id, NO_ROOM)]
    assert await waiting(house) == {}


async def test_same_bytes_for_two_videos_are_not_copied_at_the_same_time(house: House) -> None:
    rewriting = rewriting_of(house, reader := Reader())
    reader.endless = True
    for name in ("a1", "b1"):
        await ask(house, rewriting, name, asset="f" * 64)
    async with asyncio.timeout(60):
        work = asyncio.create_task(rewriting.rewrite_next())
        await until(lambda: reader.order == ["a1"])
        assert not await rewriting.rewrite_next()
        await ask(house, rewriting, "b2")
        reader.endless = False
        assert await rewriting.rewrite_next()
        assert reader.order == ["a1", "b2"]
        work.cancel()
        await asyncio.wait({work})


async def test_source_without_index_is_asked_for_by_its_video(house: House) -> None:
    planning = Planning(house.outbox, house.store, Reader(), house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    request = PackageRequested(video_id=uuid4(), owner_id="a", asset_id="a", source_key="sources/a")
    await planning.plan_package(request)
    [asked] = await announced(house, RewriteRequested.subject)
    assert RewriteRequested.model_validate_json(asked).video_id == request.video_id
