"""What objects must be, by the `index.json` of their package: a complete package has one."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from math import inf

import structlog
from pydantic import BaseModel, Field, ValidationError

from reelay.common.storage import ObjectMissingError, ObjectStore, StoreUnavailableError, read_all
from reelay.content_api.domain.names import INDEX, below
from reelay.content_api.domain.ports import MadeAgain

MAX_ENTRIES = 100_000
"""Entries kept of all indexes together (about 30 MB)."""
MAX_INDEX_BYTES = 32 * 1024 * 1024
ASK_AGAIN_S = 30.0
"""A package without an index is asked for one again after this time."""

log = structlog.get_logger()


class IndexEntry(BaseModel):
    """An object in index.json."""

    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class IndexDocument(BaseModel):
    """index.json, as far as it matters here."""

    objects: dict[str, IndexEntry]


class _Index:
    __slots__ = ("entries", "read_at_s")

    def __init__(self, entries: dict[str, tuple[int, str]], read_at_s: float) -> None:
        self.entries = entries
        self.read_at_s = read_at_s


class StoredDigests:
    """Indexes in the store; those of the packages asked for longest ago are forgotten first."""

    def __init__(self, store: ObjectStore, *, now: Callable[[], float] = time.monotonic) -> None:
        """`now` returns seconds of a clock that never goes back."""
        self._store = store
        self._now = now
        self._indexes: OrderedDict[str, _Index] = OrderedDict()
        self._entries = 0
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._listeners: list[MadeAgain] = []

    def known(self, key: str) -> tuple[int, str] | None:
        """See Digests."""
        package, path = _split(key)
        index = self._indexes.get(package)
        if index is None:
            return None
        self._indexes.move_to_end(package)
        return index.entries.get(path)

    def when_made_again(self, tell: MadeAgain) -> None:
        """See Digests."""
        self._listeners.append(tell)

    async def of(self, key: str, *, max_age_s: float = inf) -> tuple[int, str] | None:
        """See Digests. Simultaneous calls for one package share one read."""
        package, path = _split(key)
        if not self._is_fresh(package, max_age_s) and path != INDEX:
            task = self._reading.get(package)
            if task is None:
                task = self._reading[package] = asyncio.create_task(self._read(package))
                task.add_done_callback(lambda _: self._reading.pop(package))
            await asyncio.shield(task)
        return self.known(key)

    def forget(self, package_id: str) -> None:
        """See Digests."""
        index = self._indexes.pop(below(package_id).rstrip("/"), None)
        if index is not None:
            self._entries -= 1 + len(index.entries)

    def _is_fresh(self, package: str, max_age_s: float) -> bool:
        index = self._indexes.get(package)
        if index is None:
            return False
        limit_s = max_age_s if index.entries else min(max_age_s, ASK_AGAIN_S)
        return self._now() - index.read_at_s < limit_s

    async def _read(self, package: str) -> None:
        entries: dict[str, tuple[int, str]] = {}
        try:
            body = await read_all(self._store, f"{package}/{INDEX}")
            if len(body) <= MAX_INDEX_BYTES:
                document = await asyncio.to_thread(IndexDocument.model_validate_json, body)
                entries = {path: (e.size, e.sha256) for path, e in document.objects.items()}
        except ObjectMissingError:
            pass
        except StoreUnavailableError as error:
            log.warning("index cannot be read now", package=package, error=repr(error)[:200])
            raise
        except ValidationError as error:
            log.error("index is damaged", package=package, error=repr(error)[:200])
        self._keep(package, _Index(entries, self._now()))

    def _keep(self, package: str, index: _Index) -> None:
        old = self._indexes.pop(package, None)
        self._entries += 1 + len(index.entries) - (1 + len(old.entries) if old else 0)
        self._indexes[package] = index
        while self._entries > MAX_ENTRIES and len(self._indexes) > 1:
            self._entries -= 1 + len(self._indexes.popitem(last=False)[1].entries)
        if old is not None and old.entries not in ({}, index.entries):
            log.warning("a package was made again", package=package)
            for tell in self._listeners:
                tell(package.partition("/")[2])


def _split(key: str) -> tuple[str, str]:
    """Return `packages/<package_id>` and the path below it."""
    head, package, path = key.split("/", 2)
    return f"{head}/{package}", path
