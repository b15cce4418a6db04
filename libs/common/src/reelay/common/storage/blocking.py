"""Runs a store's blocking calls and generators on threads of its own, off the event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Closable(Protocol[T_co]):
    """A generator, seen as what is stepped and closed."""

    def __next__(self) -> T_co: ...
    def __iter__(self) -> Iterator[T_co]: ...
    def close(self) -> object: ...


class _Steps(Generic[T]):
    """A generator whose steps and end never overlap, even when a caller was cancelled."""

    def __init__(self, items: Closable[T]) -> None:
        self._items = items
        self._lock = threading.Lock()

    def step(self) -> tuple[T, ...]:
        """Return the next item, or () at the end."""
        with self._lock:
            for item in self._items:
                return (item,)
            return ()

    def close(self) -> None:
        """Release what the generator holds."""
        with self._lock:
            self._items.close()


class BlockingCalls:
    """A limited number of threads for blocking calls.

    Not the event loop's own threads: a slow disk or server must not delay name resolution.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `call(*args, **kwargs)`, made on one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))

    async def stream(self, items: Closable[T]) -> AsyncIterator[T]:
        """Yield a generator's items as it makes them on the threads; close it in every case."""
        steps = _Steps(items)
        try:
            while item := await self.run(steps.step):
                yield item[0]
        finally:
            await asyncio.shield(self.run(steps.close))
