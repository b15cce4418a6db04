"""The plan of a package: computed from the source's facts before a frame is encoded, then final."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from reelay.common import identity
from reelay.packager.domain.ladder import REFERENCE_FRAMES, Rung, ladder
from reelay.packager.domain.source import SourceFacts
from reelay.packager.domain.timeline import Spans, Timeline, snap_rate

AUDIO = "audio"
AUDIO_BITRATE_BPS = 128_000
AUDIO_CODEC = "mp4a.40.2"
AUDIO_ONLY_RATE = Fraction(25)
"""Grid on which audio is cut when there is no video."""

REORDER_FRAMES = 2
"""How far x264 reorders frames with three B-frames and a pyramid; the delay of every track."""

RULES: dict[str, Any] = {
    "revision": 1,
    "timeline": "1-1-2-4",
    "container": "cmaf",
    "video": {
        "codec": "h264", "preset": "veryfast", "crf": 23, "profile": "high",
        "refs": REFERENCE_FRAMES, "bframes": 3, "vbv_init": 0.5, "bufsize_s": 1,
        "reorder": REORDER_FRAMES,
    },
    "audio": {
        "codec": "aac-lc", "coder": "fast", "bitrate_bps": AUDIO_BITRATE_BPS, "rate_hz": 48000,
        "channels": 2,
    },
}  # fmt: skip
"""Constants of every recipe; a change here gives every package a new identity."""


@dataclass(frozen=True)
class Rendition:
    """One track of the package, and the folder that its objects have."""

    name: str
    path: str
    rung: Rung | None
    provider: str
    spans: Spans

    @property
    def kind(self) -> str:
        """`video` or `audio`."""
        return "audio" if self.rung is None else "video"

    def segment_path(self, number: int) -> str:
        """Path of a segment, relative to the package."""
        return f"{self.path}/{number}.m4s"

    @property
    def init_path(self) -> str:
        """Path of the init segment, relative to the package."""
        return f"{self.path}/init.mp4"

    @property
    def playlist_path(self) -> str:
        """Path of the HLS media playlist, relative to the package."""
        return f"{self.path}/index.m3u8"


@dataclass(frozen=True)
class Plan:
    """Everything that is promised of a package."""

    asset_id: str
    source: SourceFacts
    timeline: Timeline
    rungs: tuple[Rung, ...]
    versions: Mapping[str, str]
    provider: str = "software"
    edition: int = 0
    """Counts the packages of one recipe whose bytes could not be made again as they were."""

    @property
    def recipe(self) -> dict[str, Any]:
        """All that decides the output bytes, as JSON (integers and strings alone)."""
        return {
            **RULES,
            **({"edition": self.edition} if self.edition else {}),
            "versions": dict(self.versions),
            "rate": [self.timeline.rate.numerator, self.timeline.rate.denominator],
            "frames": self.timeline.frames,
            "ladder": [
                {
                    "name": rung.name, "width": rung.width, "height": rung.height,
                    "maxrate_bps": rung.maxrate_bps, "level": rung.level.name,
                    "provider": self.provider_of(rung),
                }
                for rung in self.rungs
            ],
            "sound": self.source.audio is not None,
        }  # fmt: skip

    def next_edition(self) -> "Plan":
        """Return the plan of the same video under another identity."""
        return replace(self, edition=self.edition + 1)

    @cached_property
    def package_id(self) -> str:
        """Identity of the package (DESIGN, decision 1)."""
        return identity.package_id(self.asset_id, self.recipe)

    def provider_of(self, rung: Rung) -> str:
        """The lowest rung is always made in software, so that it plays everywhere soon."""
        return "software" if rung == self.rungs[0] else self.provider

    @cached_property
    def renditions(self) -> tuple[Rendition, ...]:
        """Video rungs, lowest first, then audio."""
        spans = self.timeline.video()
        video = [
            Rendition(rung.name, f"video/{rung.name}", rung, self.provider_of(rung), spans)
            for rung in self.rungs
        ]
        if self.source.audio is None:
            return tuple(video)
        sound = Rendition(AUDIO, "audio/main", None, "software", self.timeline.audio())
        return (*video, sound)

    @property
    def video_renditions(self) -> tuple[Rendition, ...]:
        """The video rungs, lowest first."""
        return tuple(r for r in self.renditions if r.rung is not None)

    @property
    def audio_rendition(self) -> Rendition | None:
        """The audio track, if there is one."""
        return next((r for r in self.renditions if r.rung is None), None)

    @property
    def opening(self) -> tuple[Rendition, ...]:
        """What must have its first segment before the package is playable."""
        audio = self.audio_rendition
        return (*self.video_renditions[:1], *([audio] if audio else []))

    @property
    def segments_total(self) -> int:
        """Number of promised media segments."""
        return sum(len(rendition.spans) for rendition in self.renditions)

    @cached_property
    def _by_name(self) -> dict[str, Rendition]:
        return {r.name: r for r in self.renditions}

    def rendition(self, name: str) -> Rendition:
        """Return a rendition by name; raises KeyError."""
        return self._by_name[name]

    def promised(self) -> dict[str, Any]:
        """Return the content of `plan.json`, from which the content API answers."""
        return {
            "package_id": self.package_id,
            "asset_id": self.asset_id,
            "duration_s": float(self.timeline.duration_s),
            "recipe": self.recipe,
            "renditions": [
                {
                    "id": r.name, "kind": r.kind, "path": r.path, "segments": len(r.spans),
                    "provider": r.provider,
                }
                for r in self.renditions
            ],
        }  # fmt: skip


def make_plan(asset_id: str, source: SourceFacts, versions: Mapping[str, str]) -> Plan:
    """Plan a package; raises TooLargeError for a picture that no level allows."""
    video = source.video
    if video is None:
        timeline = Timeline.of_duration(AUDIO_ONLY_RATE, source.duration_s)
        return Plan(asset_id, source, timeline, (), versions)
    rate = snap_rate(video.rate)
    timeline = Timeline.of_duration(rate, source.duration_s)
    return Plan(
        asset_id, source, timeline, tuple(ladder(video.width, video.height, rate)), versions
    )
