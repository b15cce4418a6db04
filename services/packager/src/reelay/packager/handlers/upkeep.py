"""What a restart or a lost message left behind is found and finished here, again and again."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from reelay.common.commands import EncodeChunk, Lane
from reelay.common.errors import ReelayError
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.outbox import Outbox
from reelay.common.streams import Consumer, fact_consumer, work_consumer
from reelay.packager.adapters import mending, pending, repository, sharing
from reelay.packager.adapters.tables import TaskRow
from reelay.packager.handlers.bookkeeping import Bookkeeping
from reelay.packager.handlers.dispatching import Dispatcher

TICK_S = 1.0
TICKS_A_LOOK = 5
"""A look costs 10 ms and more, and what it finds is rare."""
MOST_ATTEMPTS = 5
LOST_AFTER = timedelta(seconds=20)

log = structlog.get_logger()


def made_consumer(lane: Lane, *, batch: int = 1) -> Consumer:
    """Return the durable on what encoders made on a lane."""
    subject = SegmentReady.subject.replace("*", lane)
    return fact_consumer("packager", f"package-{lane}", subject, batch=batch)


def failed_consumer() -> Consumer:
    """Return the durable on what encoders could not make."""
    return fact_consumer("packager", "fail-package", SegmentFailed.subject)


class Upkeep:
    """Periodic care; any replica may do it at any time."""

    def __init__(
        self, outbox: Outbox, messaging: Messaging, dispatcher: Dispatcher, books: Bookkeeping
    ) -> None:
        self._outbox = outbox
        self._messaging = messaging
        self._dispatcher = dispatcher
        self._books = books
        self._missed: dict[UUID, int] = {}
        """Where the stream of facts ended when a task was first seen without its message."""

    async def run(self) -> None:
        """Look after packages for ever."""
        for number in itertools.count(1):
            await asyncio.sleep(TICK_S)
            due = number % TICKS_A_LOOK == 0
            try:
                if due or self._dispatcher.encoders_changed or self._dispatcher.has_room:
                    await self.tick()
                if due:
                    await self.find_lost()
            except (ReelayError, NatsError, OSError) as error:
                log.warning("upkeep waits", error=repr(error)[:300])

    async def tick(self) -> None:
        """Complete what is whole, drop what is spent, dispatch what there is room for."""
        async with self._outbox.transaction() as tx:
            whole = await mending.whole(tx.session)
            await mending.drop_spent_tasks(tx.session)
        async with self._outbox.transaction() as tx:
            await mending.turns(tx.session)
            shared = await sharing.better_owners(tx.session)
        for package_id in sorted(shared):
            await self._pass_on(package_id)
        with self._dispatcher.deciding():
            async with self._outbox.transaction() as tx:
                await self._dispatcher.look(tx)
                if self._dispatcher.under_way:
                    await self._dispatcher.dispatch(tx)
                else:
                    self._dispatcher.note_encoders()
        for package_id in whole:
            await self._books.complete(package_id)

    async def _pass_on(self, package_id: str) -> None:
        """Let a package that owners share be made in the turns that come soonest by now."""
        async with self._outbox.transaction() as tx:
            row = await repository.lock(tx.session, package_id)
            if row is not None and row.state == repository.PLANNED:
                await self._dispatcher.pass_on(tx, row)

    async def find_lost(self) -> None:
        """Announce old tasks anew that no message tells of any more: compared with their queue."""
        lost = await self._lost()
        if not lost:
            return
        given_up: list[TaskRow] = []
        async with self._outbox.transaction() as tx:
            await repository.take_dispatch_lock(tx.session)
            tasks = await repository.lock_tasks(tx.session, lost)
            packages = await pending.packages(tx.session, {task.package_id for task in tasks})
            for task in tasks:
                if (package := packages.get(task.package_id)) is None:
                    continue  # nobody needs it any more
                log.warning("work was lost", task_id=str(task.task_id), attempt=task.attempt)
                if task.attempt < MOST_ATTEMPTS:
                    await self._dispatcher.again(tx, package, task)
                else:
                    given_up.append(task)
        for task in given_up:
            await self._books.fail_package(_failure(task))

    async def _lost(self) -> set[UUID]:
        """Return the tasks that are neither in their queue nor made."""
        async with self._outbox.transaction() as tx:
            limit = await repository.now(tx.session) - LOST_AFTER
            tasks = await repository.tasks(tx.session)
        queues: dict[tuple[str, str], list[TaskRow]] = defaultdict(list)
        for task in tasks:  # in the order in which they were dispatched
            queues[task.provider, task.lane].append(task)
        missed: set[UUID] = set()
        lost: set[UUID] = set()
        for (provider, lane), queue in queues.items():
            old = {task.task_id for task in queue if task.dispatched_at < limit}
            if not old or await self._is_all_there(queue, provider, lane):
                continue
            if gone := old - await self._all_in(provider, lane):
                missed |= gone
                lost |= await self._unmade(gone, lane)
        self._missed = {task_id: self._missed[task_id] for task_id in missed - lost}
        return lost

    async def _unmade(self, gone: set[UUID], lane: str) -> set[UUID]:
        """Return those tasks of a lane of which nothing is told that the packager has not heard.

        What encoders made of them, or that they could not, was told before their messages went.
        """
        made = made_consumer(Lane(lane))
        stream = await self._messaging.jetstream.stream_info(made.stream)
        for task_id in gone:
            self._missed.setdefault(task_id, stream.state.last_seq)
        return await self._passed(gone, made) & await self._passed(gone, failed_consumer())

    async def _passed(self, gone: set[UUID], facts: Consumer) -> set[UUID]:
        """Return the tasks that a consumer has heard all of, by any replica.

        That is of all when it is idle, else of those that were missed when the facts ended where it
        has come to.
        """
        info = await self._messaging.jetstream.consumer_info(facts.stream, facts.durable)
        if not (info.num_pending or info.num_ack_pending):
            return gone
        floor = info.ack_floor.stream_seq if info.ack_floor else 0
        return {task_id for task_id in gone if self._missed[task_id] <= floor}

    async def _is_all_there(self, queue: list[TaskRow], provider: str, lane: str) -> bool:
        """Tell by two questions, instead of one for each message, that no message is missing.

        Nothing can be missing before the first; were one behind it, there would be fewer.
        """
        if await self._count_in(provider, lane) != len(queue):
            return False
        return await self._first_in(provider, lane) == queue[0].task_id

    async def _count_in(self, provider: str, lane: str) -> int:
        """Return the number of messages of a queue, those being worked on too."""
        work = work_consumer(provider, Lane(lane))
        stream = await self._messaging.jetstream.stream_info(work.stream, work.subject)
        return (stream.state.subjects or {}).get(work.subject, 0)

    async def _first_in(self, provider: str, lane: str) -> UUID | None:
        """Return the task of the oldest message of a queue."""
        async for task_id in self._tasks_in(provider, lane):
            return task_id
        return None

    async def _all_in(self, provider: str, lane: str) -> set[UUID]:
        return {task_id async for task_id in self._tasks_in(provider, lane)}

    async def _tasks_in(self, provider: str, lane: str) -> AsyncIterator[UUID]:
        """Yield the tasks of the messages of a queue, oldest first, those being worked on too."""
        work, after = work_consumer(provider, Lane(lane)), 0
        while True:
            try:
                message = await self._messaging.jetstream.get_msg(
                    work.stream, seq=after + 1, subject=work.subject, next=True
                )
            except NotFoundError:
                return
            after = message.seq or 0
            with suppress(ValidationError):  # no message of ours
                yield EncodeChunk.model_validate_json(message.data or b"").task_id


def _failure(task: TaskRow) -> SegmentFailed:
    return SegmentFailed(
        task_id=task.task_id,
        package_id=task.package_id,
        attempt=task.attempt,
        reason="A part of this video could not be encoded; the encoder's log says why.",
        log_tail="",
    )
