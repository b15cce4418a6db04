"""What clients send and receive about videos."""

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, StringConstraints

from reelay.catalog.videos.status import State
from reelay.catalog.videos.tables import VideoRow
from reelay.catalog.videos.visibility import Visibility

MAX_TITLE_CHARS = 200
MAX_DESCRIPTION_CHARS = 10_000
CONTROL = ("Cc", "Zl", "Zp")
"""Unicode categories that a line of text has no use for: controls, line and paragraph ends."""
CONTENT = "/api/v1/content"
SOUND = "audio"
"""The name of the rendition that has no pictures."""


def one_line(text: str) -> str:
    """Return `text`; raise ValueError when it has control characters or line ends."""
    if any(unicodedata.category(char) in CONTROL for char in text):
        raise ValueError("must not contain control characters")
    return text


def plain_text(text: str) -> str:
    """Return `text` with `\\n` as line end; raise ValueError for other control characters."""
    text = text.replace("\r\n", "\n")
    if any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in text):
        raise ValueError("must not contain control characters")
    return text


Title = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=MAX_TITLE_CHARS),
    AfterValidator(one_line),
]
Description = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_DESCRIPTION_CHARS),
    AfterValidator(plain_text),
]


class VideoDraft(BaseModel):
    """A new video, before its file."""

    title: Title
    description: Description = ""
    visibility: Visibility = Visibility.PUBLIC


class VideoEdit(BaseModel):
    """Changes of a video; what is absent stays."""

    title: Title = ""
    description: Description = ""
    visibility: Visibility = Visibility.PUBLIC

    def changes(self) -> dict[str, Any]:
        """Return what the client sent."""
        return self.model_dump(exclude_unset=True)


class PlaybackHost(BaseModel):
    """A host below whose address the paths lie too, and its share of the clients."""

    url: str
    weight: float


class Download(BaseModel):
    """A file with one rendition and its sound, and HLS of the byte ranges of that file."""

    rendition: str
    path: str
    hls: str


class Playback(BaseModel):
    """Absolute paths of the manifests, and of files when all of the video is there.

    Of other hosts, those to try first come first.
    """

    hls: str
    dash: str
    hosts: list[PlaybackHost]
    downloads: list[Download]

    @classmethod
    def below(
        cls, content: str, hosts: list[PlaybackHost], files: Iterable[str] = ()
    ) -> "Playback":
        """Return the playback of a package below the path `content`, with `files` of renditions."""
        folder = f"{content}/downloads"
        return cls(
            hls=f"{content}/master.m3u8",
            dash=f"{content}/manifest.mpd",
            hosts=hosts,
            downloads=[
                Download(rendition=name, path=f"{folder}/{name}.mp4", hls=f"{folder}/{name}.m3u8")
                for name in files
            ],
        )


class RenditionDocument(BaseModel):
    """How many segments of a rendition are stored, and how many it will have."""

    stored: int
    total: int


class VideoDocument(BaseModel):
    """A video as everybody sees it who may."""

    id: UUID
    owner_id: str
    title: str
    description: str
    visibility: Visibility
    state: State
    reason: str | None
    package_id: str | None
    progress: float
    segments_stored: int
    segments_total: int
    renditions: dict[str, RenditionDocument]
    playback: Playback | None
    warnings: list[str]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None

    @classmethod
    def of(cls, row: VideoRow) -> "VideoDocument":
        """Return the document of a row."""
        shared = row.model_dump(include=set(cls.model_fields))
        return cls(**shared, progress=_progress(row), playback=_playback(row))


class VideoPage(BaseModel):
    """Some videos, newest first; `next_cursor` leads to older ones."""

    videos: list[VideoDocument]
    next_cursor: str | None


def _progress(row: VideoRow) -> float:
    if row.state == State.READY:
        return 1.0
    return min(1.0, row.segments_stored / row.segments_total) if row.segments_total else 0.0


def _playback(row: VideoRow) -> Playback | None:
    """A failed package answers 410, so that its paths would be of no use."""
    if row.package_id is None or row.state == State.FAILED:
        return None
    return Playback.below(content_path(row.package_id), [], downloadable(row.state, row.renditions))


def content_path(package_id: str) -> str:
    """Return the path below which a package lies."""
    return f"{CONTENT}/{package_id}"


def downloadable(state: str, renditions: Iterable[str]) -> list[str]:
    """Return the renditions that are offered as files: sound by itself if there is nothing else."""
    if state != State.READY:
        return []
    names = list(renditions)
    return [name for name in names if name != SOUND] or names
