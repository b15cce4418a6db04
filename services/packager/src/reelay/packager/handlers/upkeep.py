"""What a restart or a lost message left behind is found and finished here, again and again."""

import asyncio
import itertools
from datetime import timedelta

import structlog
from nats.errors import Error as NatsError

from reelay.common.commands import Lane
from reelay.common.errors import ReelayError
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.outbox import Outbox
from reelay.common.streams import Consumer, fact_consumer, work_consumer
from reelay.packager.adapters import repository
from reelay.packager.adapters.tables import TaskRow
from reelay.packager.handlers.bookkeeping import Bookkeeping
from reelay.packager.handlers.dispatching import Dispatcher

TICK_S = 1.0
TICKS_A_SEARCH = 5
MOST_ATTEMPTS = 5
LOST_AFTER = timedelta(seconds=20)

log = structlog.get_logger()


def made_consumer(lane: Lane, *, batch: int = 1) -> Consumer:
    """Return the durable on what encoders made on a lane."""
    subject = SegmentReady.subject.replace("*", lane)
    return fact_consumer("packager", f"package-{lane}", subject, batch=batch)


class Upkeep:
    """Periodic care; any replica may do it at any time."""

    def __init__(
        self, outbox: Outbox, messaging: Messaging, dispatcher: Dispatcher, books: Bookkeeping
    ) -> None:
        self._outbox = outbox
        self._messaging = messaging
        self._dispatcher = dispatcher
        self._books = books

    async def run(self) -> None:
        """Look after packages for ever."""
        for number in itertools.count(1):
            await asyncio.sleep(TICK_S)
            try:
                await self.tick()
                if number % TICKS_A_SEARCH == 0:
                    await self.find_lost()
            except (ReelayError, NatsError, OSError) as error:
                log.warning("upkeep waits", error=repr(error)[:300])

    async def tick(self) -> None:
        """Complete what is whole, dispatch what encoders that joined can take."""
        async with self._outbox.transaction() as tx:
            packages = await repository.unfinished(tx.session)
            if not packages:
                return
            await self._dispatcher.dispatch(tx)
        for row in packages:
            if row.segments_stored == row.segments_total:
                await self._books.complete(row.package_id)

    async def find_lost(self) -> None:
        """Announce old tasks anew whose queue is empty: their messages are gone.

        Not while segments of that lane wait to be packaged: they may be all that is missing.
        """
        async with self._outbox.transaction() as tx:
            limit = await repository.now(tx.session) - LOST_AFTER
            old = [t for t in await repository.tasks(tx.session) if t.dispatched_at < limit]
        empty = {
            queue
            for queue in {(task.provider, task.lane) for task in old}
            if await self._is_empty(*queue)
        }
        lost = {task.task_id for task in old if (task.provider, task.lane) in empty}
        if not lost:
            return
        given_up: list[TaskRow] = []
        async with self._outbox.transaction() as tx:
            await repository.take_dispatch_lock(tx.session)
            for task in await repository.lock_tasks(tx.session, lost):
                row = await repository.find(tx.session, task.package_id)
                if row is None:
                    continue
                log.warning("work was lost", task_id=str(task.task_id), attempt=task.attempt)
                if task.attempt < MOST_ATTEMPTS:
                    await self._dispatcher.again(tx, row, task)
                else:
                    given_up.append(task)
        for task in given_up:
            await self._books.fail_package(_failure(task))

    async def _is_empty(self, provider: str, lane: str) -> bool:
        for consumer in (work_consumer(provider, Lane(lane)), made_consumer(Lane(lane))):
            jetstream = self._messaging.jetstream
            info = await jetstream.consumer_info(consumer.stream, consumer.durable)
            if info.num_pending or info.num_ack_pending:
                return False
        return True


def _failure(task: TaskRow) -> SegmentFailed:
    return SegmentFailed(
        task_id=task.task_id,
        package_id=task.package_id,
        attempt=task.attempt,
        reason="A part of this video could not be encoded; the encoder's log says why.",
        log_tail="",
    )
