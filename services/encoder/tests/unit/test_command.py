"""The command line follows from the task alone."""

from uuid import UUID

import pytest

from reelay.common.commands import (
    EncodeChunk,
    Lane,
    SegmentSpec,
    SourceSpec,
    VideoConstants,
    VideoOutput,
)
from reelay.common.range_reader import parse_range
from reelay.common.source_input import SourceInput
from reelay.encoder.domain.command import Machine, ffmpeg_arguments
from reelay.encoder.domain.remainder import remainder, runs
from reelay.encoder.domain.source import ForbiddenSourceError, UnplayableTaskError

MACHINE = Machine(threads=2, tonemap=True)
PLACE = SourceInput("file:/store/sources/x", "file")


def task(**changes: object) -> EncodeChunk:
    source = {
        "key": "sources/x", "demuxer": "mov", "video_stream": 0, "audio_stream": 1,
        "preroll_s": 0.5,
    }  # fmt: skip
    made = EncodeChunk(
        task_id=UUID(int=1),
        package_id="p",
        lane=Lane.LADDER,
        provider="software",
        source=SourceSpec.model_validate(source),
        fps_num=30000,
        fps_den=1001,
        constants=VideoConstants(
            preset="veryfast", crf=23, profile="high", gop_frames=120, refs=3, bframes=3
        ),
        video=[
            VideoOutput(rendition="360p", width=640, height=360, maxrate_bps=900_000, level="3.0")
        ],
        segments=[
            SegmentSpec(number=3, first_frame=60, frames=60),
            SegmentSpec(number=4, first_frame=120, frames=120),
        ],
        audio_rendition="audio",
        audio_segments=[SegmentSpec(number=3, first_frame=94, frames=94)],
    )
    return made.model_copy(update=changes)


def arguments(chunk: EncodeChunk, place: SourceInput | None = PLACE) -> list[str]:
    return ffmpeg_arguments(chunk, place, {"360p": "pipe:7", "audio": "pipe:8"}, MACHINE)


def graphs(argv: list[str]) -> str:
    return ";".join(after(argv, "-filter_complex"))


def after(argv: list[str], option: str) -> list[str]:
    return [argv[i + 1] for i, word in enumerate(argv) if word == option]


LATER = [SegmentSpec(number=5, first_frame=188, frames=94)]
SOUND_S = 184 * 1024 / 48000
"""Where the sound of these begins: four frames lead."""


def of(**source: object) -> SourceSpec:
    return task().source.model_copy(update=source)


def test_every_input_is_forced_and_confined():
    argv = arguments(task(source=of(demuxer="matroska,webm"), audio_segments=LATER))
    assert after(argv, "-i") == [PLACE.url, PLACE.url]
    assert after(argv, "-protocol_whitelist") == ["file", "file"]
    assert after(argv, "-f")[:2] == ["matroska", "matroska"]
    assert "-nostdin" in argv


def test_decoding_begins_before_the_chunk():
    source = of(demuxer="matroska", audio_rate_hz=48000)
    video, audio = after(arguments(task(source=source, audio_segments=LATER)), "-ss")
    assert float(video) == pytest.approx(60 * 1001 / 30000 - 0.5)
    assert float(audio) == pytest.approx(SOUND_S - 1)


def test_one_input_serves_both_where_each_stream_is_sought_by_itself():
    source = of(audio_rate_hz=48000)
    video_first = task(source=source, audio_segments=LATER)
    argv = arguments(video_first)
    assert after(argv, "-i") == [PLACE.url]
    assert "[0:1]" in graphs(argv)
    assert float(after(argv, "-ss")[0]) == pytest.approx(60 * 1001 / 30000 - 0.5)
    pictures = [SegmentSpec(number=5, first_frame=120, frames=120)]
    argv = arguments(task(source=source, segments=pictures, audio_segments=LATER))
    assert float(after(argv, "-ss")[0]) == pytest.approx(120 * 1001 / 30000 - 0.5)
    sooner = [SegmentSpec(number=5, first_frame=160, frames=94)]
    argv = arguments(task(source=source, segments=pictures, audio_segments=sooner))
    assert float(after(argv, "-ss")[0]) == pytest.approx(156 * 1024 / 48000 - 0.35)


@pytest.mark.parametrize(
    ("rate_hz", "start_s"),
    [
        (48000, SOUND_S),
        (44100, 3.923333),  # samples of 44.1 and 48 kHz meet 300 times a second
        (11025, 3.92),
        (44056, 3.875),
        (None, 3.0),
    ],
)
def test_resampling_begins_where_samples_of_both_rates_meet(rate_hz: int | None, start_s: float):
    chunk = task(source=of(audio_rate_hz=rate_hz), audio_segments=LATER)
    graph = graphs(arguments(chunk))
    assert f"atrim=start={start_s:.6f}," in graph
    assert f"first_pts={round(start_s * 48000)}," in graph


def test_chunk_at_the_start_is_not_sought_and_held_back():
    first = task(segments=[SegmentSpec(number=1, first_frame=0, frames=30)], audio_rendition=None)
    argv = arguments(first)
    assert "-ss" not in argv
    assert "fps=30000/1001:start_time=0" in graphs(argv)


def test_picture_and_sound_from_the_start_are_read_through_one_input():
    start = [SegmentSpec(number=1, first_frame=0, frames=30)]
    argv = arguments(task(segments=start, audio_segments=start))
    assert after(argv, "-i") == [PLACE.url]
    graph = graphs(argv)
    assert "[0:0]" in graph
    assert "[0:1]" in graph


def test_keyframes_are_forced_at_segment_starts():
    assert after(arguments(task()), "-force_key_frames") == ["expr:eq(n,0)+eq(n,60)"]


def test_encoder_settings_do_not_depend_on_the_chunk():
    one = arguments(task())
    two = arguments(task(segments=[SegmentSpec(number=9, first_frame=600, frames=5)]))
    for option in ("-g", "-refs", "-bf", "-maxrate", "-bufsize", "-level:v", "-x264-params"):
        assert after(one, option) == after(two, option)
    assert after(one, "-bufsize") == after(one, "-maxrate") == ["900000"]


def test_deinterlacing_and_tone_mapping_come_once_before_the_split():
    source = task().source.model_copy(update={"deinterlace": True, "hdr": True})
    graph = graphs(arguments(task(source=source)))
    assert (
        graph.index("bwdif") < graph.index("fps=") < graph.index("tonemap") < graph.index("split")
    )
    assert graph.count("bwdif") == graph.count("tonemap=") == 1


def test_without_a_source_nothing_is_read():
    argv = arguments(task(), None)
    assert "-i" not in argv
    assert "color=c=black" in graphs(argv)
    assert "anullsrc" in graphs(argv)


@pytest.mark.parametrize("demuxer", ["hls", "concat", "dash", "lavfi", "hls,applehttp", "-i"])
def test_formats_that_name_other_files_are_forbidden(demuxer):
    source = task().source.model_copy(update={"demuxer": demuxer})
    with pytest.raises(ForbiddenSourceError):
        arguments(task(source=source))


@pytest.mark.parametrize(
    "changes",
    [
        {"video": [], "audio_rendition": None},
        {"constants": None},
        {"segments": []},
        {"provider": "abacus"},
        {"audio_segments": []},
        {"segments": [SegmentSpec(number=1, first_frame=0, frames=121)]},
        {"segments": [SegmentSpec(number=1, first_frame=0, frames=5),
                      SegmentSpec(number=2, first_frame=6, frames=5)]},
    ],
)  # fmt: skip
def test_task_that_contradicts_itself_is_refused(changes):
    with pytest.raises(UnplayableTaskError):
        arguments(task(**changes))


def test_remainder_asks_for_what_did_not_come():
    chunk = task()
    rest = remainder(chunk, {"360p": chunk.segments[1:], "audio": chunk.audio_segments})
    assert [[s.number for s in part.segments] for part in rest if part.video] == [[4]]
    assert [part.audio_rendition for part in rest] == [None, "audio"]
    assert remainder(chunk, {"360p": [], "audio": []}) == []


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, (0, 100)),
        (b"bytes=0-", (0, 100)),
        (b"bytes=10-19", (10, 20)),
        (b"bytes=90-500", (90, 100)),
        (b"bytes=-10", (90, 100)),
        (b"bytes=100-", None),
        (b"bytes=5-4", None),
        (b"bytes=-", None),
        (b"bytes=0-1,3-4", None),
        (b"lines=1-2", None),
    ],
)
def test_ranges(header, span):
    assert parse_range(header, 100) == span


def opening() -> EncodeChunk:
    numbers = ((1, 0, 30), (2, 30, 30), (3, 60, 60))
    segments = [SegmentSpec(number=n, first_frame=f, frames=c) for n, f, c in numbers]
    return task(lane=Lane.OPENING, segments=segments, audio_segments=segments)


def test_first_segment_of_an_opening_is_a_run_by_itself():
    chunk = opening()
    first, rest = runs(chunk)
    assert [s.number for s in (*first.segments, *first.audio_segments)] == [1, 1]
    assert [*first.segments, *rest.segments] == chunk.segments
    assert [*first.audio_segments, *rest.audio_segments] == chunk.audio_segments


@pytest.mark.parametrize(
    "chunk",
    [
        opening().model_copy(update={"lane": Lane.LADDER}),
        task(lane=Lane.OPENING),
        task(lane=Lane.OPENING, video=[], segments=[]),
    ],
    ids=["ladder", "ahead of a viewer", "sound alone"],
)
def test_other_chunks_are_one_run(chunk):
    assert runs(chunk) == [chunk]


def test_little_work_is_done_by_one_thread_and_much_by_all():
    assert set(after(arguments(runs(opening())[0]), "-threads")) == {"1"}
    assert set(after(arguments(task()), "-threads")) == {"2"}
