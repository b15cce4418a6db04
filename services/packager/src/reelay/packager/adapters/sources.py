"""What a source is; one without an index is made seekable."""

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from reelay.common.errors import OutageError, TransientError
from reelay.common.scratch import scratch
from reelay.common.source_input import SourceInput
from reelay.common.storage import ObjectMissingError, ObjectStore
from reelay.packager.adapters.ffprobe import DEMUXERS, FFprobe
from reelay.packager.adapters.process import ProgramTimeoutError, run_program
from reelay.packager.domain.source import SourceFacts, UnplayableSourceError, check_duration

REWRITE_TIMEOUT_S = 3600.0
TOO_SLOW = "The file has no index, and making one takes too long. Upload it as MP4 or Matroska."
MOST_OF_DISK = 0.9
"""So much of the disk for temporary files a source may need: the index comes on top."""
TOO_LARGE = (
    "The file has no index, and is too large to be given one here. Upload it as MP4 or Matroska."
)
BEGUN = 16
"""Sources looked at ahead of requests, at most."""
BEGUN_S = 10.0
"""How long what was found is kept for a request."""
CONTAINERS = (("mp4", ".mp4"), ("matroska", ".mkv"))
"""Matroska takes what MP4 does not, but keeps time in milliseconds: sound then has faint seams."""


class ScratchFullError(OutageError):
    """There is no room for temporary files; it is waited for."""


class RewrittenGoneError(TransientError):
    """A rewritten source was just removed by a collection; it is made again."""


class Sources(Protocol):
    """Where programs can read an object."""

    def open(self, key: str) -> AbstractAsyncContextManager[SourceInput]:
        """Make an object readable for the block; raise ObjectMissingError when there is none."""
        ...


class SourceReader:
    """Says what a source is, after making it seekable if it is not."""

    def __init__(
        self,
        store: ObjectStore,
        sources: Sources,
        ffprobe: FFprobe,
        ffmpeg: str,
        max_duration_s: float,
    ) -> None:
        self._store = store
        self._sources = sources
        self._ffprobe = ffprobe
        self._ffmpeg = ffmpeg
        self._max_duration_s = max_duration_s
        self._begun: dict[str, asyncio.Task[SourceFacts]] = {}
        self._rewriting = WeakValueDictionary[str, asyncio.Lock]()
        self._kept_bytes = 0

    def begin(self, key: str) -> None:
        """Begin to look at a source that `examine` will probably be asked for in a moment."""
        if key in self._begun or len(self._begun) >= BEGUN:
            return
        task = self._begun[key] = asyncio.create_task(self._look(key))
        task.add_done_callback(_retrieve)
        asyncio.get_running_loop().call_later(BEGUN_S, self._give_up, key, task)

    def _give_up(self, key: str, task: asyncio.Task[SourceFacts]) -> None:
        if self._begun.get(key) is task:
            del self._begun[key]
            task.cancel()

    async def examine(self, key: str) -> SourceFacts:
        """Return the facts of what lies under a key.

        Raises UnplayableSourceError, StoreUnavailableError, and NeedsIndexError for what `rewrite`
        must make seekable first.
        """
        begun = self._begun.pop(key, None)
        return await (begun or self._look(key))

    async def rewrite(self, asset_id: str, key: str) -> tuple[str, SourceFacts]:
        """Return the key to encode from instead, under `rewritten/`, and the facts of that.

        A source without an index or a duration is copied there once, stream by stream as it is;
        who asks meanwhile waits for that. Raises UnplayableSourceError, also after
        REWRITE_TIMEOUT_S and for what no empty disk would hold, StoreUnavailableError,
        ScratchFullError, and RewrittenGoneError.
        """
        lock = self._rewriting.setdefault(asset_id, asyncio.Lock())
        async with lock:
            if found := await self.find_rewritten(asset_id):
                return found
            size_bytes = (await self._store.head(key)).size_bytes
            with self._room(size_bytes):
                async with self._sources.open(key) as source:
                    rewritten = await self._rewrite(source, _rewritten_key(asset_id))
            return rewritten, await self._look_at_rewritten(rewritten)

    async def find_rewritten(self, asset_id: str) -> tuple[str, SourceFacts] | None:
        """Return what `rewrite` did, if the source was rewritten before; raises as that does."""
        for _, suffix in CONTAINERS:
            with suppress(ObjectMissingError):
                rewritten = (await self._store.head(f"{_rewritten_key(asset_id)}{suffix}")).key
                return rewritten, await self._look_at_rewritten(rewritten)
        return None

    async def _look_at_rewritten(self, key: str) -> SourceFacts:
        try:
            async with self._sources.open(key) as source:
                return await self._probe(source, indexed=True)
        except ObjectMissingError as error:
            raise RewrittenGoneError from error

    async def _look(self, key: str) -> SourceFacts:
        async with self._sources.open(key) as source:
            return await self._probe(source)

    async def _probe(self, source: SourceInput, *, indexed: bool = False) -> SourceFacts:
        try:
            facts = await self._ffprobe.probe(source, indexed=indexed)
        finally:
            source.check()  # what the store failed to give is no fault of the file
        check_duration(facts, self._max_duration_s)
        return facts

    @contextmanager
    def _room(self, size_bytes: int) -> Iterator[None]:
        """Keep room for a copy during the block; raise rather than copy for an hour in vain.

        What others have written of their copies counts twice, so they end before a large one.
        """
        disk = shutil.disk_usage(tempfile.gettempdir())
        if size_bytes > disk.total * MOST_OF_DISK:
            raise UnplayableSourceError(TOO_LARGE)
        if size_bytes + self._kept_bytes > disk.free:
            raise ScratchFullError
        self._kept_bytes += size_bytes
        try:
            yield
        finally:
            self._kept_bytes -= size_bytes

    async def _rewrite(self, source: SourceInput, key: str) -> str:
        """Store a source's streams, as they are, in a container with an index; return its key."""
        with scratch("rewrite") as folder:
            for container, suffix in CONTAINERS:
                target = folder / f"rewritten{suffix}"
                command = self._rewrite_command(source, container, target)
                try:
                    done = await run_program(command, timeout_s=REWRITE_TIMEOUT_S)
                except ProgramTimeoutError as error:
                    raise UnplayableSourceError(TOO_SLOW) from error
                finally:
                    source.check()
                if os.strerror(errno.ENOSPC) in done.stderr:
                    raise ScratchFullError
                if done.code == 0 and target.exists():
                    await self._store.put(f"{key}{suffix}", target)
                    return f"{key}{suffix}"
                target.unlink(missing_ok=True)  # there is room for one copy
        raise UnplayableSourceError("The file is damaged; no part of it can be read.")

    def _rewrite_command(self, source: SourceInput, container: str, target: Path) -> list[str]:
        return [
            self._ffmpeg, "-nostdin", "-v", "error", "-y", "-fflags", "+genpts",
            "-format_whitelist", ",".join(DEMUXERS), "-protocol_whitelist", source.protocols,
            "-i", source.url, "-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy",
            "-f", container, str(target),
        ]  # fmt: skip


def _rewritten_key(asset_id: str) -> str:
    return f"rewritten/{asset_id}"


def _retrieve(task: asyncio.Task[SourceFacts]) -> None:
    """Take note of how a look ended: perhaps nobody asks."""
    if not task.cancelled():
        task.exception()
