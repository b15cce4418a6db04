"""The complete files of a cache: which there are, which are in memory too, which must go."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reelay.common.metrics import CACHE_BYTES
from reelay.content_api.adapters.cache_folder import CacheFolder, Kept, name_of, remove
from reelay.content_api.adapters.small_objects import SMALL_BYTES, SmallObjects
from reelay.content_api.domain.eviction import Eviction
from reelay.content_api.domain.ports import StoredFile

RECHECK_S = 60.0
"""A copy is served this long without asking the store whether the object was deleted."""
UNSURE_S = 10.0
"""For so long one is served of which the index could not be asked; then it is asked again."""
KEEP_S = 5.0
"""A copy used this recently is never dropped: the server may not have opened it yet."""


@dataclass(slots=True)
class Copy:
    """A complete object in the cache."""

    kept: Kept
    file: StoredFile
    changed_ns: int
    checked_at_s: float
    """When the store was last asked whether the object is still there."""
    verified_at_s: float
    """When the digest was last compared."""
    used_at_s: float

    def verified(self, now_s: float, *, surely: bool) -> None:
        """Note that the bytes were compared; not `surely` if only with what was stored."""
        self.checked_at_s = now_s if surely else now_s + UNSURE_S - RECHECK_S
        self.verified_at_s = now_s if surely else -math.inf


class Copies:
    """Complete objects by key, and files of earlier processes by name until they are asked for."""

    def __init__(
        self,
        folder: CacheFolder,
        max_bytes: int,
        memory_bytes: int,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take over what earlier processes left in the folder."""
        self._now = now
        self._eviction = Eviction(max_bytes)
        self._small = SmallObjects(memory_bytes)
        self._copies: dict[str, Copy] = {}
        self._keys: dict[str, str] = {}
        self._left: dict[str, Kept] = {}
        for kept in folder.left():
            if older := self._left.get(kept.name):
                remove(older.path)
                self._eviction.remove(kept.name)
            self._left[kept.name] = kept
            self._eviction.add(kept.name, kept.size_bytes)
        self._make_room()

    def get(self, key: str) -> Copy | None:
        """Return the copy of an object."""
        return self._copies.get(key)

    def fresh(self, key: str) -> StoredFile | None:
        """Return the file to serve, if it may be served without asking anybody."""
        copy = self._copies.get(key)
        if copy is None:
            return None
        now = self._now()
        if now - copy.checked_at_s > RECHECK_S:
            return None
        file = self._small.get(key)
        if file is None:
            if not _unchanged(copy):
                self.drop(key)
                return None
            file = copy.file
        copy.used_at_s = now
        self._eviction.use(copy.kept.name)
        return file

    def unknown(self, key: str) -> bool:
        """Tell whether there is neither a copy of an object nor a file that may be one."""
        return key not in self._copies and (not self._left or name_of(key) not in self._left)

    def take_left(self, key: str) -> Kept | None:
        """Return the file that an earlier process left of this object, to be added or dropped."""
        kept = self._left.pop(name_of(key), None)
        if kept is not None:
            self._eviction.remove(kept.name)
        return kept

    def add(self, key: str, kept: Kept, *, surely: bool) -> StoredFile:
        """Take in a file whose bytes were just compared; drop what there is no room for.

        See Copy.verified.
        """
        file = StoredFile(kept.path, kept.size_bytes)
        if kept.size_bytes <= SMALL_BYTES:
            content = Path(kept.path).read_bytes()
            self._small.put(key, StoredFile(kept.path, len(content), content))
        now = self._now()
        changed = os.stat(kept.path).st_mtime_ns
        copy = self._copies[key] = Copy(kept, file, changed, now, now, now)
        copy.verified(now, surely=surely)
        self._keys[kept.name] = key
        self._eviction.add(kept.name, kept.size_bytes)
        self._make_room()
        return file

    def drop(self, key: str) -> None:
        """Forget and remove the copy of an object; that there is none is no error."""
        copy = self._copies.pop(key, None)
        if copy is not None:
            self._small.drop(key)
            del self._keys[copy.kept.name]
            self._eviction.remove(copy.kept.name)
            remove(copy.kept.path)
            CACHE_BYTES.set(self._eviction.size_bytes)

    def below(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`."""
        return [key for key in self._copies if key.startswith(prefix)]

    def _make_room(self) -> None:
        for name in self._eviction.shrink(self._in_use):
            key = self._keys.pop(name, None)
            if key is None:
                remove(self._left.pop(name).path)
            else:
                self._small.drop(key)
                remove(self._copies.pop(key).kept.path)
        CACHE_BYTES.set(self._eviction.size_bytes)

    def _in_use(self, name: str) -> bool:
        key = self._keys.get(name)
        return key is not None and self._now() - self._copies[key].used_at_s < KEEP_S


def _unchanged(copy: Copy) -> bool:
    """Tell whether the file is as it was written, as far as its size and time tell."""
    try:
        status = os.stat(copy.file.path, follow_symlinks=False)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (copy.file.size_bytes, copy.changed_ns)
