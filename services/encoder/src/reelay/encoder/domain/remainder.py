"""What is left of a task when FFmpeg made only a part of it."""

from collections.abc import Mapping, Sequence

from reelay.common.commands import EncodeChunk, SegmentSpec

Missing = Mapping[str, Sequence[SegmentSpec]]
"""Segments that did not come, by rendition."""


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
