"""Every event and command of Reelay, each with its subject.

Events are facts in the past tense, sent as CloudEvents 1.0 in binary mode: attributes in `ce-*`
headers, the model as JSON body. A field is only ever added; a change of meaning gets a new version.
"""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Something that one service tells others."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def ce_type(cls) -> str:
        """Return the CloudEvents type, which carries the schema version."""
        return f"reelay.{cls.__name__}.v{cls.version}"

    def to_subject(self) -> str:
        """Return the subject that this message is published on."""
        return self.subject


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


class VideoDrafted(Event):
    """Somebody announced a video, before its file."""

    subject = "events.video.drafted"

    video_id: UUID
    owner_id: str
    title: str


class VideoPublished(Event):
    """A video can be watched for the first time."""

    subject = "events.video.published"

    video_id: UUID
    owner_id: str
    title: str
    package_id: str
    published_at: datetime


class VideoUpdated(Event):
    """What is known of a video changed."""

    subject = "events.video.updated"

    video_id: UUID
    owner_id: str
    title: str
    state: str
    package_id: str | None = None


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


class PackagePlanned(Event):
    """The complete manifests of a package are stored; its segments are promised."""

    subject = "events.package.planned"

    package_id: str
    asset_id: str
    video_id: UUID = Field(description="the video whose request this answers")
    renditions: list[str]
    duration_s: float
    segments_total: int


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


# --- encoder -----------------------------------------------------------------------------------


class SegmentReady(Event):
    """An encoder stored one segment under `staging/`."""

    subject = "events.segment.ready"

    task_id: UUID
    package_id: str
    rendition: str
    number: int
    staging_key: str
    size_bytes: int
    last_of_task: bool = Field(default=False, description="no further segment of this task follows")
    warnings: list[str] = Field(default_factory=list)


class SegmentFailed(Event):
    """An encoder gave up on the rest of a task."""

    subject = "events.segment.failed"

    task_id: UUID
    package_id: str
    attempt: int
    reason: str
    log_tail: str = Field(description="last lines of the encoder's log")


# --- commands and plain NATS -------------------------------------------------------------------


class Lane(StrEnum):
    """Urgency of encode work, most urgent first (DESIGN, decision 3)."""

    ONDEMAND = "ondemand"
    OPENING = "opening"
    LADDER = "ladder"


class SourceSpec(BaseModel):
    """How an encoder reads and prepares the source; found once, by the packager's probe."""

    model_config = ConfigDict(frozen=True)

    key: str = Field(description="object key of the source bytes")
    demuxer: str = Field(description="FFmpeg demuxer, forced, so that no other can be chosen")
    video_stream: int | None = Field(description="absolute stream index; absent for audio only")
    audio_stream: int | None = Field(description="absolute stream index; absent when silent")
    audio_rate_hz: int | None = None
    preroll_s: float = Field(description="how far before a chunk decoding must begin")
    deinterlace: bool = False
    hdr: bool = Field(default=False, description="PQ or HLG transfer, tone-mapped to BT.709")
    decode_cost: float = Field(default=1.0, description="width x height x fps / 1080p30")


class VideoOutput(BaseModel):
    """One video rendition of a chunk; constants of the recipe, never of the chunk."""

    model_config = ConfigDict(frozen=True)

    rendition: str
    width: int
    height: int
    maxrate_bps: int
    level: str = Field(description="H.264 level, for example 4.0")


class SegmentSpec(BaseModel):
    """One segment of the planned timeline."""

    model_config = ConfigDict(frozen=True)

    number: int = Field(description="counted from 1")
    first_frame: int = Field(description="video frame, or AAC frame of 1024 samples")
    frames: int


class VideoConstants(BaseModel):
    """Encoder settings that all renditions of a package share."""

    model_config = ConfigDict(frozen=True)

    preset: str
    crf: float
    profile: str
    gop_frames: int
    refs: int
    bframes: int


class EncodeChunk(Message):
    """Work for an encoder: one run of segments of some renditions, decoded once."""

    subject = "work.encode"

    task_id: UUID
    package_id: str
    attempt: int = 1
    lane: Lane
    provider: str
    source: SourceSpec
    fps_num: int
    fps_den: int
    constants: VideoConstants | None = None
    video: list[VideoOutput] = Field(default_factory=list)
    segments: list[SegmentSpec] = Field(default_factory=list, description="video segments")
    audio_rendition: str | None = None
    audio_bitrate_bps: int = 128_000
    audio_segments: list[SegmentSpec] = Field(default_factory=list)

    def to_subject(self) -> str:
        return f"work.encode.{self.provider}.{self.lane}"


class SegmentDemanded(Message):
    """A viewer waits for a promised object that does not exist yet (plain NATS, never stored)."""

    subject = "demand.segment"

    package_id: str
    path: str = Field(description="relative to the package, for example video/360p/7.m4s")


class EncoderAlive(Message):
    """An encoder is here and can encode with these providers (plain NATS, every second)."""

    subject = "encoders.alive"

    encoder_id: str
    providers: list[str]
    encoder_version: str = Field(description="FFmpeg version")


class DeadLetter(Message):
    """A message that no handler could digest, with the reason."""

    subject = "deadletters"

    original_subject: str
    handler: str
    reason: str
    kind: Literal["permanent", "exhausted"]
    headers: dict[str, str]
    body: str

    def to_subject(self) -> str:
        return f"deadletters.{self.handler}"


EVENTS: tuple[type[Event], ...] = tuple(sorted(Event.__subclasses__(), key=lambda e: e.subject))
COMMANDS: tuple[type[Message], ...] = (EncodeChunk, SegmentDemanded, EncoderAlive, DeadLetter)
