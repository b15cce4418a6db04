"""What happens when somebody asks for a file put together from a package, or for its playlists."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from reelay.common.errors import ConflictError, NotFoundError
from reelay.content_api.domain.assembled import Assembled, Derived, Package, Packages
from reelay.content_api.domain.byte_playlists import master_playlist, media_playlist
from reelay.content_api.domain.download_names import DownloadName, Kind, parse_download
from reelay.content_api.domain.names import ContentName, below
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.domain.promises import PlannedRendition
from reelay.content_api.handlers.assembling import Assembler
from reelay.content_api.handlers.library import Library
from reelay.content_api.handlers.making import Making

MASTER, PLAYLIST = "master.m3u8", "index.m3u8"
PLAYLIST_BYTES = 32 * 1024 * 1024
"""Size of the playlists that are kept."""

log = structlog.get_logger()


class NotWholeError(ConflictError):
    """This video is still being made; it can be downloaded as soon as all of it is there."""

    problem = "not-whole-yet"


class Downloads:
    """Files and playlists that are made when they are first asked for, once however many ask."""

    def __init__(
        self,
        library: Library,
        packages: Packages,
        assembler: Assembler,
        derived: Derived,
        header_bytes: int,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep at most `header_bytes` of headers."""
        self._library = library
        self._packages = packages
        self._assembler = assembler
        self._derived = derived
        self._files: Making[Assembled] = Making(
            lambda made: made.header, derived, header_bytes, now
        )
        self._playlists: Making[StoredFile] = Making(
            lambda made: made, derived, PLAYLIST_BYTES, now
        )

    async def fetch(self, name: ContentName) -> Assembled | StoredFile:
        """Return the file of a rendition, or a playlist of its byte ranges.

        Raises NotFoundError, NotWholeError, PackageFailedError, DamagedSegmentError,
        DamagedPlaylistError, TooLongError, StoreUnavailableError.
        """
        asked = parse_download(name.path)
        if asked is None:
            raise NotFoundError
        streams = [r for r in await self._muxed(name.package_id, asked.rendition) if r.segments]
        if not streams:
            raise NotFoundError
        if asked.kind is Kind.FILE:
            return await self._file(name.package_id, asked, streams)
        return await self._playlists.get(
            name.key, lambda: self._make_playlist(name.package_id, asked, streams)
        )

    def forget(self, package_id: str) -> None:
        """Drop what was made of a package: it is removed, or not whole any more."""
        self._files.forget(below(package_id))
        self._playlists.forget(below(package_id))

    async def _muxed(self, package_id: str, rendition: str) -> list[PlannedRendition]:
        """Return what the file of a rendition holds; make sure that all of it is there."""
        promises = None
        try:
            promises = await self._library.whole(package_id)
        finally:
            if promises is None:
                self.forget(package_id)
        if promises is None:
            raise NotWholeError
        return promises.muxed(rendition)

    async def _file(
        self, package_id: str, asked: DownloadName, streams: Sequence[PlannedRendition]
    ) -> Assembled:
        name = ContentName(package_id, asked.other(Kind.FILE).path)

        async def make() -> Assembled:
            began = time.monotonic()
            package = await self._open(package_id)
            # It may have been removed and made again, of which nobody here heard.
            forget = partial(self.forget, package_id)
            made = await self._assembler.assemble(package_id, package, streams, forget)
            log.info(
                "download header made",
                package_id=package_id,
                rendition=asked.rendition,
                size_bytes=made.header.size_bytes,
                seconds=round(time.monotonic() - began, 3),
            )
            return made

        return await self._files.get(name.key, make)

    async def _make_playlist(
        self, package_id: str, asked: DownloadName, streams: Sequence[PlannedRendition]
    ) -> StoredFile:
        package = await self._open(package_id)
        if asked.kind is Kind.MASTER:
            content = await _master(package, asked, streams)
        else:
            file = await self._file(package_id, asked, streams)
            content = await _media(package, asked, streams, file)
        return await self._derived.write(iter([content]))

    async def _open(self, package_id: str) -> Package:
        package = await self._packages.open(package_id)
        if package is None:
            raise NotWholeError
        return package


async def _master(
    package: Package, asked: DownloadName, streams: Sequence[PlannedRendition]
) -> bytes:
    """Return the playlist of a file; raise NotFoundError for sound that no variant plays alone."""
    stored = (await package.read(MASTER)).decode(errors="replace")
    own = asked.other(Kind.AUDIO_PLAYLIST if streams[0].is_audio else Kind.VIDEO_PLAYLIST)
    sound = asked.other(Kind.AUDIO_PLAYLIST).uri if len(streams) > 1 else None
    content = master_playlist(stored, f"{streams[0].path}/{PLAYLIST}", own.uri, sound)
    if content is None:
        raise NotFoundError
    return content


async def _media(
    package: Package, asked: DownloadName, streams: Sequence[PlannedRendition], file: Assembled
) -> bytes:
    """Return the playlist of a file's pictures or sound; raise NotFoundError if there are none."""
    audio = asked.kind is Kind.AUDIO_PLAYLIST
    number = next((n for n, stream in enumerate(streams) if stream.is_audio == audio), None)
    if number is None:
        raise NotFoundError
    stored = (await package.read(f"{streams[number].path}/{PLAYLIST}")).decode(errors="replace")
    return media_playlist(stored, f"../{asked.other(Kind.FILE).uri}", file.layout.places(number))
