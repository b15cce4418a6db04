"""A packager's parts on real servers, with encoders that the test plays."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from reelay.common.commands import EncodeChunk, SegmentDemanded
from reelay.common.database import Database
from reelay.common.events import Event, PackageRequested, SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.outbox import OUTBOX, Outbox
from reelay.common.storage import ObjectStore
from reelay.packager.adapters import pending, repository
from reelay.packager.adapters.ffprobe import NeedsIndexError
from reelay.packager.domain.demand import DemandBoard
from reelay.packager.domain.outcome import StoredObject
from reelay.packager.domain.plan import Plan, make_plan
from reelay.packager.domain.source import SourceFacts
from reelay.packager.handlers.bookkeeping import Bookkeeping, StoredSegment
from reelay.packager.handlers.census import EncoderCensus
from reelay.packager.handlers.demanding import Demanding
from reelay.packager.handlers.dispatching import Dispatcher
from reelay.packager.handlers.planning import Planning

from ..unit.plans import VERSIONS, plan

DIGEST = "0" * 64


def segment_ready(
    task: EncodeChunk,
    rendition: str,
    number: int,
    *,
    made_first: int | None = None,
    made_last: int | None = None,
) -> SegmentReady:
    """Return what an encoder says of a segment of a task."""
    return SegmentReady(
        task_id=task.task_id,
        package_id=task.package_id,
        rendition=rendition,
        number=number,
        lane=task.lane,
        staging_key="staging/x",
        size_bytes=1,
        made_first=made_first,
        made_last=made_last,
        attempt=task.attempt,
    )


class FakeReader:
    """Says the same of every source; may claim that it was rewritten."""

    def __init__(self, source: SourceFacts, rewritten: str = "") -> None:
        self.source = source
        self.rewritten = rewritten

    async def examine(self, key: str) -> SourceFacts:
        """See SourceReader."""
        if self.rewritten:
            raise NeedsIndexError
        return self.source

    async def find_rewritten(self, asset_id: str) -> tuple[str, SourceFacts] | None:
        """See SourceReader."""
        return (self.rewritten, self.source) if self.rewritten else None

    async def rewrite(self, asset_id: str, key: str) -> tuple[str, SourceFacts]:
        """See SourceReader."""
        return self.rewritten, self.source


@dataclass
class House:
    """A packager's parts, without encoders: the test plays them."""

    database: Database
    outbox: Outbox
    store: ObjectStore
    messaging: Messaging
    board: DemandBoard
    census: EncoderCensus
    dispatcher: Dispatcher
    books: Bookkeeping
    demanding: Demanding

    async def add(self, owner: str, seconds: float = 120) -> Plan:
        """Plan a film for an owner, and dispatch."""
        source = plan(seconds, size=(640, 360)).source
        film = make_plan(uuid4().hex * 2, source, VERSIONS)
        async with self.outbox.transaction() as tx:
            await repository.insert_package(tx.session, film, owner, "sources/x")
            row = await repository.lock(tx.session, film.package_id)
            assert row is not None
            await self.dispatcher.admit(tx, row)
            await self.dispatcher.dispatch(tx)
        return film

    async def work(self) -> list[EncodeChunk]:
        """Return what encoders have been told to make and has not been taken yet."""
        async with self.database.transaction() as session:
            rows = await session.execute(sa.select(OUTBOX).order_by(OUTBOX.c.id))
            messages = [r.body for r in rows if r.subject.startswith("work.")]
            await session.execute(sa.delete(OUTBOX))
        return [EncodeChunk.model_validate_json(body) for body in messages]

    async def again(self, task: EncodeChunk) -> None:
        """Let a task be announced anew, as if its message were lost."""
        async with self.outbox.transaction() as tx:
            packages = await pending.packages(tx.session, [task.package_id])
            (row,) = await repository.lock_tasks(tx.session, [task.task_id])
            await self.dispatcher.again(tx, packages[task.package_id], row)

    async def finish(self, task: EncodeChunk) -> None:
        """Let a task's segments be stored, as if an encoder had made them."""
        made = [(o.rendition, f"video/{o.rendition}", s) for o in task.video for s in task.segments]
        if task.audio_rendition:
            made += [(task.audio_rendition, "audio/main", s) for s in task.audio_segments]
        await self.books.note(
            [
                StoredSegment(
                    segment_ready(task, name, spec.number),
                    StoredObject(f"{path}/init.mp4", 1, DIGEST),
                    StoredObject(f"{path}/{spec.number}.m4s", 1, DIGEST),
                )
                for name, path, spec in made
            ]
        )

    def planning(self, seconds: float = 20, rewritten: str = "") -> Planning:
        """Return the use cases of requests, for sources of one kind."""
        reader = FakeReader(plan(seconds, size=(640, 360)).source, rewritten)
        return Planning(self.outbox, self.store, reader, self.dispatcher, VERSIONS)  # type: ignore[arg-type]

    async def request(self, asset: str, owner: str = "a", **source: Any) -> tuple[str, UUID]:
        """Let a new video of an owner ask for the package of an asset; return package and video."""
        video_id = uuid4()
        request = PackageRequested(
            video_id=video_id, owner_id=owner, asset_id=asset, source_key=f"sources/{asset}"
        )
        await self.planning(**source).plan_package(request)
        film = make_plan(asset, plan(source.get("seconds", 20), size=(640, 360)).source, VERSIONS)
        return film.package_id, video_id

    async def make(self, task: EncodeChunk) -> None:
        """Let a task's segments be made and stored, each with bytes that its path decides."""
        made = [(o.rendition, "video/" + o.rendition, task.segments) for o in task.video]
        if task.audio_rendition:
            made.append((task.audio_rendition, "audio/main", task.audio_segments))
        stored = []
        for name, path, run, spec in [(*each, spec) for each in made for spec in each[2]]:
            ready = segment_ready(
                task, name, spec.number, made_first=run[0].number, made_last=run[-1].number
            )
            if (await self.books.wanted([ready]))[0]:
                init = await self._put(task.package_id, f"{path}/init.mp4")
                media = await self._put(task.package_id, f"{path}/{spec.number}.m4s")
                stored.append(StoredSegment(ready, init, media))
        await self.books.note(stored)

    async def make_all(self) -> None:
        """Make everything that is dispatched, and what is dispatched then."""
        while tasks := await self.work():
            for task in tasks:
                await self.make(task)

    async def _put(self, package_id: str, path: str) -> StoredObject:
        body = f"{package_id}/{path}".encode() * 10
        await self.store.put(f"packages/{package_id}/{path}", body)
        return StoredObject(path, len(body), hashlib.sha256(body).hexdigest())

    async def state(self, package_id: str) -> str | None:
        """Return the state of a package, if it is known."""
        async with self.outbox.transaction() as tx:
            row = await repository.find(tx.session, package_id)
            return row.state if row else None

    async def stored(self, prefix: str) -> list[str]:
        """Return the keys below a prefix."""
        return [info.key async for info in self.store.scan(prefix)]

    async def announced(self, kind: type[Event]) -> int:
        """Return how many facts of a kind were announced, and take everything."""
        async with self.database.transaction() as session:
            rows = list(await session.execute(sa.select(OUTBOX.c.subject)))
            await session.execute(sa.delete(OUTBOX))
        return sum(row.subject == kind.subject for row in rows)

    async def demand(self, film: Plan, path: str, viewer: str = "v") -> None:
        """Let a viewer wait for an object."""
        await self.demanding.hear(
            SegmentDemanded(package_id=film.package_id, path=path, viewer=viewer)
        )
        async with self.outbox.transaction() as tx:
            await self.dispatcher.dispatch(tx)


def build_house(database: Database, messaging: Messaging, store: ObjectStore) -> House:
    """Wire the parts."""
    outbox = Outbox(database, messaging)
    board, census = DemandBoard(), EncoderCensus()
    dispatcher = Dispatcher(census, board)
    books = Bookkeeping(outbox, store, dispatcher)
    demanding = Demanding(outbox, dispatcher, board)
    return House(database, outbox, store, messaging, board, census, dispatcher, books, demanding)
