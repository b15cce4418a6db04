"""The filter graphs of a chunk: one decode, all renditions, exact frames and samples."""

from collections.abc import Sequence
from math import gcd

from reelay.common.commands import EncodeChunk, SegmentSpec, VideoOutput
from reelay.encoder.domain.cutting import AAC_FRAME_SAMPLES

AUDIO_RATE_HZ = 48_000
AUDIO_LEAD_FRAMES = 4
"""AAC frames encoded before the first one kept, so that the encoder's state has settled."""
AUDIO_TRAIL_FRAMES = 2
"""AAC frames encoded after the last one kept: a frame's window reaches a whole frame further."""
BT709 = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"


def video_start_s(task: EncodeChunk) -> float:
    """Return where decoding must begin for the chunk's first frame, in seconds; 0 at the least."""
    first = task.segments[0].first_frame * task.fps_den / task.fps_num
    return max(0.0, first - task.source.preroll_s)


def video_filters(task: EncodeChunk, stream: str, *, tonemap: bool) -> str:
    """Return the graph from input `stream` ("0:1") to the pads [v0], [v1], … of the renditions.

    The grid (`fps`) is laid before anything is cut, and frames are chosen by their number on it.
    A late first frame is held back to 0 and the last one held for ever.
    """
    first, end = _range(task.segments)
    # Only where decoding begins at 0 is the first frame that comes also the first of the source.
    from_zero = "" if video_start_s(task) > 0 else ":start_time=0"
    steps = [
        *(["bwdif=mode=send_frame:deint=all"] if task.source.deinterlace else []),
        f"fps={task.fps_num}/{task.fps_den}{from_zero}",
        "showinfo=checksum=0",
        "tpad=stop_mode=clone:stop=-1",
        f"trim=start_pts={first}:end_pts={end}",
        *(_tonemap(task.video) if task.source.hdr and tonemap else []),
    ]
    return f"[{stream}]{','.join(steps)}," + _renditions(task.video)


def black_filters(task: EncodeChunk) -> str:
    """Return a graph like `video_filters`, of black frames without any source."""
    first, end = _range(task.segments)
    largest = _largest(task.video)
    source = f"color=c=black:s={largest.width}x{largest.height}:r={task.fps_num}/{task.fps_den}"
    steps = f"format=yuv420p,setpts=N+{first},trim=end_pts={end}"
    return f"{source},{steps}," + _renditions(task.video)


def audio_start_s(task: EncodeChunk) -> float:
    """Return the time from which audio is resampled, in seconds."""
    return _audio_start_sample(task) / AUDIO_RATE_HZ


def audio_filters(task: EncodeChunk, stream: str) -> str:
    """Return the graph from input `stream` to the pad [a]; timestamps are output samples.

    `async=1` fills with silence before a late start and in gaps, and stretches nothing; it stands
    after the resampling, since `first_pts` counts samples of its input.
    """
    return (
        f"[{stream}]atrim=start={audio_start_s(task):.6f},"
        f"aresample={AUDIO_RATE_HZ}:ochl=stereo,"
        f"aresample=async=1:first_pts={_audio_start_sample(task)},"
        f"atrim=start_pts={_audio_first_sample(task)}:end_pts={_audio_end_sample(task)}[a]"
    )


def _audio_start_sample(task: EncodeChunk) -> int:
    """Return the last output sample before the first needed one that is also one of the source.

    From there the resampler has the same phase in every chunk. A whole second is such a sample at
    every rate.
    """
    step = AUDIO_RATE_HZ // gcd(task.source.audio_rate_hz or 1, AUDIO_RATE_HZ)
    return _audio_first_sample(task) // step * step


def silence_filters(task: EncodeChunk) -> str:
    """Return a graph like `audio_filters`, of silence without any source."""
    first = _audio_first_sample(task)
    return (
        f"anullsrc=r={AUDIO_RATE_HZ}:cl=stereo,asetpts=PTS+{first},"
        f"atrim=end_pts={_audio_end_sample(task)}[a]"
    )


def _audio_first_sample(task: EncodeChunk) -> int:
    first = task.audio_segments[0].first_frame
    return max(0, first - AUDIO_LEAD_FRAMES) * AAC_FRAME_SAMPLES


def _audio_end_sample(task: EncodeChunk) -> int:
    _, end = _range(task.audio_segments)
    return (end + AUDIO_TRAIL_FRAMES) * AAC_FRAME_SAMPLES


def _range(segments: Sequence[SegmentSpec]) -> tuple[int, int]:
    return segments[0].first_frame, segments[-1].first_frame + segments[-1].frames


def _largest(outputs: Sequence[VideoOutput]) -> VideoOutput:
    return max(outputs, key=lambda output: output.width * output.height)


def _tonemap(outputs: Sequence[VideoOutput]) -> list[str]:
    """Return the way from PQ or HLG to BT.709, at the size of the largest rendition.

    In linear light and floating point, so it costs less on pictures that were scaled first.
    """
    largest = _largest(outputs)
    return [
        f"zscale=w={largest.width}:h={largest.height}:t=linear:npl=100",
        "format=gbrpf32le",
        "zscale=p=bt709",
        "tonemap=hable:desat=0",
        "zscale=t=bt709:m=bt709:r=tv",
        "format=yuv420p",
    ]


def _renditions(outputs: Sequence[VideoOutput]) -> str:
    pads = "".join(f"[s{i}]" for i in range(len(outputs)))
    scaled = [
        f"[s{i}]scale={output.width}:{output.height}:out_color_matrix=bt709:out_range=tv,"
        f"setsar=1,format=yuv420p,{BT709}[v{i}]"
        for i, output in enumerate(outputs)
    ]
    return ";".join([f"split={len(outputs)}{pads}", *scaled])
