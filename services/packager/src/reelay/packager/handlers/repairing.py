"""Restores damaged packages: what follows from the plan at once, segments by encoding them again.

A path never gets other bytes than it had (DESIGN, decision 1). A segment is encoded in the same
chunk as before, which gives the same bytes on an encoder like the first; if it does not, the
package is replaced by its next edition, and all videos that need it are told.
"""

import hashlib
from collections.abc import Iterable, Sequence

import structlog

from reelay.common.outbox import Outbox, Transaction
from reelay.common.storage import ObjectStore
from reelay.packager.adapters import references, repository, virtual_times
from reelay.packager.adapters.tables import ObjectRow, PackageRow
from reelay.packager.domain.outcome import FAILED, INDEX, StoredObject, failure, index
from reelay.packager.domain.plan import Plan
from reelay.packager.handlers.dispatching import Dispatcher
from reelay.packager.handlers.planning import planned
from reelay.packager.handlers.promising import note_promises, promises, store_promises
from reelay.packager.handlers.relisting import announced_objects

RESTORED, ENCODING, REPLACED = "restored", "encoding", "replaced"
SUPERSEDED = "This package was damaged and is replaced by another."

log = structlog.get_logger()


class Repairing:
    """Use cases of damaged packages."""

    def __init__(self, outbox: Outbox, store: ObjectStore, dispatcher: Dispatcher) -> None:
        self._outbox = outbox
        self._store = store
        self._dispatcher = dispatcher

    async def repair(self, package_id: str, damaged: Sequence[str]) -> str:
        """Begin to restore these paths; return `restored`, `encoding`, `replaced` or a sentence."""
        async with self._outbox.transaction() as tx:
            await references.hold(tx.session, package_id)
            row = await repository.lock(tx.session, package_id)
            if row is None or row.state != repository.COMPLETE:
                return "It is not complete any more; verify it again."
            plan = repository.plan_of(row)
            announced = await announced_objects(tx.session, self._store, row)
            objects = {o.path: o for o in announced or ()}
            if announced is None or not _promises_hold(plan, objects, damaged):
                await self._supersede(tx, row, plan)
                return REPLACED
            await self._restore_promises(plan, damaged)
            if lost := _lost(plan, damaged):
                await self._encode_again(tx, row, plan, lost, damaged)
                return ENCODING
            await self._restore_index(package_id, objects.values())
        log.info("restored", package_id=package_id, objects=len(damaged))
        return RESTORED

    async def replace(self, package_id: str) -> None:
        """Replace a package whose bytes could not be made again as they were; once."""
        async with self._outbox.transaction() as tx:
            await references.hold(tx.session, package_id)
            row = await repository.lock(tx.session, package_id)
            if row is not None and row.state == repository.PLANNED and row.root_digest:
                await self._supersede(tx, row, repository.plan_of(row))

    async def _restore_promises(self, plan: Plan, damaged: Sequence[str]) -> None:
        for path, body in promises(plan).items():
            if path in damaged:
                await self._put_again(f"packages/{plan.package_id}/{path}", body)

    async def _restore_index(self, package_id: str, objects: Iterable[ObjectRow]) -> None:
        listing = index(package_id, [StoredObject(o.path, o.size_bytes, o.sha256) for o in objects])
        await self._put_again(f"packages/{package_id}/{INDEX}", listing.body)

    async def _put_again(self, key: str, body: bytes) -> None:
        await self._store.delete(key)
        await self._store.put(key, body)

    async def _encode_again(
        self,
        tx: Transaction,
        row: PackageRow,
        plan: Plan,
        lost: dict[str, int],
        damaged: Sequence[str],
    ) -> None:
        """Take the package up again; encoders take no work for one that has an index."""
        bits = repository.stored_bits(row)
        for name, missing in lost.items():
            bits[name] &= ~missing
        row.stored = {name: f"{value:x}" for name, value in bits.items()}
        row.segments_stored = sum(value.bit_count() for value in bits.values())
        row.state = repository.PLANNED
        tx.session.add(row)
        for path in (*damaged, INDEX):
            if path not in promises(plan):
                await self._store.delete(f"packages/{row.package_id}/{path}")
        await self._dispatcher.admit(tx, row)
        await self._dispatcher.dispatch(tx)
        log.info("encoding again", package_id=row.package_id, renditions=len(lost))

    async def _supersede(self, tx: Transaction, row: PackageRow, plan: Plan) -> None:
        """Let the next edition take the place of a package, for all videos that need it."""
        new = plan.next_edition()
        await references.hold(tx.session, new.package_id)
        bodies = await store_promises(self._store, new)
        await self._store.put(f"packages/{row.package_id}/{FAILED}", failure(SUPERSEDED))
        # One that dies here leaves the mark at a complete package; repairing it again goes on.
        # The lock is not taken before: no store, however slow, holds up what is decided of other
        # films. Nor later: who decides has this lock first, and turns after it.
        decided_at = await repository.take_dispatch_lock(tx.session)
        row.state, row.superseded_by = repository.SUPERSEDED, new.package_id
        tx.session.add(row)
        await repository.delete_tasks(tx.session, row.package_id)
        await virtual_times.forget(tx.session, row.package_id)
        if await repository.insert_package(tx.session, new, row.owner_id, row.source_key):
            successor = await repository.lock(tx.session, new.package_id)
            assert successor is not None
            await self._dispatcher.admit(tx, successor)
            await self._dispatcher.dispatch(tx)
        await note_promises(tx.session, new.package_id, bodies)
        for video_id in await references.move_references(
            tx.session, row.package_id, new.package_id
        ):
            await tx.announce(planned(new, video_id, decided_at))
        log.warning("replaced", package_id=row.package_id, successor=new.package_id)


def _promises_hold(plan: Plan, objects: dict[str, ObjectRow], damaged: Sequence[str]) -> bool:
    """Tell whether this version still composes the damaged manifests as they were."""
    return all(
        hashlib.sha256(body).hexdigest() == objects[path].sha256
        for path, body in promises(plan).items()
        if path in damaged and path in objects
    )


def _lost(plan: Plan, damaged: Sequence[str]) -> dict[str, int]:
    """Return the bit sets of the segments to be made again, by name of the rendition.

    A damaged init segment comes with the first segment of its rendition.
    """
    gone, lost = frozenset(damaged), dict[str, int]()
    for rendition in plan.renditions:
        wanted = {n for n in range(1, len(rendition.spans) + 1)
                  if rendition.segment_path(n) in gone}  # fmt: skip
        if rendition.init_path in gone:
            wanted.add(1)
        if wanted:
            lost[rendition.name] = sum(1 << (number - 1) for number in wanted)
    return lost
