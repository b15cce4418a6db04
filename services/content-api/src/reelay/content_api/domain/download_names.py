"""Names of what is put together from a whole package: files for download, and their playlists."""

import re
from dataclasses import dataclass
from enum import Enum

from reelay.content_api.domain.names import DOWNLOADS

NAME = re.compile(
    DOWNLOADS + r"([A-Za-z0-9_-][A-Za-z0-9._-]*?)(\.mp4|\.m3u8|/video\.m3u8|/audio\.m3u8)"
)


class Kind(Enum):
    """What a name means; the value is its end."""

    FILE = ".mp4"
    MASTER = ".m3u8"
    VIDEO_PLAYLIST = "/video.m3u8"
    AUDIO_PLAYLIST = "/audio.m3u8"


@dataclass(frozen=True, slots=True)
class DownloadName:
    """A file, or a playlist of byte ranges of that file."""

    rendition: str
    kind: Kind

    @property
    def uri(self) -> str:
        """Relative to the folder of all downloads of the package."""
        return f"{self.rendition}{self.kind.value}"

    @property
    def path(self) -> str:
        """Relative to the package."""
        return DOWNLOADS + self.uri

    def other(self, kind: Kind) -> "DownloadName":
        """Return another name of the same rendition."""
        return DownloadName(self.rendition, kind)


def parse_download(path: str) -> DownloadName | None:
    """Return what a path below a package means, or None when it is no download's."""
    found = NAME.fullmatch(path)
    return DownloadName(found[1], Kind(found[2])) if found else None
