"""Which packages cannot be made, and why: by facts heard just now, else by `failed.json`."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from pydantic import BaseModel, ValidationError

from reelay.common.storage import ObjectMissingError, ObjectStore, read_all
from reelay.content_api.domain.names import failed_key

HEARD_S = 5.0
"""How long a heard fact counts by itself; later only the stored object does, which a new plan
removes. Short, because an old fact may be delivered again after that plan."""
MAX_HEARD = 1024
MAX_UNHARMED = 8192
UNKNOWN_REASON = "This video could not be processed."


class FailedDocument(BaseModel):
    """failed.json, as far as it matters here."""

    reason: str = UNKNOWN_REASON


class StoredFailures:
    """Failures in the store, and those heard just now."""

    def __init__(self, store: ObjectStore, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns seconds of a clock that never goes back."""
        self._store = store
        self._now = now
        self._heard: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._unharmed: OrderedDict[str, float] = OrderedDict()
        """When the store last did not say of a package that it failed."""
        self._reading: dict[str, asyncio.Task[str | None]] = {}

    def hear(self, package_id: str, reason: str) -> None:
        """See Failures."""
        self._heard[package_id] = (self._now(), reason)
        self._heard.move_to_end(package_id)
        while len(self._heard) > MAX_HEARD:
            self._heard.popitem(last=False)

    def forget(self, package_id: str) -> None:
        """See Failures."""
        self._heard.pop(package_id, None)
        self._unharmed.pop(package_id, None)
        self._reading.pop(package_id, None)

    async def reason(self, package_id: str, *, max_age_s: float = 0.0) -> str | None:
        """See Failures."""
        heard = self._heard.get(package_id)
        if heard is not None:
            if self._now() - heard[0] < HEARD_S:
                return heard[1]
            self.forget(package_id)
        asked_s = self._unharmed.get(package_id)
        if asked_s is not None and self._now() - asked_s < max_age_s:
            return None
        task = self._reading.get(package_id) if max_age_s else None
        if task is None:
            task = self._reading[package_id] = asyncio.create_task(self._ask(package_id))
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def _ask(self, package_id: str) -> str | None:
        """Ask the store, for all who want to know meanwhile."""
        reason: str | None = UNKNOWN_REASON
        try:
            reason = await self._read(package_id)
            return reason
        finally:
            if self._reading.get(package_id) is asyncio.current_task():  # not forgotten since
                del self._reading[package_id]
                if reason is None:
                    self._note_unharmed(package_id)

    def _note_unharmed(self, package_id: str) -> None:
        self._unharmed[package_id] = self._now()
        self._unharmed.move_to_end(package_id)
        while len(self._unharmed) > MAX_UNHARMED:
            self._unharmed.popitem(last=False)

    async def _read(self, package_id: str) -> str | None:
        try:
            body = await read_all(self._store, failed_key(package_id))
            return FailedDocument.model_validate_json(body).reason
        except ObjectMissingError:
            return None
        except ValidationError:
            return UNKNOWN_REASON


def _retrieve(task: asyncio.Task[str | None]) -> None:
    """Take note of how a question ended: perhaps nobody waits any more."""
    if not task.cancelled():
        task.exception()
