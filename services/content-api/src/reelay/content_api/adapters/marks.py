"""Marks of restricted packages in the store: asked for while the broker is away."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from reelay.common.content_access import Access, mark_key
from reelay.common.storage import ObjectMissingError, ObjectStore, StoreUnavailableError
from reelay.content_api.domain.access import ANY_TOKEN, CLOSED, Restriction

ASK_AGAIN_S = 3.0
"""How long an answer of the store holds."""
MAX_ANSWERS = 8192


class StoredMarks:
    """See Marks. What is not asked for is forgotten."""

    def __init__(self, store: ObjectStore, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns seconds of a clock that never goes back."""
        self._store = store
        self._now = now
        self._answers: OrderedDict[str, tuple[float, Restriction | None]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Restriction | None]] = {}

    def known_open(self, package_id: str) -> bool:
        """See Marks."""
        answer = self._answers.get(package_id)
        return answer is not None and answer[1] is None and self._now() - answer[0] < ASK_AGAIN_S

    async def restriction(self, package_id: str) -> Restriction | None:
        """See Marks. Simultaneous calls for one package share one look at the store."""
        answer = self._answers.get(package_id)
        if answer is not None and self._now() - answer[0] < ASK_AGAIN_S:
            return answer[1]
        task = self._asking.get(package_id)
        if task is None:
            task = self._asking[package_id] = asyncio.create_task(self._ask(package_id))
            task.add_done_callback(lambda _: self._asking.pop(package_id))
        return await asyncio.shield(task)

    async def _ask(self, package_id: str) -> Restriction | None:
        try:
            closed, token = await asyncio.gather(
                self._exists(mark_key(package_id, Access.CLOSED)),
                self._exists(mark_key(package_id, Access.TOKEN)),
            )
        except StoreUnavailableError:
            # Without broker and store, what either of them said last is all there is.
            if package_id in self._answers:
                return self._answers[package_id][1]
            raise
        answer = CLOSED if closed else ANY_TOKEN if token else None
        self._answers[package_id] = (self._now(), answer)
        self._answers.move_to_end(package_id)
        while len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)
        return answer

    async def _exists(self, key: str) -> bool:
        try:
            await self._store.head(key)
        except ObjectMissingError:
            return False
        return True
