"""Plans of packages, read from the object store and kept while they are asked for."""

import asyncio
from collections import OrderedDict

from pydantic import BaseModel, ValidationError

from reelay.common.errors import ReelayError
from reelay.common.storage import ObjectMissingError, ObjectStore, read_all
from reelay.content_api.domain.names import plan_key
from reelay.content_api.domain.promises import PlannedRendition, Promises

MAX_PLANS = 1024


class PlanUnreadableError(ReelayError):
    """The plan of this package is damaged; `reelay verify` tells more."""


class RenditionDocument(BaseModel):
    """A rendition in plan.json, as far as it matters here."""

    id: str
    path: str
    segments: int


class PlanDocument(BaseModel):
    """plan.json, as far as it matters here."""

    renditions: list[RenditionDocument]

    def promises(self) -> Promises:
        """Return the names that this plan promises."""
        return Promises(PlannedRendition(r.id, r.path, r.segments) for r in self.renditions)


class StoredPlans:
    """Plans in the store; the packages asked for longest ago are forgotten first."""

    def __init__(self, store: ObjectStore, *, limit: int = MAX_PLANS) -> None:
        self._store = store
        self._limit = limit
        self._known: OrderedDict[str, Promises] = OrderedDict()
        self._reading: dict[str, asyncio.Task[Promises | None]] = {}

    def known(self, package_id: str) -> Promises | None:
        """See Plans."""
        promises = self._known.get(package_id)
        if promises is not None:
            self._known.move_to_end(package_id)
        return promises

    async def read(self, package_id: str) -> Promises | None:
        """See Plans. Simultaneous calls for one package share one read."""
        task = self._reading.get(package_id)
        if task is None:
            task = asyncio.create_task(self._read(package_id))
            self._reading[package_id] = task
            task.add_done_callback(lambda _: self._reading.pop(package_id))
        return await asyncio.shield(task)

    def forget(self, package_id: str) -> None:
        """See Plans."""
        self._known.pop(package_id, None)

    async def _read(self, package_id: str) -> Promises | None:
        try:
            document = PlanDocument.model_validate_json(
                await read_all(self._store, plan_key(package_id))
            )
        except ObjectMissingError:
            self._known.pop(package_id, None)
            return None
        except ValidationError as error:
            raise PlanUnreadableError from error
        promises = self._known[package_id] = document.promises()
        self._known.move_to_end(package_id)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        return promises
