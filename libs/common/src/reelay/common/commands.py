"""Commands and plain messages: work for encoders, demand, signs of life, dead letters."""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from reelay.common.message import Message


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
    viewer: str = Field(
        default="",
        description="tells viewers apart, so that they take turns: address, dash, player at it",
    )
    teller: str = Field(default="", description="the process at which the viewer waits")


class DemandWithdrawn(Message):
    """A viewer left and waits no more for an object (plain NATS, never stored).

    Only what the same teller demanded ends; without this it lapses.
    """

    subject = "demand.withdrawn"

    package_id: str
    path: str
    viewer: str
    teller: str


class ViewersAsked(Message):
    """Somebody looks at the map of a package, and asks where viewers are (plain NATS, each second).

    Whoever serves it tells so, and remembers for some seconds who fetches what.
    """

    subject = "viewers.asked"

    package_id: str


class ViewerSeen(BaseModel):
    """A viewer, and the segment that was sent to them last."""

    model_config = ConfigDict(frozen=True)

    viewer: str = Field(description="as in SegmentDemanded")
    path: str = Field(description="relative to the package, for example video/360p/7.m4s")
    ago_s: float = Field(description="time since it was sent, below 10 s")


class ViewersSeen(Message):
    """Where the viewers of a package are, as one process saw them (plain NATS, never stored)."""

    subject = "viewers.seen"

    package_id: str
    viewers: list[ViewerSeen]


class SegmentsStored(Message):
    """Segments lie under their names, and the fact of it follows (plain NATS, never stored)."""

    subject = "segments.stored"

    package_id: str
    renditions: list[str]
    numbers: dict[str, list[int]] = Field(
        default_factory=dict, description="numbers of the segments, by rendition"
    )


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


COMMANDS: tuple[type[Message], ...] = (
    EncodeChunk,
    SegmentDemanded,
    DemandWithdrawn,
    ViewersAsked,
    ViewersSeen,
    SegmentsStored,
    EncoderAlive,
    DeadLetter,
)
