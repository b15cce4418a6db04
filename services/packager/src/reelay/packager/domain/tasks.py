"""From a chunk to the command that an encoder gets."""

from uuid import UUID

from reelay.common.commands import EncodeChunk, SegmentSpec, SourceSpec, VideoConstants, VideoOutput
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.plan import AUDIO_BITRATE_BPS, RULES, Plan, Rendition
from reelay.packager.domain.source import SourceFacts


def encode_task(
    task_id: UUID, package_id: str, plan: Plan, chunk: Chunk, source_key: str, attempt: int
) -> EncodeChunk:
    """Return the work message of a chunk; it holds all that an encoder needs to know."""
    chosen = [plan.rendition(name) for name in chunk.renditions]
    video = [r for r in chosen if r.rung is not None]
    audio = next((r for r in chosen if r.rung is None), None)
    rules = RULES["video"]
    return EncodeChunk(
        task_id=task_id,
        package_id=package_id,
        attempt=attempt,
        lane=chunk.lane,
        provider=chunk.provider,
        source=source_spec(plan.source, source_key),
        fps_num=plan.timeline.rate.numerator,
        fps_den=plan.timeline.rate.denominator,
        constants=VideoConstants(
            preset=rules["preset"],
            crf=rules["crf"],
            profile=rules["profile"],
            gop_frames=plan.timeline.steady_frames,
            refs=rules["refs"],
            bframes=rules["bframes"],
        ),
        video=[_output(r) for r in video],
        segments=_specs(video[0], chunk) if video else [],
        audio_rendition=audio.name if audio else None,
        audio_bitrate_bps=AUDIO_BITRATE_BPS,
        audio_segments=_specs(audio, chunk) if audio else [],
    )


def source_spec(source: SourceFacts, key: str) -> SourceSpec:
    """Return how an encoder reads the source."""
    video, audio = source.video, source.audio
    return SourceSpec(
        key=key,
        demuxer=source.demuxer,
        video_stream=video.stream if video else None,
        audio_stream=audio.stream if audio else None,
        audio_rate_hz=audio.rate_hz if audio else None,
        preroll_s=source.seek_preroll_s,
        deinterlace=bool(video and video.interlaced),
        hdr=bool(video and video.hdr),
        decode_cost=_decode_cost(source),
    )


def _decode_cost(source: SourceFacts) -> float:
    video = source.video
    if video is None:
        return 0.01
    return float(video.width * video.height * video.rate / (1920 * 1080 * 30))


def _output(rendition: Rendition) -> VideoOutput:
    rung = rendition.rung
    assert rung is not None
    return VideoOutput(
        rendition=rendition.name,
        width=rung.width,
        height=rung.height,
        maxrate_bps=rung.maxrate_bps,
        level=rung.level.name,
    )


def _specs(rendition: Rendition, chunk: Chunk) -> list[SegmentSpec]:
    return [
        SegmentSpec(number=span.number, first_frame=span.first, frames=span.frames)
        for span in rendition.spans[chunk.first - 1 : chunk.last]
    ]
