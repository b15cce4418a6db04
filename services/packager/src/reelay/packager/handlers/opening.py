"""Opening chunks: at once while there is room, owner by owner when there is not."""

import time
from dataclasses import dataclass

from reelay.packager.adapters import pending
from reelay.packager.domain.chunks import Chunk, opening_chunk
from reelay.packager.domain.coming import OPENING_SOON_S
from reelay.packager.domain.demand import Wanted
from reelay.packager.domain.opening_turns import OpeningQueue
from reelay.packager.domain.window import opening_window
from reelay.packager.handlers.census import EncoderCensus
from reelay.packager.handlers.work import URGENT, Work

FORGOTTEN_S = 600.0
"""Who had something opened longer ago is an equal of those who never had."""


@dataclass(frozen=True)
class _Opening:
    """What an opening chunk contains, and how long nobody need ask for it."""

    rendition_paths: frozenset[str]
    last: int
    until_s: float


class Openings:
    """The openings that this replica began; whose turn it is, each replica knows for itself."""

    def __init__(self, census: EncoderCensus) -> None:
        self._census = census
        self._begun: dict[str, _Opening] = {}
        self._turns: dict[str, float] = {}
        """When each owner had one opened last, in the last minutes."""

    async def begin(self, work: Work, package_id: str) -> bool:
        """Announce a package's opening; False when there is none, or no room."""
        chunk = _chunk(work, package_id)
        if chunk is None or work.openings() >= opening_window(self._census.count()):
            return False
        await self._announce(work, package_id, chunk)
        return True

    async def fill(self, work: Work) -> None:
        """Announce openings up to the window: next is whose owner had none for the longest."""
        free = opening_window(self._census.count()) - work.openings()
        if free <= 0:
            return
        # What is demanded may contain what a package opens with: it is passed over.
        most = free + work.beginnings_demanded()
        queue = OpeningQueue(await pending.unopened(work.tx.session, most), self._turns)
        await work.load(queue.first(free))
        while free > 0 and queue:
            package_id = queue.next.package_id
            await work.load([package_id])
            if package_id in work.packages and (chunk := _chunk(work, package_id)) is not None:
                await self._announce(work, package_id, chunk)
                queue.opened(time.monotonic())
                free -= 1
            else:
                queue.skip()

    def contains(self, wanted: Wanted) -> bool:
        """Tell whether a demanded segment comes with an opening that was just begun here."""
        opening = self._begun.get(wanted.package_id)
        return (
            opening is not None
            and time.monotonic() < opening.until_s
            and wanted.rendition_path in opening.rendition_paths
            and wanted.number <= opening.last
        )

    async def _announce(self, work: Work, package_id: str, chunk: Chunk) -> None:
        await work.announce(package_id, chunk)
        now_s = time.monotonic()
        self._turns = {k: turn for k, turn in self._turns.items() if now_s - turn < FORGOTTEN_S}
        self._turns[work.packages[package_id].owner_id] = now_s
        self._begun = {k: o for k, o in self._begun.items() if now_s < o.until_s}
        plan = work.plan(package_id)
        paths = frozenset(plan.rendition(name).path for name in chunk.renditions)
        self._begun[package_id] = _Opening(paths, chunk.last, now_s + OPENING_SOON_S)


def _chunk(work: Work, package_id: str) -> Chunk | None:
    """Return a package's opening chunk; what only the ladder makes of it would come late.

    None for one that is repaired, whose beginning is cut as it was.
    """
    if work.packages[package_id].is_repaired:
        return None
    return opening_chunk(work.plan(package_id), work.taken(package_id, URGENT))
