"""Changes of a map, as JSON objects."""

from reelay.cli.watch_lines import changes
from reelay.cli.watch_state import WatchState
from reelay.common.commands import EncoderAlive, Lane, SegmentDemanded
from reelay.common.events import SegmentFailed, TranscodeCompleted, TranscodeFailed
from reelay.common.message import Message

from ..watch_samples import ID, PACKAGE, chunk, planned, seen, stored


def told(before: list[Message], after: list[Message], *, later_s: float = 0.0) -> list[dict]:
    state = WatchState(PACKAGE, "Film")
    for message in before:
        state.hear(message, 1.0)
    old = state.map(1.0)
    for message in after:
        state.hear(message, 1.0 + later_s)
    state.see_work((), 1.0 + later_s)
    return list(changes(old, state.map(1.0 + later_s)))


def test_first_line_holds_the_whole_map() -> None:
    state = WatchState(PACKAGE, "Film")
    for message in (planned(), stored(("360p", 1, 2)), chunk("720p", 3, 4, Lane.ONDEMAND)):
        state.hear(message, 5.0)
    (line,) = changes(None, state.map(7.5))
    assert line["renditions"]["360p"] == {"total": 6, "stored": [(1, 2)], "encoding": {}}
    assert line["renditions"]["720p"]["encoding"] == {"ondemand": [(3, 4)]}
    assert line | {"renditions": None} == {
        "event": "package", "package_id": ID, "title": "Film", "state": "planned",
        "segments_stored": 2, "segments_total": 18, "progress": 0.1111, "elapsed_s": 2.5,
        "duration_s": 14.016, "encoders": 0, "renditions": None, "viewers": [],
    }  # fmt: skip


def test_what_is_told_already_is_not_told_again() -> None:
    everything: list[Message] = [stored(("360p", 1, 2)), chunk("720p", 3, 4), planned()]
    assert told(everything, everything) == []


def test_new_segments_are_told_as_runs() -> None:
    lines = told([stored(("360p", 1, 2))], [stored(("360p", 2, 4), ("720p", 1, 1), ("720p", 3, 3))])
    assert [(one["event"], one["rendition"], one["first"], one["last"]) for one in lines] == [
        ("stored", "720p", 1, 1), ("stored", "720p", 3, 3), ("stored", "360p", 3, 4)
    ]  # fmt: skip
    assert {one["segments_stored"] for one in lines} == {6}


def test_work_is_told_when_it_is_asked_for_and_when_it_is_given_up() -> None:
    work = chunk("720p", 3, 4)
    run = {"rendition": "720p", "first": 3, "last": 4, "lane": "ladder"}
    assert told([], [work]) == [{"event": "encoding", **run}]
    assert [one["event"] for one in told([work], [stored(("720p", 3, 4))])] == ["stored"]
    failed = SegmentFailed(task_id=work.task_id, package_id=ID, attempt=1, reason="", log_tail="")
    assert told([work], [failed]) == [{"event": "given-up", **run}]
    assert told([work], [], later_s=120) == [{"event": "given-up", **run}]


def test_viewers_and_encoders_come_and_go() -> None:
    demand = SegmentDemanded(package_id=ID, path="video/720p/4.m4s")
    alive = EncoderAlive(encoder_id="one", providers=[], encoder_version="9")
    where = {"rendition": "720p", "number": 4, "position_s": 4.0}
    assert told([], [demand, alive]) == [
        {"event": "demanded", **where}, {"event": "encoders", "alive": 1}
    ]  # fmt: skip
    assert told([demand, alive], [], later_s=9) == [
        {"event": "demand-over", **where}, {"event": "encoders", "alive": 0}
    ]  # fmt: skip


def test_who_watches_is_told_as_often_as_that_changes() -> None:
    first, next_one = seen(("one", "video/720p/4.m4s", 0.0)), seen(("one", "video/720p/5.m4s", 0.0))
    here = {"rendition": "720p", "number": 4, "position_s": 4.0}
    assert told([], [first]) == [{"event": "watching", **here}]
    assert told([first], [first], later_s=1) == []
    assert told([first], [next_one], later_s=4) == [
        {"event": "watching", "rendition": "720p", "number": 5, "position_s": 8.0},
        {"event": "watching-over", **here},
    ]
    assert told([first], [], later_s=11) == [{"event": "watching-over", **here}]


def test_first_line_tells_waiting_and_watching_viewers_apart() -> None:
    state = WatchState(PACKAGE, "Film")
    state.hear(SegmentDemanded(package_id=ID, path="video/720p/4.m4s", viewer="one"), 1.0)
    state.hear(seen(("two", "video/360p/1.m4s", 0.0), ("six", "video/360p/1.m4s", 0.0)), 1.0)
    (line,) = changes(None, state.map(1.0))
    assert line["viewers"] == [
        {"rendition": "360p", "number": 1, "position_s": 0.0, "count": 2, "waits": False},
        {"rendition": "720p", "number": 4, "position_s": 4.0, "count": 1, "waits": True},
    ]


def test_state_is_told_with_the_reason_of_a_failure() -> None:
    failed = TranscodeFailed(package_id=ID, asset_id="a", reason="The disk is full.")
    (line,) = told([planned()], [failed])
    assert (line["event"], line["state"], line["reason"]) == (
        "state", "failed", "The disk is full."
    )  # fmt: skip
    *_, line = told([], [TranscodeCompleted(package_id=ID, root_digest="d", size_bytes=1)])
    assert (line["state"], line["progress"]) == ("ready", 1.0)
