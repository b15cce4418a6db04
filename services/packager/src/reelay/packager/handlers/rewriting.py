"""Sources without an index are rewritten, owner by owner; a small one waits for no large one."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog

from reelay.common.commands import DeadLetter
from reelay.common.delivery import MAX_RETRY_DELAY_S, ExhaustedError
from reelay.common.events import RewriteRequested
from reelay.common.fitness import Check, UnfitError, assert_fit
from reelay.common.outages import LONGEST_DELAY_S, OUTAGES, may_be_of_one
from reelay.common.outbox import Outbox
from reelay.common.storage import ObjectMissingError, ObjectStore
from reelay.common.tasks import end, finish
from reelay.packager.adapters import references, rewrites
from reelay.packager.adapters.rewrites import Taken
from reelay.packager.adapters.sources import ScratchFullError
from reelay.packager.domain.source import UnplayableSourceError
from reelay.packager.handlers.planning import Planning

SMALL_BYTES = 256 * 1024**2
PLACES = (None, None, SMALL_BYTES)
"""Sources that a replica rewrites at a time, and how large they may be: each is copied as a whole,
as fast as disk and store are. A recording is copied in seconds, a film in up to an hour."""
KEEP_S = rewrites.LEASE.total_seconds() / 4
LOOK_S = 2.0
"""What waits here for a place is found by another replica that has one."""
MOST_ATTEMPTS = 8
RETRY_S = 0.5
"""Delay after the first failure; doubled for each further one."""
ROOM_DELAY_S = 30.0
ROOM_AWAITED = timedelta(days=1)
NO_ROOM = (
    "The file has no index, and for a day there was no room to give it one here. "
    "Upload it as MP4 or Matroska."
)

log = structlog.get_logger()


class Rewriting:
    """Use cases of sources without an index; each replica has PLACES.

    A source that the store cannot give while `check` finds that it works is to blame itself.
    """

    def __init__(
        self, outbox: Outbox, store: ObjectStore, planning: Planning, check: Check
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._planning = planning
        self._check = check
        self._wanted = [asyncio.Event() for _ in PLACES]

    async def note(self, request: RewriteRequested) -> None:
        """Let a source wait for its owner's turn; a repeated request waits once."""
        try:
            size_bytes = (await self._store.head(request.source_key)).size_bytes
        except ObjectMissingError as error:
            await self._planning.reject(request, error)
            return
        async with self._outbox.transaction() as tx:
            await references.hold(tx.session, str(request.video_id))
            if await references.is_deleted(tx.session, request.video_id):
                return
            await rewrites.add(tx.session, request, size_bytes)
        self._wake()

    async def run(self) -> None:
        """Rewrite for ever."""
        async with asyncio.TaskGroup() as tasks:  # which ends when all have given back
            tasks.create_task(self._look())
            for most_bytes, wanted in zip(PLACES, self._wanted, strict=True):
                tasks.create_task(self._serve(most_bytes, wanted))

    async def rewrite_next(self, most_bytes: int | None = None) -> bool:
        """Rewrite and plan the source whose turn it is; False when there is none so small.

        It ends early when its video is deleted. Whoever is stopped gives it back, uncounted.
        """
        async with self._outbox.transaction() as tx:
            taken = await rewrites.take(tx.session, most_bytes)
        if taken is None:
            return False
        work = asyncio.create_task(self._rewrite(taken))
        keeping = asyncio.create_task(self._keep(taken))
        try:
            await asyncio.wait({work, keeping}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await finish(asyncio.create_task(self._give_back(taken, work, keeping)))
            raise
        if not work.done():
            log.info("rewriting is not needed any more", asset_id=taken.request.asset_id)
        await end(work, keeping)
        if not work.cancelled():
            work.result()
        return True

    async def _look(self) -> None:
        """Find what other replicas noted, and what is due again."""
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(*OUTAGES):
                async with self._outbox.transaction() as tx:
                    is_any_due = await rewrites.is_any_due(tx.session)
                if is_any_due:
                    self._wake()

    async def _serve(self, most_bytes: int | None, wanted: asyncio.Event) -> None:
        while True:
            wanted.clear()
            try:
                if await self.rewrite_next(most_bytes):
                    continue
            except OUTAGES as error:
                log.warning("rewriting waits", error=repr(error)[:300])
            await wanted.wait()

    def _wake(self) -> None:
        for wanted in self._wanted:
            wanted.set()

    async def _keep(self, taken: Taken) -> None:
        """Return when a source is no longer this replica's."""
        while True:
            await asyncio.sleep(KEEP_S)
            with suppress(*OUTAGES):
                async with self._outbox.transaction() as tx:
                    if not await rewrites.keep(tx.session, taken):
                        return

    async def _give_back(self, taken: Taken, *tasks: asyncio.Task[None]) -> None:
        await end(*tasks)
        with suppress(*OUTAGES):  # else it is free, and counted, when the lease ends
            await self._put_off(taken, 0.0, counts=False)

    async def _rewrite(self, taken: Taken) -> None:
        try:
            if taken.attempt > MOST_ATTEMPTS:
                raise ExhaustedError
            await self._planning.plan_rewritten(taken.request)
        except ScratchFullError:
            await self._wait_for_room(taken)
        except OUTAGES as error:
            await self._wait_for_server(taken, error)
        except Exception as error:  # the boundary of a request, as delivery is of a message
            await self._fail(taken, error)
        else:
            async with self._outbox.transaction() as tx:
                await rewrites.drop(tx.session, taken)

    async def _wait_for_server(self, taken: Taken, error: Exception) -> None:
        """Leave the place while a server is away; a store that works for others is not."""
        if may_be_of_one(error):
            with suppress(UnfitError):
                await assert_fit(self._check)
                await self._fail(taken, error)
                return
        log.warning("waiting for a server", error=repr(error)[:300])
        await self._put_off(taken, LONGEST_DELAY_S, counts=False)

    async def _wait_for_room(self, taken: Taken) -> None:
        """Leave the place to a smaller source; after ROOM_AWAITED, refuse this one."""
        if taken.waits < ROOM_AWAITED:
            log.warning("no room to rewrite a source", asset_id=taken.request.asset_id)
            await self._put_off(taken, ROOM_DELAY_S, counts=False)
            return
        await self._planning.reject(taken.request, UnplayableSourceError(NO_ROOM))
        async with self._outbox.transaction() as tx:
            await rewrites.drop(tx.session, taken)

    async def _fail(self, taken: Taken, error: Exception) -> None:
        """Try a source again later; after the last attempt, let its video fail."""
        if taken.attempt < MOST_ATTEMPTS:
            delay_s = min(MAX_RETRY_DELAY_S, RETRY_S * 2 ** (taken.attempt - 1))
            log.warning("will try again", attempt=taken.attempt, error=repr(error)[:300])
            await self._put_off(taken, delay_s)
            return
        body = taken.request.model_dump_json()
        await self._planning.give_up(body.encode(), error)
        async with self._outbox.transaction() as tx:
            await tx.announce(_letter(body, error))
            await rewrites.drop(tx.session, taken)

    async def _put_off(self, taken: Taken, delay_s: float, *, counts: bool = True) -> None:
        async with self._outbox.transaction() as tx:
            await rewrites.put_off(tx.session, taken, delay_s, counts=counts)


def _letter(body: str, error: Exception) -> DeadLetter:
    return DeadLetter(
        original_subject=RewriteRequested.subject,
        handler="packager-rewrite",
        reason=repr(error)[:2000],
        kind="exhausted",
        headers={},
        body=body,
    )
