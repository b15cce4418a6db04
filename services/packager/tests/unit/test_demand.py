"""Demand: merged, in turns, and gone when nobody repeats it."""

import pytest

from reelay.packager.domain.demand import (
    ANSWERED_S,
    LAPSE_S,
    MISSED_S,
    DemandBoard,
    Wanted,
    parse_path,
)

LOW = "video/360p"


def wanted(number: int, package: str = "p", path: str = LOW) -> Wanted:
    return Wanted(package, path, number)


@pytest.mark.parametrize(
    ("path", "number"),
    [("video/360p/7.m4s", 7), ("video/360p/init.mp4", 0)],
)
def test_path_of_a_segment_is_understood(path: str, number: int) -> None:
    assert parse_path("p", path) == Wanted("p", "video/360p", number)


OTHER_PATHS = [
    "master.m3u8", "video/360p/index.m3u8", "video/360p/x.m4s", "video/360p/٣.m4s", "",
    "video/360p/007.m4s", "video/360p/0.m4s", f"video/360p/{'9' * 5000}.m4s",
]  # fmt: skip


@pytest.mark.parametrize("path", OTHER_PATHS, ids=range(len(OTHER_PATHS)))
def test_path_of_anything_else_is_no_demand(path: str) -> None:
    assert parse_path("p", path) is None


def test_many_demands_for_one_segment_are_one() -> None:
    board = DemandBoard()
    assert board.hear(wanted(3), "a", 0.0)
    assert not board.hear(wanted(3), "b", 0.1)
    assert board.waiting(0.2) == [wanted(3)]


def test_demand_that_nobody_repeats_lapses() -> None:
    board = DemandBoard()
    board.hear(wanted(3), "a", 0.0)
    board.hear(wanted(4), "a", 0.0)
    board.hear(wanted(4), "a", LAPSE_S)
    assert board.waiting(LAPSE_S + 0.1) == [wanted(4)]


def test_demand_after_a_lapse_is_new() -> None:
    board = DemandBoard()
    board.hear(wanted(3), "a", 0.0)
    assert board.hear(wanted(3), "a", LAPSE_S + 1)


def test_met_demand_waits_no_more() -> None:
    board = DemandBoard()
    board.hear(wanted(3), "a", 0.0)
    board.forget(wanted(3))
    assert board.waiting(0.1) == []


def test_who_goes_on_asking_for_what_is_answered_is_heard_rarely() -> None:
    board = DemandBoard()
    heard = 0
    for half_seconds in range(20):
        now_s = half_seconds / 2
        heard += board.hear(wanted(9999), "a", now_s)
        for segment in board.waiting(now_s):
            board.forget(segment)
    assert heard == 10 / ANSWERED_S
    assert board.hear(wanted(9998), "a", 10.0)
    assert board.hear(wanted(9999), "a", 9.5 + ANSWERED_S)


def test_viewer_who_asks_for_everything_delays_another_by_one_turn() -> None:
    board = DemandBoard()
    for number in range(1, 101):
        board.hear(wanted(number), "greedy", number / 1000)
    board.hear(wanted(500), "modest", 0.5)
    assert board.waiting(0.6)[:3] == [wanted(1), wanted(500), wanted(2)]


@pytest.mark.parametrize(
    ("greedy", "modest"),
    [("home-tv", "m{}-1"), ("home-tv", "home-{}"), ("home-{}", "m{}-1")],
    ids=["addresses", "players", "many names"],
)
def test_who_was_served_goes_behind_those_who_came_meanwhile(greedy: str, modest: str) -> None:
    board = DemandBoard()
    for number in range(1, 101):
        board.hear(wanted(number), greedy.format(number), 0.0)
    under_way = board.waiting(0.0)[:2]
    for segment in under_way:
        board.serve(segment, 0.01)
    for number in range(500, 509):
        board.hear(wanted(number), modest.format(number), 0.1)
    made = []
    for step in range(12):
        made.append(under_way.pop(0).number)
        board.forget(wanted(made[-1]))
        now_s = 0.2 + step / 100
        for segment in under_way:
            board.serve(segment, now_s)
        under_way.append(next(w for w in board.waiting(now_s) if w not in under_way))
        board.serve(under_way[-1], now_s)
    assert set(made[3:11]) <= set(range(500, 509)), made


def test_player_of_many_names_gets_no_more_than_its_address() -> None:
    board = DemandBoard()
    for number in range(1, 101):
        board.hear(wanted(number), f"greedy-{number}", number / 1000)
    board.hear(wanted(500), "modest-1", 0.5)
    assert board.waiting(0.6)[:3] == [wanted(1), wanted(500), wanted(2)]


def test_players_at_one_address_take_turns() -> None:
    board = DemandBoard()
    for number in range(1, 101):
        board.hear(wanted(number), "home-tv", number / 1000)
    board.hear(wanted(500), "home-phone", 0.5)
    assert board.waiting(0.6)[:3] == [wanted(1), wanted(500), wanted(2)]


def test_ten_viewers_at_ten_positions_take_turns() -> None:
    board = DemandBoard()
    for viewer in range(10):
        for step in range(3):
            board.hear(wanted(100 * viewer + step + 1), f"v{viewer}", viewer / 100 + step / 1000)
    first_ten = [w.number // 100 for w in board.waiting(0.5)[:10]]
    assert len(set(first_ten)) == len(first_ten)


def test_who_waits_for_what_a_greedy_one_asked_for_before_keeps_a_turn_of_their_own() -> None:
    board = DemandBoard()
    for number in range(1, 101):
        board.hear(wanted(number), "greedy-1", number / 1000)
    assert not board.hear(wanted(90), "modest-1", 0.5)
    assert board.waiting(0.6)[:3] == [wanted(1), wanted(90), wanted(2)]
    assert len(board.waiting(0.6)) == 100


def test_demand_of_one_viewer_lapses_while_that_of_another_lasts() -> None:
    board = DemandBoard()
    for number in (1, 2, 3):
        board.hear(wanted(number), "greedy-1", 0.0)
    board.hear(wanted(3), "modest-1", 0.1)
    for number in (1, 2, 3):
        board.hear(wanted(number), "greedy-1", LAPSE_S)
    assert board.waiting(LAPSE_S + 0.2) == [wanted(1), wanted(2), wanted(3)]


def test_who_left_waits_no_more() -> None:
    board = DemandBoard()
    for number in range(1, 11):
        board.hear(wanted(number * 10), "a", number / 5, "here")
        board.withdraw(wanted(number * 10 - 10), "a", "here")
    assert board.waiting(2.0) == [wanted(100)]


def test_who_left_keeps_nobody_else_from_waiting() -> None:
    board = DemandBoard()
    board.hear(wanted(3), "a", 0.0, "here")
    board.hear(wanted(3), "b", 0.1, "here")
    board.withdraw(wanted(3), "a", "here")
    assert board.waiting(0.2) == [wanted(3)]
    assert not board.hear(wanted(3), "c", 0.3, "here")
    board.withdraw(wanted(3), "b", "here")
    board.withdraw(wanted(3), "c", "here")
    assert board.waiting(0.4) == []
    assert board.hear(wanted(3), "a", 0.5, "here")


def test_who_left_one_teller_waits_on_at_another() -> None:
    board = DemandBoard()
    board.hear(wanted(3), "a", 0.0, "here")
    board.hear(wanted(3), "a", 0.0, "there")
    board.withdraw(wanted(3), "a", "here")
    board.withdraw(wanted(3), "a", "here")
    assert board.waiting(0.1) == [wanted(3)]
    assert board.waiting(LAPSE_S + 0.1) == []


def test_withdrawal_of_what_nobody_waits_for_is_nothing() -> None:
    board = DemandBoard()
    board.hear(wanted(3), "a", 0.0, "here")
    board.withdraw(wanted(4), "a", "here")
    board.withdraw(wanted(3), "b", "here")
    board.withdraw(wanted(3), "a", "there")
    assert board.waiting(0.1) == [wanted(3)]


def test_late_withdrawal_is_made_good_by_the_next_repetition() -> None:
    board = DemandBoard()
    board.hear(wanted(3), "a", 0.0, "here")
    board.withdraw(wanted(3), "a", "here")
    assert board.hear(wanted(3), "a", 0.5, "here")
    assert board.waiting(0.6) == [wanted(3)]


def test_position_that_a_viewer_came_to_last_goes_before_those_they_left() -> None:
    board = DemandBoard()
    sound = wanted(50, path="audio/main")
    for moment, segments in enumerate([[10, 11], [90], [50, 51]]):
        for number in segments:
            board.hear(wanted(number), "a", moment / 10)
    board.hear(sound, "a", 0.21)
    board.hear(wanted(91), "a", 0.15)
    newest = [wanted(50), wanted(51), sound]
    assert board.waiting(0.3) == [*newest, wanted(90), wanted(91), wanted(10), wanted(11)]


def test_viewer_who_seeks_gets_no_turns_of_others() -> None:
    board = DemandBoard()
    for number in range(1, 11):
        board.hear(wanted(number * 10), "seeks", number / 100)
    board.hear(wanted(500), "stays", 0.05)
    board.hear(wanted(501), "stays", 0.05)
    first_four = [wanted(500), wanted(100), wanted(501), wanted(90)]
    assert board.waiting(0.2)[:4] == first_four


def test_demand_that_missed_a_repetition_goes_last() -> None:
    board = DemandBoard()
    board.hear(wanted(90), "a", 0.1)
    board.hear(wanted(10), "a", 0.0)
    board.hear(wanted(10), "a", 0.5)
    assert board.waiting(0.5) == [wanted(90), wanted(10)]
    assert board.waiting(0.2 + MISSED_S) == [wanted(10), wanted(90)]


def test_who_waits_on_is_not_passed_over_for_ever() -> None:
    board = DemandBoard()
    for moment in range(10):
        board.hear(wanted(10), "a", moment / 2)
        board.hear(wanted(100 * moment + 200), "a", moment / 2)
    assert board.waiting(4.6)[0] == wanted(10)


def test_repeated_demand_is_no_seek() -> None:
    board = DemandBoard()
    board.hear(wanted(50), "a", 0.0)
    board.hear(wanted(9), "b", 1.0)
    board.hear(wanted(50), "a", 1.5)
    assert board.focus("p", 2.0) == 9


def test_focus_lasts_while_its_demand_is_repeated() -> None:
    board = DemandBoard()
    for moment in range(100):
        board.hear(wanted(9), "a", float(moment))
    assert board.focus("p", 100.0) == 9


def test_focus_follows_the_last_seek_and_is_forgotten() -> None:
    board = DemandBoard()
    board.hear(wanted(50), "a", 0.0)
    board.hear(wanted(9), "a", 1.0)
    assert board.focus("p", 2.0) == 9
    assert board.focus("p", 100.0) is None
    assert board.focus("other", 2.0) is None
