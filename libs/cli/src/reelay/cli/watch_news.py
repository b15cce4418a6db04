"""Tells in a sentence what a message means for the package that is watched."""

from collections.abc import Iterable, Sequence

from reelay.cli import quantities
from reelay.cli.watch_map import Package
from reelay.common.commands import EncodeChunk, SegmentDemanded, SegmentSpec
from reelay.common.events import (
    ManifestUpdated,
    PackagePlanned,
    PackageRemoved,
    SegmentFailed,
    SegmentRange,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.message import Message


def sentence(message: Message, package: Package) -> str:
    """Return the sentence; empty for what is no news. It depends on nothing else that was heard."""
    match message:
        case PackagePlanned():
            length = quantities.clock(message.duration_s)
            return f"planned: {message.segments_total} segments, {length} long"
        case ManifestUpdated():
            return f"stored {_ranges(message.available)}" if message.available else ""
        case EncodeChunk():
            return _chunk(message, package)
        case SegmentDemanded():
            return _demand(message, package)
        case SegmentFailed():
            return f"an encoder gave up (attempt {message.attempt}): {_line(message.reason)}"
        case TranscodeCompleted():
            return f"complete: {quantities.size(message.size_bytes)}"
        case TranscodeFailed():
            return f"failed: {_line(message.reason)}"
        case PackageRemoved():
            return "removed"
    return ""


def _chunk(chunk: EncodeChunk, package: Package) -> str:
    video = [output.rendition for output in reversed(chunk.video)]
    names = [*video, *([chunk.audio_rendition] if chunk.audio_rendition else [])]
    segments = chunk.segments or chunk.audio_segments
    again = f", attempt {chunk.attempt}" if chunk.attempt > 1 else ""
    where = _where(names, segments, package)
    return f"{chunk.lane} work for {' '.join(names)} {_numbers(segments)}{where}{again}"


def _where(names: Sequence[str], segments: Sequence[SegmentSpec], package: Package) -> str:
    if not segments or not names or names[0] not in package.names:
        return ""
    rendition = package.rendition(names[0])
    first, last = segments[0].number, segments[-1].number
    begin, end = rendition.start_s(first), rendition.start_s(last + 1)
    return f" ({quantities.clock(begin)} to {quantities.clock(end)})"


def _numbers(segments: Sequence[SegmentSpec]) -> str:
    return _span(segments[0].number, segments[-1].number) if segments else ""


def _demand(demand: SegmentDemanded, package: Package) -> str:
    place = package.locate(demand.path)
    if place is None:
        return ""
    rendition, number = place
    if number == 0:
        return f"a viewer waits for {rendition.name} to begin"
    where = quantities.clock(rendition.start_s(number))
    return f"a viewer waits for {rendition.name} {number} at {where}"


def _ranges(ranges: Iterable[SegmentRange]) -> str:
    """Return ranges of renditions, those of the same segments together: `720p audio 3-6`."""
    names: dict[str, list[str]] = {}
    for one in ranges:
        names.setdefault(_span(one.first, one.last), []).append(one.rendition)
    return ", ".join(f"{' '.join(those)} {span}" for span, those in names.items())


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _line(text: str) -> str:
    return " ".join(text.split())
