"""Parts of a task: one run of FFmpeg each, and what is left when FFmpeg made only a part."""

from collections.abc import Mapping, Sequence

from reelay.common.commands import EncodeChunk, Lane, SegmentSpec

Missing = Mapping[str, Sequence[SegmentSpec]]
"""Segments that did not come, by rendition."""


def runs(task: EncodeChunk) -> list[EncodeChunk]:
    """Return the parts of a task that one FFmpeg after the other makes.

    The first segment of an opening is one by itself: x264 holds some 20 frames back until its input
    ends, nearly as many as that segment has, and everybody waits for it.
    """
    if task.lane != Lane.OPENING or len(task.segments) < 2 or task.segments[0].number != 1:
        return [task]
    first = {"segments": task.segments[:1], "audio_segments": task.audio_segments[:1]}
    rest = {"segments": task.segments[1:], "audio_segments": task.audio_segments[1:]}
    return [task.model_copy(update=part) for part in (first, rest)]


def remainder(task: EncodeChunk, missing: Missing) -> list[EncodeChunk]:
    """Return tasks, one per rendition, for the segments that did not come."""
    rest: list[EncodeChunk] = []
    for output in task.video:
        if segments := missing.get(output.rendition):
            changes = {"video": [output], "segments": list(segments), "audio_rendition": None}
            rest.append(task.model_copy(update=changes))
    if task.audio_rendition is not None and (segments := missing.get(task.audio_rendition)):
        changes = {"video": [], "audio_segments": list(segments)}
        rest.append(task.model_copy(update=changes))
    return rest


def has_both(task: EncodeChunk) -> bool:
    """Tell whether a task has picture and sound, so that damage to one may hinder the other."""
    return bool(task.video) and task.audio_rendition is not None
