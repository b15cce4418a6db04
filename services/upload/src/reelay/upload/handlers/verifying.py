"""Recomputes the identity of sources from the bytes in the store (DESIGN, decision 1)."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from reelay.common.storage import ObjectMissingError, ObjectStore, composite_digest
from reelay.common.upkeep import Damage, Verdict
from reelay.upload.adapters.sources import Asset, PostgresSources

NO_REPAIR = "Nothing can restore a source but another upload of the same file."


@dataclass(frozen=True)
class Verifying:
    """The use case of `reelay verify` for sources."""

    sources: PostgresSources
    store: ObjectStore

    async def verify(
        self, names: Sequence[str] = (), *, repair: bool = False
    ) -> AsyncGenerator[Verdict]:
        """Yield a verdict on the source of each asset (of those named), damaged or not."""
        for asset in await self.sources.assets(names):
            problem = await self._problem(asset)
            if problem and not await self.sources.is_needed(asset.source_key):
                continue  # collected meanwhile
            damaged = [Damage(asset.source_key, problem)] if problem else []
            why = NO_REPAIR if damaged and repair else ""
            yield Verdict("source", asset.asset_id, 1, asset.size_bytes, damaged, why)

    async def _problem(self, asset: Asset) -> str:
        try:
            size_bytes, asset_id = await composite_digest(self.store, asset.source_key)
        except ObjectMissingError:
            return "is missing"
        if size_bytes != asset.size_bytes:
            return f"has {size_bytes} bytes instead of {asset.size_bytes}"
        if asset_id != asset.asset_id:
            return f"has the asset_id {asset_id} instead of {asset.asset_id}"
        return ""
