"""Removes packages that nothing needs any more, so that whoever needs one again finds none.

First the row says that the package is condemned, which nothing takes back; then its objects are
deleted; then its rows. Killed in between, the next collection, or the next request for the same
package, finishes what was begun.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from reelay.common.events import PackageRemoved
from reelay.common.outbox import Transaction
from reelay.common.storage import ObjectInfo, ObjectStore
from reelay.common.tasks import finish
from reelay.packager.adapters import references, repository, virtual_times
from reelay.packager.domain.outcome import PLAN

AT_ONCE = 32
"""Objects deleted at a time: a film of hours has 9,000, and an upload of the same bytes waits."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Removed:
    """How much was removed."""

    objects: int
    size_bytes: int


async def finish_removal(tx: Transaction, store: ObjectStore, package_id: str) -> Removed | None:
    """Remove a condemned package, and announce it; None when it is not condemned.

    The caller holds the package's name until its transaction ends.
    """
    row = await repository.lock(tx.session, package_id)
    if row is None or row.state != repository.CONDEMNED:
        return None
    # The plan first: the content API answers from it, and promises nothing without.
    await store.delete(f"packages/{package_id}/{PLAN}")
    objects = await objects_of(store, package_id)
    await delete_all(store, objects)
    tx.session.expunge(row)
    await references.forget_package(tx.session, package_id)
    await virtual_times.forget(tx.session, package_id)
    decided_at = await repository.now(tx.session)
    await tx.announce(PackageRemoved(package_id=package_id, decided_at=decided_at))
    removed = Removed(len(objects), sum(info.size_bytes for info in objects))
    log.info("removed", package_id=package_id, objects=removed.objects)
    return removed


async def delete_all(store: ObjectStore, objects: Iterable[ObjectInfo]) -> None:
    """Delete objects, AT_ONCE at a time; raises StoreUnavailableError when one cannot be."""
    left = iter(objects)
    stopped = False

    async def work_off() -> None:
        nonlocal stopped
        try:
            while not stopped and (info := next(left, None)):
                await store.delete(info.key)
        finally:
            stopped = True

    workers = asyncio.gather(*(work_off() for _ in range(AT_ONCE)), return_exceptions=True)
    try:
        await asyncio.shield(workers)
    finally:
        stopped = True
        # A deletion goes on in its thread whatever becomes of us, and the package may be made again
        # as soon as this has told how it went.
        outcomes = await finish(workers)
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


async def objects_of(store: ObjectStore, package_id: str) -> list[ObjectInfo]:
    """Return what is stored of a package, and what waits to be."""
    prefixes = (f"packages/{package_id}/", f"staging/{package_id}/")
    return [info for prefix in prefixes async for info in store.scan(prefix)]
