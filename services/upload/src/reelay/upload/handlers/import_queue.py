"""Works at the imports that no other replica works at, a few at a time, until each is done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from reelay.common.errors import PermanentError, ReelayError, TransientError
from reelay.common.tasks import end
from reelay.upload.domain.errors import (
    NotMediaError,
    OffsetMismatchError,
    UploadGoneError,
    UploadLockedError,
)
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.imports import Import
from reelay.upload.domain.ports import Holding
from reelay.upload.domain.remote import RemoteError
from reelay.upload.domain.upload import State
from reelay.upload.handlers.fetching import Fetching

LEASE_S = 6.0
"""A killed replica's imports are taken up again after so long."""
RENEW_EVERY_S = 2.0
POLL_S = 2.0
LONGEST_PAUSE_S = 300.0
OWN_TROUBLE_PAUSE_S = 5.0
"""When our own store is away or full."""
GIVE_WAY_S = 2.0
"""Whoever wanted to hold it, to cancel it perhaps, comes first."""
STOP_PATIENCE_S = 3.0
PROGRESS_BYTES = 1024 * 1024
"""A try that brought so much is no failure."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Persistence:
    """How often, and how patiently, it is tried."""

    tries: int
    """So many tries in a row may bring next to nothing."""
    first_pause_s: float

    def pause_s(self, tries: int) -> float:
        """Return how long to wait after so many tries in a row."""
        return float(min(LONGEST_PAUSE_S, self.first_pause_s * 2 ** (tries - 1)))


@dataclass(frozen=True)
class ImportQueue:
    """Runs in every replica."""

    fetching: Fetching
    holding: Holding
    persistence: Persistence
    at_a_time: int
    _running: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look for work now."""
        self._woken.set()

    def stop(self) -> None:
        """Begin nothing more: the process is about to end."""
        self._stopping.set()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            self._woken.clear()
            try:
                await self._begin_some()
            except (ReelayError, OSError) as error:
                log.warning("imports wait", error=repr(error)[:300])
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._woken.wait()

    async def close(self) -> None:
        """Stop; what is stored so far is where some replica goes on.

        Imports that were asked to let go may keep what came; shortly, as for requests.
        """
        self.stop()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=STOP_PATIENCE_S)
        await end(*self._running.values())

    async def _begin_some(self) -> None:
        room = self.at_a_time - len(self._running)
        if room <= 0 or self._stopping.is_set():
            return
        for job in await self.fetching.imports.claim(room, LEASE_S):
            if job.upload_id not in self._running:
                task = asyncio.create_task(self._work(job))
                self._running[job.upload_id] = task
                task.add_done_callback(partial(self._forget, job.upload_id))

    async def _work(self, job: Import) -> None:
        try:
            async with self._leased(job.upload_id), self.holding.hold(job.upload_id) as hold:
                await self._try(job, hold)
        except UploadLockedError:  # somebody else does it, or only asked how far it is
            await self.fetching.imports.renew(job.upload_id, RENEW_EVERY_S)

    async def _try(self, job: Import, hold: Hold) -> None:
        uploads = self.fetching.receiving.means.uploads
        before = await uploads.find(job.upload_id)
        try:
            await self.fetching.fetch(job, hold)
        except NotMediaError:  # ended where it was found out
            return
        except UploadGoneError as error:
            await self.fetching.imports.note_failure(job.upload_id, error.problem)
        except OffsetMismatchError:
            await self._put_off(job, 0)
        except RemoteError as error:
            now = await uploads.find(job.upload_id)
            gained = now.offset_bytes - before.offset_bytes >= PROGRESS_BYTES
            await self._fail_or_put_off(job, error, 1 if gained else job.tries + 1)
        except TransientError as error:  # our own store or database: not the server's fault
            log.warning("import waits", upload_id=str(job.upload_id), error=repr(error)[:300])
            await self._put_off(job, OWN_TROUBLE_PAUSE_S, error)
        except PermanentError as error:
            await self._fail(job, error)
        else:
            await self._put_off(job, GIVE_WAY_S if hold.asked_to_let_go else 0)

    async def _fail_or_put_off(self, job: Import, error: RemoteError, tries: int) -> None:
        if tries >= self.persistence.tries:
            await self._fail(job, error)
            return
        log.info("import waits", upload_id=str(job.upload_id), tries=tries, trouble=error.detail)
        await self.fetching.imports.put_off(
            job.upload_id,
            self.persistence.pause_s(tries),
            tries=tries,
            trouble=error.detail,
            problem=error.problem,
        )

    async def _fail(self, job: Import, error: ReelayError) -> None:
        log.info("import failed", upload_id=str(job.upload_id), problem=error.problem)
        receiving = self.fetching.receiving
        await self.fetching.imports.note_failure(job.upload_id, error.problem)
        upload = await receiving.means.uploads.find(job.upload_id)
        await receiving.end(upload, State.REFUSED, error.detail)

    async def _put_off(
        self, job: Import, pause_s: float, error: TransientError | None = None
    ) -> None:
        await self.fetching.imports.put_off(
            job.upload_id,
            pause_s,
            tries=job.tries,
            trouble=None if error is None else error.detail,
            problem=None if error is None else error.problem,
        )

    @asynccontextmanager
    async def _leased(self, upload_id: UUID) -> AsyncIterator[None]:
        """Renew the lease beside the block."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(RENEW_EVERY_S)
                try:
                    await self.fetching.imports.renew(upload_id, LEASE_S)
                except (ReelayError, OSError) as error:
                    log.warning("lease not renewed", error=repr(error)[:300])

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            await end(renewing)

    def _forget(self, upload_id: UUID, task: asyncio.Task[None]) -> None:
        del self._running[upload_id]
        self.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease runs out, and the import is taken up again.
            log.error("import stopped", upload_id=str(upload_id), exc_info=error)
