"""Sources as files on this machine, and sources without an index made seekable."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from reelay.common.storage import ObjectMissingError, ObjectStore
from reelay.packager.adapters.ffprobe import DEMUXERS, FFprobe, NeedsIndexError
from reelay.packager.adapters.process import run_program
from reelay.packager.domain.source import SourceFacts, UnplayableSourceError, check_duration

REWRITE_TIMEOUT_S = 3600.0
CONTAINERS = (("mp4", ".mp4"), ("matroska", ".mkv"))
"""Matroska takes what MP4 does not, but keeps time in milliseconds: sound then has faint seams."""


@asynccontextmanager
async def local_copy(store: ObjectStore, key: str) -> AsyncIterator[Path]:
    """Yield a file with the bytes of an object: the object itself, or a copy for the block.

    Raises ObjectMissingError when there is none.
    """
    path = store.local_path(key)
    if path is not None:
        if not path.exists():
            raise ObjectMissingError(f"{key} is not stored")
        yield path
        return
    folder = Path(tempfile.mkdtemp(prefix="reelay-source-"))
    try:
        copy = folder / "source"
        with copy.open("wb") as out:
            async for block in store.read(key):
                out.write(block)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class SourceReader:
    """Says what a source is, after making it seekable if it is not."""

    def __init__(
        self, store: ObjectStore, ffprobe: FFprobe, ffmpeg: str, max_duration_s: float
    ) -> None:
        self._store = store
        self._ffprobe = ffprobe
        self._ffmpeg = ffmpeg
        self._max_duration_s = max_duration_s

    async def examine(self, asset_id: str, key: str) -> tuple[str, SourceFacts]:
        """Return the key to encode from, and the facts of what lies there.

        A source without an index or a duration is rewritten once, stream by stream as it is, under
        `rewritten/`. Raises UnplayableSourceError.
        """
        async with local_copy(self._store, key) as path:
            try:
                return key, await self._probe(path)
            except NeedsIndexError:
                rewritten = await self._rewrite(path, f"rewritten/{asset_id}")
        async with local_copy(self._store, rewritten) as path:
            return rewritten, await self._probe(path, indexed=True)

    async def _probe(self, path: Path, *, indexed: bool = False) -> SourceFacts:
        facts = await self._ffprobe.probe(str(path), indexed=indexed)
        check_duration(facts, self._max_duration_s)
        return facts

    async def _rewrite(self, source: Path, key: str) -> str:
        """Store a source's streams, as they are, in a container with an index; return its key."""
        with tempfile.TemporaryDirectory(prefix="reelay-rewrite-") as folder:
            for container, suffix in CONTAINERS:
                target = Path(folder) / f"rewritten{suffix}"
                done = await run_program(
                    self._rewrite_command(source, container, target), timeout_s=REWRITE_TIMEOUT_S
                )
                if done.code == 0 and target.exists():
                    await self._store.put(f"{key}{suffix}", target)
                    return f"{key}{suffix}"
        raise UnplayableSourceError("The file is damaged; no part of it can be read.")

    def _rewrite_command(self, source: Path, container: str, target: Path) -> list[str]:
        return [
            self._ffmpeg, "-nostdin", "-v", "error", "-y", "-fflags", "+genpts",
            "-format_whitelist", ",".join(DEMUXERS), "-protocol_whitelist", "file",
            "-i", str(source), "-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy",
            "-f", container, str(target),
        ]  # fmt: skip
