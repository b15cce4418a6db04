"""Messages in, map out, whatever their order and number."""

from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from reelay.cli.watch_map import bit_range, runs
from reelay.cli.watch_state import WatchState
from reelay.common.commands import EncoderAlive, Lane
from reelay.common.events import (
    SegmentFailed,
    SegmentReady,
    TranscodeFailed,
)
from reelay.common.message import Message

from ..watch_samples import (
    COMPLETED,
    ID,
    PACKAGE,
    REMOVED,
    VIDEO,
    chunk,
    demand,
    encoding,
    everything,
    failed,
    hear,
    planned,
    stored,
    stored_runs,
    withdrawn,
)


def ready(task: int = 1) -> SegmentReady:
    return SegmentReady(task_id=UUID(int=task), package_id=ID, lane=Lane.LADDER,
                        rendition="720p", number=1, staging_key="s", size_bytes=1)  # fmt: skip


def gave_up(attempt: int = 1, task: int = 1) -> SegmentFailed:
    return SegmentFailed(task_id=UUID(int=task), package_id=ID, attempt=attempt,
                         reason="FFmpeg died.", log_tail="")  # fmt: skip


def alive(encoder: str) -> EncoderAlive:
    return EncoderAlive(encoder_id=encoder, providers=["software"], encoder_version="9")


numbers = st.integers(0, 8)
renditions = st.sampled_from(["360p", "720p", "audio", "360p 720p", "360p audio", "never"])
paths = st.sampled_from(
    ["video/720p/4.m4s", "video/360p/init.mp4", "audio/main/99.m4s", "master.m3u8"]
)
people = st.sampled_from(["", "one", "two"])
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(planned, st.sampled_from([ID, "other"])),
    st.builds(
        lambda name, first, last, whose: stored((name, first, last), package_id=whose),
        renditions, numbers, numbers, st.sampled_from([ID, ID, ID, "other"]),
    ),
    st.builds(
        lambda names, first, last, lane, task, attempt: chunk(
            names, first, last, lane, task=task, attempt=attempt
        ),
        renditions.filter(lambda names: names != "never"), numbers, numbers,
        st.sampled_from(Lane), st.integers(1, 3), st.integers(1, 3),
    ),
    st.builds(ready, st.integers(1, 3)),
    st.builds(gave_up, st.integers(1, 3), st.integers(1, 3)),
    st.builds(demand, paths, people, people),
    st.builds(withdrawn, paths, people, people),
    st.builds(alive, st.sampled_from(["one", "two"])),
    st.builds(failed, st.sampled_from(["The disk is full.", "No picture."])),
    st.just(COMPLETED),
    st.just(REMOVED),
)  # fmt: skip
histories = st.lists(st.tuples(messages, st.integers(0, 300).map(float)), max_size=30)


@given(histories, st.randoms(use_true_random=False), st.integers(0, 400).map(float))
def test_any_order_and_any_repetition_end_in_the_same_map(history, random, now) -> None:
    shuffled = [*history, *(random.choice(history) for _ in range(10) if history)]
    random.shuffle(shuffled)
    assert hear(*shuffled, now=now) == hear(*history, now=now)


@given(histories, st.integers(0, 400).map(float))
def test_map_is_consistent_whatever_was_heard(history, now) -> None:
    known = hear(*history, now=now)
    assert 0 <= known.stored <= known.total
    for row in known.rows:
        taken = row.stored
        for bits in row.encoding.values():
            assert bits
            assert not bits & taken
            taken |= bits
        assert taken & ~row.rendition.whole == 0


@given(st.sets(st.integers(1, 200)))
def test_runs_are_what_a_bit_set_holds(numbers: set[int]) -> None:
    bits = sum(1 << (number - 1) for number in numbers)
    found = list(runs(bits))
    assert {n for first, last in found for n in range(first, last + 1)} == numbers
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(found))
    assert sum(bit_range(first, last) for first, last in found) == bits


def test_nothing_heard_is_a_plan() -> None:
    known = hear()
    assert (known.state, known.stored, known.total, known.elapsed_s) == ("planned", 0, 18, None)
    assert [row.rendition.name for row in known.rows] == ["720p", "360p", "audio"]


def test_stored_ranges_add_up() -> None:
    known = hear((stored(("720p", 2, 3), ("audio", 1, 1)), 1), (stored(("720p", 3, 4)), 2))
    assert stored_runs(known) == {"720p": [(2, 4)], "360p": [], "audio": [(1, 1)]}
    assert (known.stored, known.progress) == (4, 4 / 18)


def test_segments_beyond_the_plan_are_ignored() -> None:
    known = hear((stored(("720p", 5, 99), ("never", 1, 1)), 1), (chunk("360p", 6, 40), 1), now=1)
    assert stored_runs(known)["720p"] == [(5, 6)]
    assert encoding(known, "360p") == {"ladder": [(6, 6)]}


def test_another_package_changes_nothing() -> None:
    others = (
        stored(("720p", 1, 6), package_id="other"),
        chunk("720p", 1, 6, package_id="other"),
        planned("other"),
        TranscodeFailed(asset_id="a", reason="No video.", video_id=VIDEO),
    )
    assert hear(*((other, 1.0) for other in others), now=1) == hear(now=1)


def test_playable_needs_the_first_of_the_lowest_rung_and_of_the_audio() -> None:
    assert hear((stored(("720p", 1, 6), ("360p", 1, 1)), 1)).state == "planned"
    assert hear((stored(("360p", 1, 1), ("audio", 1, 1)), 1)).state == "playable"


def test_all_stored_is_not_complete_without_the_index() -> None:
    known = hear((everything(), 1))
    assert (known.state, known.progress) == ("playable", 1.0)
    assert hear((everything(), 1), (COMPLETED, 2)).state == "ready"


def test_complete_package_has_all_segments_though_their_facts_are_gone() -> None:
    known = hear((planned(), 10), (COMPLETED, 34), now=99)
    assert (known.state, known.stored, known.elapsed_s) == ("ready", 18, 24)


def test_segment_is_being_encoded_from_its_chunk_until_it_is_stored() -> None:
    asked = (chunk("360p 720p audio", 1, 4), 10.0)
    known = hear(asked, (stored(("720p", 1, 2)), 11), now=12)
    assert encoding(known, "720p") == {"ladder": [(3, 4)]}
    assert encoding(known, "audio") == {"ladder": [(1, 4)]}
    assert encoding(hear(asked, (COMPLETED, 11), now=12), "360p") == {}


def test_task_that_is_not_heard_of_for_two_minutes_is_given_up() -> None:
    asked = (chunk("720p", 1, 4), 10.0)
    assert encoding(hear(asked, now=129.9), "720p")
    assert not encoding(hear(asked, now=130), "720p")
    assert encoding(hear(asked, (ready(), 100), now=130), "720p")
    assert encoding(hear(asked, (chunk("720p", 1, 4, attempt=2), 130), now=200), "720p")


def test_task_that_lies_in_the_queue_is_under_way_however_long_it_lies() -> None:
    state = WatchState(PACKAGE, "Film")
    work = chunk("720p", 1, 4)
    state.hear(work, 10)
    state.see_work({work.task_id}, 1000)
    assert encoding(state.map(1000), "720p") == {"ladder": [(1, 4)]}
    state.see_work((), 1119.9)
    assert encoding(state.map(1120), "720p")
    state.see_work((), 1120)
    assert not encoding(state.map(1120), "720p")


def test_no_task_is_given_up_without_another_look_at_the_queue() -> None:
    state = WatchState(PACKAGE, "Film")
    state.see_work((), 9)
    state.hear(chunk("720p", 1, 4), 10)
    assert encoding(state.map(1000), "720p")


def test_failed_attempt_ends_a_task_until_the_next_attempt() -> None:
    first, second = (chunk("720p", 1, 4), 1.0), (chunk("720p", 1, 4, attempt=2), 3.0)
    assert encoding(hear(first, (gave_up(1), 2), now=4), "720p") == {}
    assert encoding(hear(first, (gave_up(1), 2), second, now=4), "720p") == {"ladder": [(1, 4)]}


def test_segment_in_several_lanes_is_shown_in_the_most_urgent() -> None:
    known = hear(
        (chunk("360p 720p", 1, 6, task=1), 1),
        (chunk("360p audio", 1, 4, Lane.OPENING, task=2), 1),
        (chunk("720p", 5, 5, Lane.ONDEMAND, task=3), 1),
        now=2,
    )
    assert encoding(known, "360p") == {"opening": [(1, 4)], "ladder": [(5, 6)]}
    assert encoding(known, "720p") == {"ondemand": [(5, 5)], "ladder": [(1, 4), (6, 6)]}


def test_encoders_are_those_heard_in_the_last_five_seconds() -> None:
    heard = [(alive("one"), 1.0), (alive("two"), 4.0), (alive("two"), 5.0)]
    assert [hear(*heard, now=now).encoders for now in (5, 6, 10)] == [2, 1, 0]


def test_news_are_sentences_newest_first() -> None:
    known = hear(
        (planned(), 1),
        (chunk("360p 720p audio", 1, 4, Lane.OPENING, attempt=2), 2),
        (demand("video/720p/4.m4s"), 3),
        (stored(("720p", 1, 2), ("audio", 1, 2), ("360p", 3, 3)), 4),
        (gave_up(), 5),
        (failed("The\ndisk is full."), 6),
        (COMPLETED, 7),
    )
    assert [news.text for news in known.news] == [
        "complete: 1.5 MB",
        "failed: The disk is full.",
        "an encoder gave up (attempt 1): FFmpeg died.",
        "stored 720p audio 1-2, 360p 3",
        "a viewer waits for 720p 4 at 0:04",
        "opening work for 720p 360p audio 1-4 (0:00 to 0:08), attempt 2",
        "planned: 18 segments, 0:14 long",
    ]


def test_repeated_demand_is_one_news() -> None:
    known = hear(*((demand("video/720p/4.m4s"), at) for at in (1.0, 1.5, 2.0)))
    assert [(news.at, news.text) for news in known.news] == [
        (2.0, "a viewer waits for 720p 4 at 0:04")
    ]
