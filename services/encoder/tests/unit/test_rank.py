"""How urgent work is."""

from uuid import UUID

import pytest

from reelay.common.commands import EncodeChunk, Lane, SegmentSpec, SourceSpec, VideoOutput
from reelay.encoder.domain.precedence import Rank, rank_after, rank_of

ONDEMAND, OPENING, OPENED, AHEAD, LADDER = Rank


def segments(number: int) -> list[SegmentSpec]:
    return [SegmentSpec(number=n, first_frame=100 * n, frames=100) for n in (number, number + 1)]


def make_task(lane: Lane, **kinds: list[SegmentSpec]) -> EncodeChunk:
    """Return a task of a rung, of sound, or of both."""
    rung = VideoOutput(rendition="360p", width=640, height=360, maxrate_bps=800_000, level="3.0")
    return EncodeChunk(
        task_id=UUID(int=1),
        package_id="p",
        lane=lane,
        provider="software",
        source=SourceSpec(key="x", demuxer="mov", video_stream=0, audio_stream=1, preroll_s=0.5),
        fps_num=25,
        fps_den=1,
        video=[rung] if "segments" in kinds else [],
        audio_rendition="main" if "audio_segments" in kinds else None,
        **kinds,
    )


@pytest.mark.parametrize(
    ("lane", "number", "rank"),
    [
        (Lane.ONDEMAND, 1, ONDEMAND),
        (Lane.ONDEMAND, 9, ONDEMAND),
        (Lane.OPENING, 1, OPENING),
        (Lane.OPENING, 9, AHEAD),
        (Lane.LADDER, 1, LADDER),
        (Lane.LADDER, 9, LADDER),
    ],
)
@pytest.mark.parametrize("kind", ["segments", "audio_segments"])
def test_rank_is_the_lane_but_for_what_runs_ahead_of_viewers(lane, number, rank, kind):
    assert rank_of(make_task(lane, **{kind: segments(number)})) is rank


@pytest.mark.parametrize(
    ("begun", "rank"),
    [
        ([], OPENING),
        (["360p"], OPENING),
        (["main"], OPENING),
        (["360p", "main"], OPENED),
    ],
)
def test_opening_is_less_urgent_once_picture_and_sound_have_begun(begun, rank):
    kinds = {"segments": segments(1), "audio_segments": segments(1)}
    assert rank_after(make_task(Lane.OPENING, **kinds), begun) is rank
    assert rank_after(make_task(Lane.ONDEMAND, **kinds), begun) is ONDEMAND
    assert rank_after(make_task(Lane.LADDER, **kinds), begun) is LADDER


@pytest.mark.parametrize(("kind", "rendition"), [("segments", "360p"), ("audio_segments", "main")])
def test_opening_waits_for_no_rendition_that_it_does_not_make(kind, rendition):
    task = make_task(Lane.OPENING, **{kind: segments(1)})
    assert rank_after(task, [rendition]) is OPENED


def test_rest_of_what_runs_ahead_stays_as_it_is():
    assert rank_after(make_task(Lane.OPENING, segments=segments(9)), ["360p"]) is AHEAD
