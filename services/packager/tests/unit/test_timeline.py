"""The timeline rule, by examples and for all lengths."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.timeline import STANDARD_RATES, Timeline, snap_rate

timelines = st.builds(
    Timeline, rate=st.sampled_from(STANDARD_RATES), frames=st.integers(1, 60 * 60 * 3)
)


def test_segments_are_one_one_two_then_four_seconds_and_the_rest() -> None:
    timeline = Timeline(Fraction(25), 500 - 10)
    assert [span.frames for span in timeline.video()] == [25, 25, 50, 100, 100, 100, 90]


def test_segment_lengths_are_whole_frames_at_ntsc_rates() -> None:
    timeline = Timeline(Fraction(60000, 1001), 1000)
    assert [span.frames for span in timeline.video()] == [60, 60, 120, 240, 240, 240, 40]
    assert timeline.target_duration_s == 4


@pytest.mark.parametrize(
    ("measured", "planned"),
    [
        (Fraction(2997, 100), Fraction(30000, 1001)),
        (Fraction(30), Fraction(30)),
        (Fraction(23976, 1000), Fraction(24000, 1001)),
        (Fraction(120), Fraction(60)),
        (Fraction(10), Fraction(24000, 1001)),
        (Fraction(287, 10), Fraction(30000, 1001)),
    ],
)
def test_measured_rate_snaps_to_the_nearest_standard_rate(
    measured: Fraction, planned: Fraction
) -> None:
    assert snap_rate(measured) == planned


def test_clip_shorter_than_half_a_second_is_held_to_half_a_second() -> None:
    assert Timeline.of_duration(Fraction(25), Fraction(1, 5)).frames == 12


@given(timelines)
def test_video_segments_tile_the_timeline(timeline: Timeline) -> None:
    spans = timeline.video()
    assert spans[0].first == 0
    assert all(a.first + a.frames == b.first for a, b in itertools.pairwise(spans))
    assert spans[-1].first + spans[-1].frames == timeline.frames
    assert all(0 < span.frames <= timeline.steady_frames for span in spans)
    assert [span.number for span in spans] == list(range(1, len(spans) + 1))


@given(timelines)
def test_audio_segments_tile_and_begin_at_most_one_frame_after_the_video(
    timeline: Timeline,
) -> None:
    video, audio = timeline.video(), timeline.audio()
    assert len(video) - len(audio) in (0, 1)
    assert all(a.first + a.frames == b.first for a, b in itertools.pairwise(audio))
    for picture, sound in zip(video, audio, strict=False):
        late = Fraction(sound.first * 1024, 48000) - picture.first / timeline.rate
        assert 0 <= late < Fraction(1024, 48000)
    end = audio[-1].first + audio[-1].frames
    assert end == timeline.audio_boundary(timeline.frames)


@given(timelines, st.floats(0, 10_000))
def test_segment_at_a_time_contains_it(timeline: Timeline, time_s: float) -> None:
    span = timeline.video()[timeline.segment_at(time_s) - 1]
    frame = Fraction(time_s) * timeline.rate
    assert span.first <= frame or span.number == 1
    assert frame < span.first + span.frames or span.number == len(timeline.video())
