"""What encoders and the packager need for their work, as `calibrate.py` measured it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MEASURED = Path(__file__).parent / "service_times.json"

OPENING_S, DEMANDED_S = 8, 4
"""Seconds of film in the measured chunk of the opening lane, and in the demanded segment."""


@dataclass(frozen=True)
class SourceTimes:
    """Times of one encoder for sources of one size; rates are seconds per second of video."""

    first_segment_s: float
    """From the start of the opening chunk until its first segment and sound are whole."""
    opening_s: float
    """A chunk of the opening lane: the first 8 s of the lowest rung and the sound."""
    ondemand_s: float
    """A demanded segment of 4 s: the lowest rung and the sound, from the middle of the film."""
    fixed_s: float
    """What every other chunk costs before its first frame: start, seek, pre-roll."""
    decode_rate: float
    lowest_rate: float
    """Decoding and the lowest rung with the sound."""
    ladder_rate: float
    """Decoding once and the whole ladder."""

    @property
    def upper_rate(self) -> float:
        """Decoding and all rungs but the lowest."""
        return self.ladder_rate - self.lowest_rate + self.decode_rate

    def rate(self, renditions: Sequence[str], lowest: str) -> float:
        """Return the rate of a chunk: the whole ladder, its lowest rung, or all others."""
        video = [name for name in renditions if name[0].isdigit()]
        if lowest not in video:
            return self.upper_rate if video else 0.0
        return self.ladder_rate if len(video) > 1 else self.lowest_rate


@dataclass(frozen=True)
class ServiceTimes:
    """Everything that was measured, and on which machine."""

    machine: str
    encoder_threads: int
    plan_s: float
    """From the last byte of an upload until the opening chunk is in its queue."""
    hops_s: float
    """Messages and storage between an encoder's segment and a viewer, beyond packaging."""
    packaging_call_s: float
    packaging_segment_s: float
    """A call of Shaka Packager with n segments takes `call + n x segment`."""
    dispatch_base_s: float
    dispatch_package_s: float
    """A decision among n unfinished packages holds the dispatch lock for `base + n x package`."""
    dispatch_measured: str
    """When that was measured, or that it was not."""
    sources: Mapping[int, SourceTimes]
    """By the short side of the source, in pixels."""

    def packaging_s(self, segments: int) -> float:
        """Return the length of one call, in seconds."""
        return self.packaging_call_s + segments * self.packaging_segment_s

    def dispatch_s(self, packages: int) -> float:
        """Return how long a decision holds the lock, with so many unfinished packages."""
        return self.dispatch_base_s + packages * self.dispatch_package_s

    def chunk_s(self, height: int, lowest: str, renditions: Sequence[str], seconds: float) -> float:
        """Return how long an encoder works on a chunk of so many seconds of average pictures."""
        source = self.sources[height]
        return source.fixed_s + seconds * source.rate(renditions, lowest)

    def file_s(self, height: int, seconds: float) -> float:
        """Return how long one encoder needs for the whole ladder of a whole file, in one go."""
        source = self.sources[height]
        return source.fixed_s + seconds * source.ladder_rate


def source_times(
    *,
    first_segment_s: float,
    opening_s: float,
    ondemand_s: float,
    ladder_s: float,
    ladder_of: float,
    decode_rate: float,
) -> SourceTimes:
    """Return the times of a source from what was measured of it.

    The opening (`OPENING_S` of film) tells what a second of the lowest rung costs. The demanded
    segment (4 s) tells what a chunk elsewhere costs before its first frame, and the ladder chunk
    (`ladder_of` seconds of film) the rest.
    """
    lowest_rate = (opening_s - first_segment_s) / (OPENING_S - 1)
    fixed_s = max(0.0, ondemand_s - DEMANDED_S * lowest_rate)
    return SourceTimes(
        first_segment_s=first_segment_s,
        opening_s=opening_s,
        ondemand_s=ondemand_s,
        fixed_s=fixed_s,
        decode_rate=decode_rate,
        lowest_rate=lowest_rate,
        ladder_rate=(ladder_s - fixed_s) / ladder_of,
    )


def load(path: Path = MEASURED) -> ServiceTimes:
    """Read what was measured."""
    document = json.loads(path.read_text())
    model, dispatch = document["model"], document["dispatch_s"]
    sources = {int(k): SourceTimes(**v) for k, v in model.pop("sources").items()}
    return ServiceTimes(
        sources=sources,
        dispatch_base_s=dispatch["base"],
        dispatch_package_s=dispatch["per_package"],
        dispatch_measured=dispatch["measured"],
        **model,
    )


def as_document(times: ServiceTimes) -> dict[str, object]:
    """Return the numbers of encoders and packaging as JSON, rounded to what was measured.

    Those of decisions are kept beside them, as they are measured by themselves.
    """
    rounded = {
        k: _rounded(v)
        for k, v in asdict(times).items()
        if k != "sources" and not k.startswith("dispatch_")
    }
    sources = {
        str(height): {k: _rounded(v) for k, v in asdict(source).items()}
        for height, source in times.sources.items()
    }
    return {**rounded, "sources": sources}


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
