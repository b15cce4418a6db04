"""What failures, removals and repairs make of the map, and when a watch is over."""

from datetime import UTC, datetime
from uuid import UUID

from reelay.cli.watch_state import WatchState
from reelay.cli.watch_tasks import QUIET_S

from ..watch_samples import (
    COMPLETED,
    PACKAGE,
    REMOVED,
    chunk,
    encoding,
    everything,
    failed,
    hear,
    planned,
    stored,
    stored_runs,
)


def test_failure_has_its_reason_and_ends_the_clock() -> None:
    known = hear((planned(), 1), (chunk("720p", 1, 4), 2), (failed(), 9), now=50)
    assert (known.state, known.reason, known.elapsed_s) == ("failed", "The disk is full.", 8)
    assert encoding(known, "720p") == {}


def test_package_that_is_planned_again_after_a_failure_goes_on() -> None:
    known = hear((planned(), 1), (failed(), 9), (planned(), 20), now=25)
    assert (known.state, known.elapsed_s) == ("planned", 5)


def test_failure_ends_all_tasks_for_good() -> None:
    again = (planned(), 20.0)
    known = hear((chunk("720p", 1, 4), 8), (failed(), 9), again, now=25)
    assert encoding(known, "720p") == {}
    known = hear((failed(), 9), (chunk("720p", 1, 4, task=2), 19), again, now=25)
    assert encoding(known, "720p") == {"ladder": [(1, 4)]}


def test_removal_is_a_failure_until_the_package_is_planned_again() -> None:
    earlier = [(planned(), 1.0), (everything(), 2.0), (COMPLETED, 3.0), (REMOVED, 4.0)]
    known = hear(*earlier, now=50)
    assert (known.state, known.stored) == ("failed", 0)
    assert known.reason == "This package was removed: no video needs it any more."
    known = hear(*earlier, (planned(), 10), (stored(("720p", 2, 2)), 11), now=15)
    assert (known.state, known.stored, known.elapsed_s) == ("planned", 1, 5)


def test_what_was_told_before_a_removal_counts_no_more() -> None:
    state = WatchState(PACKAGE)
    before = [(chunk("720p", 5, 6), 2.0), (failed(), 3.0), (COMPLETED, 4.0), (everything(), 5.0)]
    since = [(chunk("720p", 3, 4, task=2), 6.0), (stored(("720p", 2, 2)), 7.0)]
    for message, at in [*before[:2], *since]:
        state.hear(message, at)
    state.forget_until(5)
    for message, at in before:
        state.hear(message, at)
    state.see_work({UUID(int=1), UUID(int=2)}, 8)
    known = state.map(8)
    assert (known.state, stored_runs(known)["720p"], known.stored) == ("planned", [(2, 2)], 1)
    assert encoding(known, "720p") == {"ladder": [(3, 4)]}


def test_package_that_is_repaired_lacks_only_what_is_asked_for() -> None:
    state = WatchState(PACKAGE)
    past = [(planned(), 1.0), (everything(), 2.0), (COMPLETED, 3.0)]
    for message, at in past:
        state.hear(message, at)
    state.reopen(8)
    state.see_work((), 9)
    assert (state.map(9).state, state.map(9).progress) == ("playable", 1.0)
    for message, at in [(chunk("720p", 1, 4), 10.0), (stored(("720p", 2, 2)), 11.0), *past]:
        state.hear(message, at)
    known = state.map(12)
    assert (known.state, stored_runs(known)["720p"]) == ("playable", [(2, 2), (5, 6)])
    assert encoding(known, "720p") == {"ladder": [(1, 1), (3, 4)]}
    state.hear(COMPLETED, 13)
    assert (state.map(14).state, state.map(14).stored) == ("ready", 18)


def test_repair_is_given_up_when_nobody_works_at_it() -> None:
    state = WatchState(PACKAGE)
    for message, at in [(planned(), 1.0), (everything(), 2.0), (COMPLETED, 3.0)]:
        state.hear(message, at)
    assert not state.is_given_up(1000), "it is complete"
    state.reopen(10)
    assert not state.is_given_up(10 + QUIET_S)
    assert state.is_given_up(11 + QUIET_S)
    state.hear(chunk("720p", 1, 4), 100)
    assert not state.is_given_up(1000), "the queue was not looked at since"
    state.see_work((), 101 + QUIET_S)
    assert state.is_given_up(101 + QUIET_S)
    state.mark_complete(102 + QUIET_S)
    assert not state.is_given_up(1000)


def test_facts_that_were_decided_before_the_plan_end_nothing_though_told_later() -> None:
    def decided(at_s: float) -> dict[str, datetime]:
        return {"decided_at": datetime.fromtimestamp(at_s, UTC)}

    plan = planned().model_copy(update=decided(5))
    known = hear(
        (everything(), 1),
        (plan, 6),
        (stored(("720p", 2, 2)), 7),
        (REMOVED.model_copy(update=decided(4)), 10),
        (failed().model_copy(update=decided(3)), 11),
        now=12,
    )
    assert (known.state, known.stored, known.elapsed_s) == ("planned", 1, 6)
    known = hear((plan, 6), (REMOVED.model_copy(update=decided(5.5)), 10), now=12)
    assert known.state == "failed"


def test_watch_that_is_over_stays_so() -> None:
    state = WatchState(PACKAGE)
    for message, at in [(planned(), 1.0), (COMPLETED, 5.0)]:
        state.hear(message, at)
    state.end("This video was removed.", 7)
    state.end("Later.", 8)
    state.hear(planned(), 9)
    known = state.map(20)
    assert (known.state, known.reason) == ("failed", "This video was removed.")
    assert (known.stored, known.elapsed_s) == (18, 4)


def test_second_video_with_the_package_does_not_restart_the_clock() -> None:
    assert hear((planned(), 1), (planned(), 20), now=25).elapsed_s == 24
