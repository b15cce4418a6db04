"""Fills the encoders: decides, under one lock, which chunks become work next.

What is stored and what is under way is in PostgreSQL, so any replica may decide at any time, and
the upkeep makes up within seconds for a decision that a killed one did not take. What viewers
wait for is soft state that every replica hears and that repeats itself.
"""

import contextlib
import time
from collections.abc import Iterator

from reelay.common import metrics
from reelay.common.commands import Lane
from reelay.common.outbox import Transaction
from reelay.packager.adapters import mending, pending, repository, sharing, virtual_times
from reelay.packager.adapters.pending import Pending
from reelay.packager.adapters.tables import PackageRow, TaskRow
from reelay.packager.domain.chunks import Chunk, ahead_chunk, chunk_cost, ondemand_chunk
from reelay.packager.domain.demand import DemandBoard, Turn, Turns, Wanted
from reelay.packager.domain.fairness import joining_time
from reelay.packager.domain.ladder_chunks import ladder_chunk
from reelay.packager.domain.plan import Rendition
from reelay.packager.domain.repair_chunks import demanded_repair_chunk, repair_chunk
from reelay.packager.domain.window import ahead_window, ladder_window, ondemand_window
from reelay.packager.handlers.census import EncoderCensus
from reelay.packager.handlers.opening import Openings
from reelay.packager.handlers.turns import LadderTurns
from reelay.packager.handlers.work import URGENT, Work, publish_task


class Dispatcher:
    """Turns missing segments into encode work, as much as the encoders can hold."""

    def __init__(self, census: EncoderCensus, board: DemandBoard) -> None:
        self._census = census
        self._board = board
        self.under_way: set[str] = set()
        """Packages that had work to do when last looked at, or came since; demand for others costs
        nothing."""
        self.has_room = False
        """Whether work ended without a decision about what comes instead of it."""
        self._encoders = 0
        self._openings = Openings(census)

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """Let the block, to its commit, decide about all work that ended before it.

        What ends meanwhile may not be seen in it, and remains to be decided about; so does all if
        the block fails.
        """
        self.has_room = False
        try:
            yield
        except BaseException:
            self.has_room = True
            raise

    async def begin(self, tx: Transaction, row: PackageRow) -> bool:
        """Announce the opening chunk of a package, and nothing else yet: nothing delays it then.

        The rest is dispatched when its first segment is stored, or by the upkeep. False when there
        is nothing to open with, or others must be opened before.
        """
        work = await Work.begin(tx)
        self.under_way.add(row.package_id)
        if work.openings() and await pending.is_opening_due(tx.session, row.package_id):
            return False
        await work.load([row.package_id])
        return await self._openings.begin(work, row.package_id)

    def opens_with(self, wanted: Wanted) -> bool:
        """Tell whether a demanded segment comes with an opening that this replica just began."""
        return self._openings.contains(wanted)

    @property
    def encoders_changed(self) -> bool:
        """Whether there are more or fewer encoders than `note_encoders` noted."""
        return self._census.count() != self._encoders

    def note_encoders(self) -> None:
        """Note that the encoders that are alive have what there is to do."""
        self._encoders = self._census.count()

    async def look(self, tx: Transaction) -> None:
        """See which packages have work to do; none gets any meanwhile, as that takes the lock."""
        await repository.take_dispatch_lock(tx.session)
        self.under_way = await mending.names(tx.session)

    async def look_at(self, tx: Transaction, package_id: str) -> None:
        """See whether a package has work to do."""
        await repository.take_dispatch_lock(tx.session)
        if not await pending.packages(tx.session, [package_id]):
            self.under_way.discard(package_id)

    async def dispatch(self, tx: Transaction) -> None:
        """Announce openings, what viewers wait for, and the ladder, each up to its window."""
        self.note_encoders()
        work = await Work.begin(tx)
        await self._openings.fill(work)
        await self._answer_demand(work)
        await self._fill_window(work)
        for lane in Lane:
            metrics.TASKS_OUTSTANDING.labels(lane).set(work.count(lane))

    async def admit(self, tx: Transaction, row: PackageRow) -> None:
        """Let a package take its turns from now on, as an equal of those that are waiting."""
        await repository.take_dispatch_lock(tx.session)
        session, owner_id = tx.session, row.owner_id
        least = await virtual_times.least_waiting(session, owner_id, besides=row.package_id)
        if least is None:
            own = await virtual_times.owner_time(session, owner_id)
            joined = joining_time(own, await virtual_times.present_round(session))
            await virtual_times.set_owner_times(session, {owner_id: joined})
        time = joining_time(None, least or 0.0)
        await virtual_times.join(session, row.package_id, owner_id, time)
        self.under_way.add(row.package_id)

    async def pass_on(self, tx: Transaction, row: PackageRow) -> None:
        """Let a package take the turns of that one of its owners whose come soonest.

        That is who has fewest others being made: nobody's clip waits behind a hundred films of
        somebody who has it too.
        """
        await repository.take_dispatch_lock(tx.session)
        owners = await sharing.better_owners(tx.session, row.package_id)
        if row.package_id in owners:
            row.owner_id = owners[row.package_id]
            await self.admit(tx, row)

    async def again(self, tx: Transaction, package: Pending, task: TaskRow) -> None:
        """Announce a task anew whose work message is gone."""
        task.attempt += 1
        task.progressed_at = None
        task.dispatched_at = await repository.now(tx.session)
        tx.session.add(task)
        await publish_task(tx, package, task)

    async def _answer_demand(self, work: Work) -> None:
        """Announce what viewers wait for, then what runs ahead of them."""
        now_s = time.monotonic()
        turns = await self._turns(work, now_s)
        window = ondemand_window(self._census.count())
        for turn in turns:
            if work.count(Lane.ONDEMAND) >= window:
                break
            if work.packages[turn.package_id].is_repaired:
                await self._serve_repaired(work, turn, now_s)
            else:
                await self._serve(work, turn, now_s)
        for package_id in dict.fromkeys(turn.package_id for turn in turns):
            if all(task.lane != Lane.ONDEMAND for task in work.tasks(package_id)):
                continue
            if work.aheads() >= ahead_window(self._census.count()):
                break
            await self._run_ahead(work, package_id, now_s)

    async def _turns(self, work: Work, now_s: float) -> list[Turn]:
        """Return what is to be made for viewers; what comes soon counts as their turn already."""
        turns = Turns()
        waiting = self._board.waiting(now_s)
        await work.load({wanted.package_id for wanted in waiting})
        for wanted in waiting:
            rendition, number = self._resolve(work, wanted)
            if rendition is None:
                self._board.forget(wanted)
            elif work.comes_soon(wanted.package_id, rendition.name, number):
                self._board.serve(wanted, now_s)
            else:
                turns.add(wanted, number, rendition.name, is_picture=bool(rendition.rung))
        return turns.all

    async def _serve(self, work: Work, turn: Turn, now_s: float) -> None:
        """Announce what is made at a turn."""
        plan, soon = work.plan(turn.package_id), work.taken(turn.package_id, URGENT)
        chunk = ondemand_chunk(plan, soon, turn.number, set(turn.wanted))
        await work.announce(turn.package_id, chunk)
        for wanted in turn.wanted.values():
            self._board.serve(wanted, now_s)

    async def _serve_repaired(self, work: Work, turn: Turn, now_s: float) -> None:
        """Announce the chunks that once made what a turn is about, unless the repair alone does.

        Another cut would give other bytes, for which the whole package would be replaced.
        """
        package_id = turn.package_id
        for name, wanted in turn.wanted.items():
            if not work.comes_soon(package_id, name, turn.number):  # by the turn of another segment
                rendition = work.plan(package_id).rendition(name)
                path = rendition.segment_path(turn.number)
                made = await repository.made_with(work.tx.session, package_id, path)
                chunk = demanded_repair_chunk(rendition, turn.number, made)
                if chunk is None:
                    continue
                await work.announce(package_id, chunk)
            self._board.serve(wanted, now_s)

    async def _run_ahead(self, work: Work, package_id: str, now_s: float) -> None:
        """Make the lowest rung ahead of a viewer who is being served, one chunk at a time.

        Nothing runs ahead in a package that is repaired: that would be another cut.
        """
        focus = self._board.focus(package_id, now_s)
        opening = any(task.lane == Lane.OPENING for task in work.tasks(package_id))
        if focus is None or opening or work.packages[package_id].is_repaired:
            return
        soon = work.taken(package_id, URGENT)
        chunk = ahead_chunk(work.plan(package_id), soon, focus)
        if chunk is not None:
            await work.announce(package_id, chunk)

    def _resolve(self, work: Work, wanted: Wanted) -> tuple[Rendition | None, int]:
        """Return the rendition and segment of a demand; no rendition when there is nothing to do.

        An init segment is there as soon as any segment is, in a repaired package with the first:
        its demand is one for that.
        """
        if wanted.package_id not in work.packages:
            return None, 0
        plan = work.plan(wanted.package_id)
        rendition = next((r for r in plan.renditions if r.path == wanted.rendition_path), None)
        if rendition is None or wanted.number > len(rendition.spans):
            return None, 0
        stored = work.stored(wanted.package_id).get(rendition.name, 0)
        number = wanted.number or 1
        is_any_enough = not (wanted.number or work.packages[wanted.package_id].is_repaired)
        is_there = stored if is_any_enough else stored >> (number - 1) & 1
        return (None, 0) if is_there else (rendition, number)

    async def _fill_window(self, work: Work) -> None:
        """Announce ladder chunks, turn by turn, until the window is full."""
        free = ladder_window(self._census.count()) - work.count(Lane.LADDER)
        if free <= 0:
            return
        alone = await virtual_times.is_alone(work.tx.session)
        while free > 0 and (turns := await LadderTurns.of(work, free)).next:
            while package_id := turns.next:
                chunk = await self._ladder_chunk(work, package_id, alone=alone)
                if chunk is None:
                    turns.leave()
                    continue
                await work.announce(package_id, chunk)
                turns.serve(chunk_cost(work.plan(package_id), chunk))
                free -= 1
            await turns.note(work)

    async def _ladder_chunk(self, work: Work, package_id: str, *, alone: bool) -> Chunk | None:
        """Return what is made next of a package; None when all of it is made or under way."""
        if package_id not in work.packages:  # it has just ended
            return None
        plan, taken = work.plan(package_id), work.taken(package_id)
        if work.packages[package_id].is_repaired:
            made = await repository.made_together(work.tx.session, package_id)
            return repair_chunk(plan, made, taken)
        focus = self._board.focus(package_id, time.monotonic()) or 1
        return ladder_chunk(plan, taken, focus, self._census.count(), alone=alone)
