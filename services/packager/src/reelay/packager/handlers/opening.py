"""Opening chunks: at once while there is room, owner by owner when there is not."""

import time
from dataclasses import dataclass

from reelay.packager.adapters.tables import PackageRow
from reelay.packager.domain.chunks import Chunk, opening_chunk
from reelay.packager.domain.demand import Wanted
from reelay.packager.domain.window import opening_window
from reelay.packager.handlers.census import EncoderCensus
from reelay.packager.handlers.work import OPENING_SOON_S, URGENT, Work


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
        """When each owner with unfinished packages had one opened last."""

    async def begin(self, work: Work, package_id: str) -> bool:
        """Announce a package's opening; False when there is none, or no room."""
        chunk = _chunk(work, package_id)
        if chunk is None or work.openings() >= opening_window(self._census.count()):
            return False
        await self._announce(work, package_id, chunk)
        return True

    async def fill(self, work: Work) -> None:
        """Announce openings up to the window: next is whose owner had none for the longest."""
        owners = {row.owner_id for row in work.packages.values()}
        self._turns = {owner: when for owner, when in self._turns.items() if owner in owners}
        free = opening_window(self._census.count()) - work.openings()
        if free <= 0:
            return
        waiting = [name for name, row in work.packages.items() if not row.playable]
        chunks = {name: _chunk(work, name) for name in waiting}
        closed = {name: chunk for name, chunk in chunks.items() if chunk is not None}
        while free > 0 and closed:
            package_id = min(closed, key=lambda name: self._turn(work.packages[name]))
            await self._announce(work, package_id, closed.pop(package_id))
            free -= 1

    def contains(self, wanted: Wanted) -> bool:
        """Tell whether a demanded segment comes with an opening that was just begun here."""
        opening = self._begun.get(wanted.package_id)
        return (
            opening is not None
            and time.monotonic() < opening.until_s
            and wanted.rendition_path in opening.rendition_paths
            and wanted.number <= opening.last
        )

    def _turn(self, row: PackageRow) -> tuple[float, float]:
        return self._turns.get(row.owner_id, 0.0), row.created_at.timestamp()

    async def _announce(self, work: Work, package_id: str, chunk: Chunk) -> None:
        await work.announce(package_id, chunk)
        now_s = time.monotonic()
        self._turns[work.packages[package_id].owner_id] = now_s
        self._begun = {k: o for k, o in self._begun.items() if now_s < o.until_s}
        plan = work.plan(package_id)
        paths = frozenset(plan.rendition(name).path for name in chunk.renditions)
        self._begun[package_id] = _Opening(paths, chunk.last, now_s + OPENING_SOON_S)


def _chunk(work: Work, package_id: str) -> Chunk | None:
    """Return a package's opening chunk; what only the ladder makes of it would come late."""
    return opening_chunk(work.plan(package_id), work.taken(package_id, URGENT))
