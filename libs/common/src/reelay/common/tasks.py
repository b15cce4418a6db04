"""Ends asyncio tasks for good, or lets them end."""

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")

CANCEL_AGAIN_S = 0.2


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until all have ended; what they raise is dropped.

    One cancellation may not do: before Python 3.12, `asyncio.wait_for`, in which nats-py waits for
    answers, goes on with the answer when that comes together with the cancellation (gh-86296).
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # Otherwise asyncio reports one that nobody asked for.


async def finish(task: asyncio.Future[T]) -> T:
    """Return what a task returns; a cancellation is raised too, but only when the task has ended.

    For what goes on in threads, which cannot be cancelled.
    """
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
