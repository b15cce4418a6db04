"""The command line of FFmpeg for a chunk."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from reelay.common.commands import EncodeChunk, VideoConstants, VideoOutput
from reelay.common.source_input import SourceInput
from reelay.encoder.domain import filters
from reelay.encoder.domain.cutting import AAC_FRAME_SAMPLES
from reelay.encoder.domain.source import UnplayableTaskError, forced_demuxer, input_arguments

AUDIO_SEEK_MARGIN_S = 1.0
"""How long before the first sample audio is read at least: containers may store it so far away from
the pictures of its time."""
AUDIO_SETTLES_S = 0.35
"""How long before the first sample audio is read where each stream is sought by itself: two frames
of HE-AAC at 22.05 kHz take 0.19 s."""
PICTURES_BEGIN_S = 2.5
"""Sound before this time is read from the start: FFmpeg seeks by the pictures, so that what comes
before the first of them is not found otherwise."""
SOUGHT_BY_STREAM = ("mov",)
"""Demuxers that seek to the keyframe of the pictures, and in the sound to the same time."""
SHORT_WORK = 1.5
"""Seconds of 1080p30 that are made sooner by one thread than by several that begin and wait: 0.15 s
instead of 0.18 s on two cores, and with less of both."""
VIDEO_CODECS = {"software": "libx264"}
"""FFmpeg encoder of each provider."""
VIDEO_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof+frag_discont+negative_cts_offsets"
AUDIO_FRAGMENTS = "+frag_every_frame+empty_moov+default_base_moof+frag_discont+negative_cts_offsets"
"""Without the last flag FFmpeg 9.0 begins at tfdt 0 instead of the packets' own time."""


@dataclass(frozen=True)
class Machine:
    """What the FFmpeg at hand can do, and how many threads it may use."""

    threads: int
    tonemap: bool


def ffmpeg_arguments(
    task: EncodeChunk,
    source: SourceInput | None,
    outputs: Mapping[str, str],
    machine: Machine,
) -> list[str]:
    """Return FFmpeg's arguments (without the program) that make the chunk.

    `outputs` maps each rendition to the URL that its fragmented MP4 is written to. Without a
    `source` the chunk is black and silent. Raises UnplayableTaskError and ForbiddenSourceError.
    """
    check_task(task)
    machine = replace(machine, threads=_threads(task, machine))
    inputs, graphs = _inputs_and_graphs(task, source, machine)
    arguments = [
        *("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info"),
        *("-max_error_rate", "1", "-copyts", "-start_at_zero"),
        *("-filter_complex_threads", str(machine.threads)),
        *inputs,
    ]
    # A graph begins when all its inputs have: pictures would pile up before damaged sound.
    for graph in graphs:
        arguments += ["-filter_complex", graph]
    for i, output in enumerate(task.video):
        arguments += _video_output(task, output, f"[v{i}]", machine)
        arguments.append(outputs[output.rendition])
    if task.audio_rendition is not None:
        arguments += [*_audio_output(task), outputs[task.audio_rendition]]
    return arguments


def _threads(task: EncodeChunk, machine: Machine) -> int:
    """Return how many threads decode, filter and encode each."""
    seconds = sum(segment.frames for segment in task.segments) * task.fps_den / task.fps_num
    short = seconds * task.source.decode_cost <= SHORT_WORK
    return 1 if short else machine.threads


def check_task(task: EncodeChunk) -> None:
    """Raise UnplayableTaskError when the task contradicts itself."""
    if not task.video and task.audio_rendition is None:
        raise UnplayableTaskError("The task names no rendition.")
    if task.video:
        if task.constants is None or task.source.video_stream is None or not task.segments:
            raise UnplayableTaskError("Video needs constants, a stream and segments.")
        if task.provider not in VIDEO_CODECS:
            raise UnplayableTaskError(f"There is no provider {task.provider[:50]!r}.")
        if max(segment.frames for segment in task.segments) > task.constants.gop_frames:
            raise UnplayableTaskError("A segment is longer than a GOP.")
    if task.audio_rendition is not None and (
        task.source.audio_stream is None or not task.audio_segments
    ):
        raise UnplayableTaskError("Audio needs a stream and segments.")
    for segments in (task.segments, task.audio_segments):
        for one, following in itertools.pairwise(segments):
            if one.first_frame + one.frames != following.first_frame:
                raise UnplayableTaskError("Segments of a chunk follow each other.")


def _inputs_and_graphs(
    task: EncodeChunk, source: SourceInput | None, machine: Machine
) -> tuple[list[str], list[str]]:
    inputs: list[str] = []
    graphs: list[str] = []
    threads = ["-threads", str(machine.threads)]
    shared = _is_shared(task)
    if task.video and source is None:
        graphs.append(filters.black_filters(task))
    elif task.video and source is not None:
        # H.264 without a description of its colours is taken for BT.709; a given one wins.
        inputs += [*threads, "-colorspace", "bt709"]
        start_s = filters.video_start_s(task)
        if shared:
            start_s = min(start_s, filters.audio_start_s(task) - AUDIO_SETTLES_S)
        inputs += input_arguments(task.source, source, start_s)
        stream = f"0:{task.source.video_stream}"
        graphs.append(filters.video_filters(task, stream, tonemap=machine.tonemap))
    if task.audio_rendition is not None and source is None:
        graphs.append(filters.silence_filters(task))
    elif task.audio_rendition is not None and source is not None:
        if not shared:
            inputs += input_arguments(task.source, source, _audio_seek_s(task))
        stream = f"{1 if task.video and not shared else 0}:{task.source.audio_stream}"
        graphs.append(filters.audio_filters(task, stream))
    return inputs, graphs


def _is_shared(task: EncodeChunk) -> bool:
    """Tell whether one input serves pictures and sound.

    Opening another one decodes its first picture (0.08 s), and reads all of the source again.
    """
    if not task.video or task.audio_rendition is None:
        return False
    if _audio_seek_s(task) <= 0:
        return filters.video_start_s(task) <= 0
    return forced_demuxer(task.source) in SOUGHT_BY_STREAM


def _audio_seek_s(task: EncodeChunk) -> float:
    """Return where sound is read from, in seconds; 0: from the start."""
    start_s = filters.audio_start_s(task)
    if start_s < PICTURES_BEGIN_S:
        return 0.0
    return start_s - max(AUDIO_SEEK_MARGIN_S, task.source.preroll_s)


def _video_output(task: EncodeChunk, output: VideoOutput, pad: str, machine: Machine) -> list[str]:
    assert task.constants is not None
    first = task.segments[0].first_frame
    starts = "+".join(f"eq(n,{segment.first_frame - first})" for segment in task.segments)
    return [
        *("-map", pad, "-c:v", VIDEO_CODECS[task.provider]),
        *_x264(task.constants, output),
        *("-threads", str(machine.threads)),
        *("-force_key_frames", f"expr:{starts}", "-fps_mode", "passthrough"),
        # x264's text about its settings says nothing that a player needs.
        *("-bsf:v", "filter_units=remove_types=6"),
        *("-video_track_timescale", str(task.fps_num)),
        *("-fragment_index", str(task.segments[0].number)),
        *_mp4(VIDEO_FRAGMENTS),
    ]


def _x264(constants: VideoConstants, output: VideoOutput) -> list[str]:
    """Return settings that follow from the recipe alone, so that all chunks have one SPS and PPS.

    The buffer holds one second of maxrate and is half full at the start of every chunk.
    """
    return [
        *("-preset", constants.preset, "-crf", f"{constants.crf:g}"),
        *("-profile:v", constants.profile, "-level:v", output.level),
        *("-maxrate", str(output.maxrate_bps), "-bufsize", str(output.maxrate_bps)),
        *("-g", str(constants.gop_frames), "-refs", str(constants.refs)),
        *("-bf", str(constants.bframes), "-sc_threshold", "0", "-forced-idr", "1"),
        *("-x264-params", "vbv-init=0.5:open-gop=0"),
    ]


def _audio_output(task: EncodeChunk) -> list[str]:
    first_tick = task.audio_segments[0].first_frame * AAC_FRAME_SAMPLES
    return [
        # From 64 kb/s a channel the fast search is also the better one (FFmpeg's manual).
        *("-map", "[a]", "-c:a", "aac", "-profile:a", "aac_low", "-aac_coder", "fast"),
        *("-b:a", str(task.audio_bitrate_bps), "-ar", str(filters.AUDIO_RATE_HZ), "-ac", "2"),
        # The encoder's priming packet and the frames that only settled its state.
        *("-bsf:a", f"noise=drop='lt(pts,{first_tick})'"),
        *_mp4(AUDIO_FRAGMENTS),
    ]


def _mp4(movflags: str) -> list[str]:
    """Return the muxer's arguments: nothing of the source's metadata, each fragment at once."""
    return [
        *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
        *("-flags", "+bitexact", "-movflags", movflags, "-flush_packets", "1", "-f", "mp4"),
    ]
