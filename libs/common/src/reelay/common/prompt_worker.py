"""A worker of Granian that lets an application answer at once what needs no waiting.

Granian's own worker wakes the event loop for every request and makes a task of each, which costs
more than a small answer does. Here the loop takes all requests that have come at one go, and only
those that the application cannot answer at once become tasks. This uses parts of Granian that it
does not promise to keep, as of 2.8.7; the tests of the content API tell when they change.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from granian._granian import CallbackScheduler, RSGIWorker
from granian.server.embed import AsyncWorker

_WORKER: Any = RSGIWorker  # the types that Granian ships are of an earlier form of it

log = structlog.get_logger()


class PromptApplication(Protocol):
    """An RSGI application that has an answer to most requests without waiting for anything."""

    def again(self, scope: Any, proto: Any) -> bool:
        """Answer a request as one a moment ago, on any thread, and return True; or return False."""
        ...

    def at_once(self, scope: Any, proto: Any) -> bool:
        """Answer a request and return True, or do nothing and return False."""
        ...

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer any request."""
        ...


class Watcher(Protocol):
    """A request as Granian hands it over."""

    scope: Any
    proto: Any

    def done(self) -> None:
        """End the request; one without an answer is answered with 500."""
        ...

    def err(self, error: BaseException) -> None:
        """End the request and log why."""
        ...

    def taskref(self, task: asyncio.Task[None]) -> None:
        """Keep a task alive as long as the request."""
        ...


class Requests:
    """Requests from Granian's threads on their way to the event loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: PromptApplication) -> None:
        self._loop = loop
        self._app = app
        self._waiting: deque[Watcher] = deque()
        self._woken = False

    def add(self, watcher: Watcher) -> None:
        """Answer a request again or take it in, on any thread.

        One waking is enough for all until the loop looks.
        """
        if self._tried(self._app.again, watcher):
            return
        self._waiting.append(watcher)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        """Answer what is here by now; what comes meanwhile waits until others had their turn."""
        self._woken = False  # before counting, so that nobody relies on a look that is over
        try:
            for _ in range(len(self._waiting)):
                watcher = self._waiting.popleft()
                if not self._tried(self._app.at_once, watcher):
                    watcher.taskref(self._loop.create_task(self._wait_for(watcher)))
        finally:
            if self._waiting and not self._woken:  # whatever went wrong, the others have a turn
                self._woken = True
                self._loop.call_soon(self._answer)

    def _tried(self, answer: Callable[[Any, Any], bool], watcher: Watcher) -> bool:
        """Tell whether a request has its answer now."""
        try:
            if not answer(watcher.scope, watcher.proto):
                return False
        except Exception:  # the boundary: the application has an answer to its own bugs
            log.exception("unexpected error")
            return False
        watcher.done()
        return True

    async def _wait_for(self, watcher: Watcher) -> None:
        try:
            await self._app.__rsgi__(watcher.scope, watcher.proto)
        except BaseException as error:
            watcher.err(error)
            if not isinstance(error, Exception):
                raise
        else:
            watcher.done()


class _Scheduler(CallbackScheduler):
    """What Granian's worker calls with each request."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: PromptApplication, *_: None) -> None:
        super().__init__()
        self._schedule_fn = Requests(loop, app).add


def prompt_worker() -> Any:
    """Return what `Server.serve` takes to start such a worker."""
    return AsyncWorker.wrap_target(_run_worker)  # type: ignore[no-untyped-call]  # so is it in Granian


async def _run_worker(
    worker_id: int, shutdown: Any, app: PromptApplication, sock: Any, loop: Any, *options: Any
) -> None:
    """Serve until Granian says stop; `options` as `Server` passes them to its own RSGI worker."""
    (threads, file_threads, python_threads, idle_s, backpressure, _, mode, http1, http2,
     websockets, static, _, tls, _) = options  # fmt: skip
    stopped = loop.create_future()
    shutdown.add_cb(lambda: loop.call_soon_threadsafe(stopped.set_result, None))
    worker = _WORKER(
        worker_id, sock, None, threads, file_threads, python_threads, idle_s, backpressure,
        mode, http1, http2, websockets, static, *tls, (None, None),
    )  # fmt: skip
    worker.serve_async(_Scheduler(loop, app, None, None, None), loop, shutdown)
    await stopped
