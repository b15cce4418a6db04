"""Objects of a remote store, fetched once into a local cache however many ask for them.

Whoever asks for an object that is not here may read what has arrived of it.
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog

from reelay.common.metrics import CACHE_FETCHES
from reelay.common.storage import ObjectMissingError, ObjectStore, StoreUnavailableError
from reelay.common.tasks import end
from reelay.content_api.adapters.cache_folder import CacheFolder, Kept, remove, undamaged
from reelay.content_api.adapters.copies import Copies, Copy
from reelay.content_api.adapters.filling import DamagedObjectError, Filling, MadeAgainError
from reelay.content_api.adapters.small_objects import SMALL_BYTES
from reelay.content_api.domain.names import below
from reelay.content_api.domain.ports import Digests, Found, MadeAgain, StoredFile

VERIFY_S = 3600.0
"""A copy is served this long without comparing its digest again."""
INDEX_AGE_S = 10.0
"""An index read longer ago is read anew when an object is not what it says: the package may have
been removed, of which nobody here heard, and made again with other bytes. So often at most, for
the object may as well be damaged."""
CONCURRENT_FETCHES = 32
ENDED = StoreUnavailableError("The service stops, or the package was removed.")

log = structlog.get_logger()


class ObjectCache:
    """Copies of immutable objects; see Files."""

    def __init__(
        self,
        store: ObjectStore,
        folder: CacheFolder,
        digests: Digests,
        copies: Copies,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` returns seconds of a clock that never goes back."""
        self._store = store
        self._folder = folder
        self._digests = digests
        self._copies = copies
        self._now = now
        self._looking: dict[str, asyncio.Task[Found | None]] = {}
        self._filling: dict[str, Filling] = {}
        self._fetches: dict[asyncio.Task[None], str] = {}
        self._slots = asyncio.Semaphore(CONCURRENT_FETCHES)
        self._numbers = itertools.count()
        digests.when_made_again(self._drop_old)

    def peek(self, key: str) -> StoredFile | None:
        """See Files."""
        return self._copies.fresh(key)

    def anticipate(self, key: str) -> None:
        """See Files. The store is asked before anything else is done for the request."""
        if key not in self._filling and key not in self._looking and self._copies.unknown(key):
            if len(self._fetches) < CONCURRENT_FETCHES:
                self._store.anticipate(key, partial(self._begun, key))
            self._fetch(key)

    async def find(self, key: str) -> Found | None:
        """See Files. Several calls for one object share one look at the store."""
        try:
            return await self._find(key)
        except MadeAgainError:
            return await self._find(key)  # once; what was known of the package is forgotten

    async def _find(self, key: str) -> Found | None:
        if file := self.peek(key):
            return file
        if filling := self._filling.get(key):
            return await _found(filling)
        if key not in self._looking and self._copies.unknown(key):
            return await _found(self._fetch(key))
        task = self._looking.get(key)
        if task is None:
            task = self._looking[key] = asyncio.create_task(self._look(key))
            task.add_done_callback(lambda _: self._looking.pop(key))
        return await asyncio.shield(task)

    async def exists(self, key: str) -> bool:
        """See Files. Takes no slot from those who fetch."""
        try:
            await self._store.head(key)
        except ObjectMissingError:
            return False
        return True

    def forget(self, package_id: str) -> None:
        """See Files. What earlier processes left is looked up in the store before it is used."""
        prefix = below(package_id)
        for task, key in self._fetches.items():
            if key.startswith(prefix):
                task.cancel()
        for key in self._copies.below(prefix):
            self._copies.drop(key)
        self._digests.forget(package_id)

    def when_made_again(self, tell: MadeAgain) -> None:
        """See Files. It is found when an object is not what the index says that was read before."""
        self._digests.when_made_again(tell)

    async def close(self) -> None:
        """End all fetches; what is complete stays for the next process."""
        await end(*self._looking.values(), *self._fetches)

    def _drop_old(self, package_id: str) -> None:
        """Drop those copies of a package that its index, read anew, does not tell of."""
        for key in self._copies.below(below(package_id)):
            copy = self._copies.get(key)
            if copy and self._digests.known(key) != (copy.kept.size_bytes, copy.kept.sha256):
                self._copies.drop(key)

    async def _look(self, key: str) -> Found | None:
        """Find an object of which there is, or was, a file here."""
        if await self._gone(key):
            return None
        if file := self._copies.fresh(key):
            return file
        return await _found(self._filling.get(key) or self._fetch(key))

    def _fetch(self, key: str) -> Filling:
        filling = self._filling[key] = Filling(
            self._store, self._digests, key, self._folder.unfinished / str(next(self._numbers))
        )
        task = asyncio.create_task(self._fill(filling))
        self._fetches[task] = key
        task.add_done_callback(partial(self._ended, filling))
        return filling

    def _begun(self, key: str, beginning: bytes) -> None:
        if filling := self._filling.get(key):
            filling.begun(beginning)

    def _ended(self, filling: Filling, task: asyncio.Task[None]) -> None:
        """Tell those who wait of an end that `_fill` could not tell of."""
        del self._fetches[task]
        if self._filling.get(filling.key) is filling:  # cancelled before its first step
            del self._filling[filling.key]
            filling.failed(ENDED)
        elif not task.cancelled() and (error := task.exception()):
            log.error("an object cannot be fetched", key=filling.key, error=repr(error))
            filling.failed(StoreUnavailableError(f"The object cannot be fetched: {error}"))

    async def _gone(self, key: str) -> bool:
        """Tell whether the store has lost an object of which there is a file here.

        A file that is right afterwards is known as fresh; a damaged one is removed.
        """
        copy = self._copies.get(key)
        if copy is not None:
            return await self._recheck(key, copy)
        kept = self._copies.take_left(key)
        if kept is None:
            return False
        with suppress(StoreUnavailableError):
            try:
                size = (await self._store.head(key)).size_bytes
            except ObjectMissingError:
                remove(kept.path)
                return True
            if size != kept.size_bytes:
                log.warning("another object lies under this key", key=key)
                remove(kept.path)
                return False
        right = await self._right(key, kept)
        if right is False:
            remove(kept.path)
        else:
            self._copies.add(key, kept, surely=right is True)
        return False

    async def _recheck(self, key: str, copy: Copy) -> bool:
        try:
            size_bytes = (await self._store.head(key)).size_bytes
        except ObjectMissingError:
            self._copies.drop(key)
            return True
        except StoreUnavailableError as error:
            # The bytes are right all the same.
            log.warning("serving a copy without asking the store", error=repr(error)[:200])
            size_bytes = copy.kept.size_bytes
        if size_bytes != copy.kept.size_bytes:
            log.warning("another object lies under this key", key=key)
            self._copies.drop(key)
            return False
        if self._now() - copy.verified_at_s > VERIFY_S:
            right = await self._right(key, copy.kept)
            if right is False:
                self._copies.drop(key)
                return False
            copy.verified(self._now(), surely=right is True)
        else:
            copy.checked_at_s = self._now()
        return False

    async def _right(self, key: str, kept: Kept) -> bool | None:
        """Tell whether a file has the bytes it was stored with, and those that the index names.

        None when it has those it was stored with, and the index cannot be read now.
        """
        expected, known = None, True
        try:
            expected = await self._digests.of(key, max_age_s=VERIFY_S)
        except StoreUnavailableError:
            known = False
        right = expected in (None, (kept.size_bytes, kept.sha256))
        if right and await asyncio.to_thread(undamaged, kept):
            return True if known else None
        log.error("a cached copy is damaged; it is fetched again", key=key)
        CACHE_FETCHES.labels("damaged").inc()
        return False

    async def _fill(self, filling: Filling) -> None:
        """Fetch an object; whoever reads it hears of the end, so nothing is raised."""
        key = filling.key
        outcome = "failed"
        try:
            async with self._slots:
                await self._fetch_right(filling)
            kept = self._folder.keep(filling.unfinished, key, filling.size_bytes, filling.sha256)
            filling.done(self._copies.add(key, kept, surely=filling.checked))
            outcome = "stored"
        except ObjectMissingError as error:
            outcome = "absent"
            filling.failed(error)
        except DamagedObjectError as error:
            outcome = "damaged"
            log.error("an object of the store is damaged", key=key, detail=error.detail)
            filling.failed(error)
        except StoreUnavailableError as error:
            filling.failed(error)
        except OSError as error:
            log.error("the cache cannot be written", error=repr(error))
            filling.failed(StoreUnavailableError(f"The cache cannot be written: {error}"))
        except asyncio.CancelledError:
            filling.failed(ENDED)
            raise
        finally:
            CACHE_FETCHES.labels(outcome).inc()
            remove(filling.unfinished)
            del self._filling[key]

    async def _fetch_right(self, filling: Filling) -> None:
        """Fetch an object; raise what that does, or MadeAgainError when its index was an old one.

        Whoever has its first bytes has their size from that too, and must ask again.
        """
        try:
            await filling.fetch()
        except DamagedObjectError:
            if await self._digests.of(filling.key, max_age_s=INDEX_AGE_S) == filling.expected:
                raise
            raise MadeAgainError from None


async def _found(filling: Filling) -> Found | None:
    """Return an object as soon as its first bytes are here; small ones when they are complete."""
    if not await filling.exists():
        return None
    return await filling.whole() if filling.size_bytes <= SMALL_BYTES else filling
