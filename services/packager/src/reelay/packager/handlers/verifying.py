"""Compares complete packages with their indexes: every object is read and hashed again."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from sqlmodel import col, select

from reelay.common.outbox import Outbox
from reelay.common.storage import ObjectMissingError, ObjectStore, digest
from reelay.common.upkeep import Damage, Verdict
from reelay.packager.adapters import repository
from reelay.packager.adapters.tables import PackageRow
from reelay.packager.domain.outcome import INDEX, StoredObject, index
from reelay.packager.handlers.repairing import Repairing


class Verifying:
    """The use case of `reelay verify` for packages."""

    def __init__(self, outbox: Outbox, store: ObjectStore, repairing: Repairing) -> None:
        self._outbox = outbox
        self._store = store
        self._repairing = repairing

    async def verify(
        self, names: Sequence[str] = (), *, repair: bool = False
    ) -> AsyncGenerator[Verdict]:
        """Yield a verdict on each complete package (of those named), damaged or not."""
        for package_id in await self._complete(names):
            verdict = await self._examine(package_id)
            if not await self._complete([package_id]):
                continue  # removed or replaced meanwhile: its objects are gone by intent
            if verdict.damaged and repair:
                paths = [damage.path for damage in verdict.damaged]
                done = await self._repairing.repair(package_id, paths)
                verdict = replace(verdict, repair=done)
            yield verdict

    async def _complete(self, names: Sequence[str]) -> Sequence[str]:
        statement = select(PackageRow.package_id).where(PackageRow.state == repository.COMPLETE)
        if names:
            statement = statement.where(col(PackageRow.package_id).in_(names))
        async with self._outbox.transaction() as tx:
            return (await tx.session.exec(statement.order_by(PackageRow.package_id))).all()

    async def _examine(self, package_id: str) -> Verdict:
        async with self._outbox.transaction() as tx:
            rows = await repository.objects(tx.session, package_id)
            row = await repository.find(tx.session, package_id)
        recorded = [StoredObject(r.path, r.size_bytes, r.sha256) for r in rows]
        listing = index(package_id, recorded)
        damaged = []
        if row is not None and row.root_digest != listing.root_digest:
            damaged.append(Damage(INDEX, "the database lists other objects than were announced"))
        body = StoredObject(INDEX, len(listing.body), listing.sha256)
        for item in (*recorded, body):
            if problem := await self._problem(package_id, item):
                damaged.append(Damage(item.path, problem))
        size_bytes = sum(item.size_bytes for item in recorded)
        return Verdict("package", package_id, len(recorded), size_bytes, damaged)

    async def _problem(self, package_id: str, item: StoredObject) -> str:
        """Say what is wrong with an object; nothing when it is as recorded."""
        try:
            size_bytes, sha256 = await digest(self._store, f"packages/{package_id}/{item.path}")
        except ObjectMissingError:
            return "is missing"
        if size_bytes != item.size_bytes:
            return f"has {size_bytes} bytes instead of {item.size_bytes}"
        if sha256 != item.sha256:
            return f"has the SHA-256 {sha256} instead of {item.sha256}"
        return ""
