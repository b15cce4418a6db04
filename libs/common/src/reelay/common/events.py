"""Every event of Reelay, each with its subject.

Events are facts in the past tense, sent as CloudEvents 1.0 in binary mode: attributes in `ce-*`
headers, the model as JSON body. A field is only ever added; a change of meaning gets a new version.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from reelay.common.commands import Lane
from reelay.common.message import Message


class Event(Message):
    """A fact, kept for seven days in the stream EVENTS."""


# --- upload ------------------------------------------------------------------------------------


class AssetUploadStarted(Event):
    """A client began to send a file."""

    subject = "events.asset.upload-started"

    upload_id: UUID
    video_id: UUID | None = None
    filename: str | None = None
    size_bytes: int | None = Field(default=None, description="absent while the length is deferred")


class AssetUploadTerminated(Event):
    """A client withdrew an upload before it was whole."""

    subject = "events.asset.upload-terminated"

    upload_id: UUID
    video_id: UUID | None = None
    reason: str | None = Field(default=None, description="present when the server refused it")


class AssetUploaded(Event):
    """All bytes of a file are stored and its identity is known."""

    subject = "events.asset.uploaded"

    upload_id: UUID
    video_id: UUID | None = None
    asset_id: str
    source_key: str = Field(description="object that holds the bytes; the first upload's if known")
    size_bytes: int
    filename: str | None = None


# --- catalog -----------------------------------------------------------------------------------


VISIBILITY: Any = Field(default="public", description="public, unlisted (by its link), private")


class VideoDrafted(Event):
    """Somebody announced a video, before its file."""

    subject = "events.video.drafted"

    video_id: UUID
    owner_id: str
    title: str
    visibility: str = VISIBILITY


class VideoPublished(Event):
    """A video can be watched for the first time."""

    subject = "events.video.published"

    video_id: UUID
    owner_id: str
    title: str
    package_id: str
    published_at: datetime
    visibility: str = VISIBILITY


class VideoUpdated(Event):
    """What is known of a video changed."""

    subject = "events.video.updated"

    video_id: UUID
    owner_id: str
    title: str
    state: str
    package_id: str | None = None
    visibility: str = VISIBILITY


class VideoDeleted(Event):
    """A video was removed by its owner; the last reference to its package may be gone."""

    subject = "events.video.deleted"

    video_id: UUID
    owner_id: str
    asset_id: str | None = None
    package_id: str | None = None


class PackageRequested(Event):
    """A video needs the package of an asset."""

    subject = "events.package.requested"

    video_id: UUID
    owner_id: str
    asset_id: str
    source_key: str


# --- packager ----------------------------------------------------------------------------------


DECIDED_AT: Any = Field(
    default=None,
    description="by the clock of the packager's database: of two facts about a package, or about"
    " one video's request for it, the later holds; absent in facts of earlier versions",
)


class RewriteRequested(Event):
    """The source of a requested package has no index: it is rewritten before it is planned."""

    subject = "events.package.rewrite-requested"

    video_id: UUID
    owner_id: str
    asset_id: str
    source_key: str


class PackagePlanned(Event):
    """The complete manifests of a package are stored; its segments are promised."""

    subject = "events.package.planned"

    package_id: str
    asset_id: str
    video_id: UUID = Field(description="the video whose request this answers")
    renditions: list[str]
    duration_s: float
    segments_total: int
    decided_at: datetime | None = DECIDED_AT


class SegmentRange(BaseModel):
    """Consecutive segments of one rendition, both ends included, counted from 1."""

    model_config = ConfigDict(frozen=True)

    rendition: str
    first: int
    last: int


class RenditionProgress(BaseModel):
    """How much of one rendition is stored."""

    model_config = ConfigDict(frozen=True)

    rendition: str
    stored: int
    total: int


class ManifestUpdated(Event):
    """Segments that the manifests promised became available."""

    subject = "events.package.manifest-updated"

    package_id: str
    available: list[SegmentRange]
    segments_stored: int
    segments_total: int
    playable: bool = Field(description="first segment of the lowest rung and of the audio stored")
    renditions: list[RenditionProgress] = Field(default_factory=list)


class TranscodeCompleted(Event):
    """Every promised object of a package is stored and listed in `index.json`."""

    subject = "events.package.completed"

    package_id: str
    root_digest: str
    size_bytes: int
    warnings: list[str] = Field(default_factory=list)


class TranscodeFailed(Event):
    """No package can be made of an asset; `reason` is a sentence that a person can act on."""

    subject = "events.package.failed"

    asset_id: str
    reason: str
    package_id: str | None = Field(default=None, description="absent when no plan could be made")
    video_id: UUID | None = Field(default=None, description="present when package_id is absent")
    decided_at: datetime | None = DECIDED_AT


class PackageRemoved(Event):
    """Nothing needs a package any more, and its objects are deleted; it may be made again."""

    subject = "events.package.removed"

    package_id: str
    decided_at: datetime | None = DECIDED_AT


# --- encoder -----------------------------------------------------------------------------------


class SegmentReady(Event):
    """An encoder stored one segment under `staging/`."""

    subject = "events.segment.ready.*"

    task_id: UUID
    package_id: str
    rendition: str
    number: int
    staging_key: str
    size_bytes: int
    lane: Lane = Field(description="lane of the task, the last part of the subject")
    made_first: int | None = Field(
        default=None, description="first and last segment that one run of the program made together"
    )
    made_last: int | None = None
    last_of_task: bool = Field(default=False, description="no further segment of this task follows")
    attempt: int = Field(default=1, description="how often the task was announced")
    warnings: list[str] = Field(default_factory=list)

    def to_subject(self) -> str:
        return f"events.segment.ready.{self.lane}"


class SegmentFailed(Event):
    """An encoder gave up on the rest of a task."""

    subject = "events.segment.failed"

    task_id: UUID
    package_id: str
    attempt: int
    reason: str
    log_tail: str = Field(description="last lines of the encoder's log")


EVENTS: tuple[type[Event], ...] = tuple(sorted(Event.__subclasses__(), key=lambda e: e.subject))
