"""Things made from packages when first asked for: once for all who ask, kept while room is left."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from reelay.common.errors import NotFoundError
from reelay.content_api.domain.assembled import Derived
from reelay.content_api.domain.eviction import Eviction
from reelay.content_api.domain.ports import StoredFile

KEEP_S = 5.0
"""What was used this recently is kept: the server may not have opened its file yet."""
AT_ONCE = 2
"""Things made at a time: each may take some megabytes of memory."""

T = TypeVar("T")


@dataclass(slots=True)
class _Kept(Generic[T]):
    thing: T
    used_at_s: float


class Making(Generic[T]):
    """Things by key, each with a file of its own."""

    def __init__(
        self,
        file_of: Callable[[T], StoredFile],
        derived: Derived,
        max_bytes: int,
        now: Callable[[], float],
    ) -> None:
        """Keep at most `max_bytes` in files; `now` returns seconds and never goes back."""
        self._file_of = file_of
        self._derived = derived
        self._now = now
        self._eviction = Eviction(max_bytes)
        self._kept: dict[str, _Kept[T]] = {}
        self._tasks: dict[str, asyncio.Task[T]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def get(self, key: str, make: Callable[[], Awaitable[T]]) -> T:
        """Return the thing of a key, made now if need be; raise what `make` raises.

        What was begun is finished when those who asked are gone.
        """
        kept = self._kept.get(key)
        if kept is not None:
            kept.used_at_s = self._now()
            self._eviction.use(key)
            return kept.thing
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._make(key, make))
            task.add_done_callback(_heard)
        return await asyncio.shield(task)

    def forget(self, prefix: str) -> None:
        """Drop everything whose key begins so, also what is being made."""
        for key in [key for key in self._kept if key.startswith(prefix)]:
            self._eviction.remove(key)
            self._drop(key)
        for key in [key for key in self._tasks if key.startswith(prefix)]:
            del self._tasks[key]

    async def _make(self, key: str, make: Callable[[], Awaitable[T]]) -> T:
        me = asyncio.current_task()
        try:
            async with self._slots:
                thing = await make()
            if self._tasks.get(key) is not me:
                self._derived.remove(self._file_of(thing))
                raise NotFoundError
            self._keep(key, thing)
            return thing
        finally:
            if self._tasks.get(key) is me:
                del self._tasks[key]

    def _keep(self, key: str, thing: T) -> None:
        self._kept[key] = _Kept(thing, self._now())
        self._eviction.add(key, self._file_of(thing).size_bytes)
        for dropped in self._eviction.shrink(self._in_use):
            self._drop(dropped)

    def _in_use(self, key: str) -> bool:
        return self._now() - self._kept[key].used_at_s < KEEP_S

    def _drop(self, key: str) -> None:
        self._derived.remove(self._file_of(self._kept.pop(key).thing))


def _heard(task: asyncio.Task[T]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
