"""Fair queueing, played out."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.fairness import Contender, TurnQueue, joining_time

TIMES = st.sampled_from([0.0, 1.0, 2.0, 3.5])
FILMS = st.lists(st.tuples(st.sampled_from("abc"), TIMES, TIMES), max_size=12)
"""Owner, virtual time and time of creation of each."""


def serve(films: dict[str, int], chunks: int, cost: float = 1.0) -> Counter[str]:
    """Serve chunks of endless films; return how many each owner got."""
    turns = TurnQueue(
        Contender(f"{owner}{i}", owner, 0.0, 0.0, 0.0)
        for owner, count in films.items()
        for i in range(count)
    )
    return Counter(turns.serve(cost).owner_id for _ in range(chunks))


def test_owner_with_one_film_gets_as_much_as_one_with_a_hundred() -> None:
    assert serve({"a": 100, "b": 1}, 50) == {"a": 25, "b": 25}


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 100))
def test_no_owner_is_ahead_by_more_than_one_chunk(a: int, b: int, chunks: int) -> None:
    got = serve({"a": a, "b": b}, chunks)
    assert abs(got["a"] - got["b"]) <= 1


def test_older_package_goes_first_among_equals() -> None:
    young = Contender("young", "o", 2.0, 0.0, 0.0)
    old = Contender("old", "o", 1.0, 0.0, 0.0)
    assert TurnQueue([young, old]).next == old


@given(FILMS, st.dictionaries(st.sampled_from("abc"), TIMES), st.lists(st.sampled_from("sl")))
def test_next_is_whose_owner_and_then_package_had_least(
    films: list[tuple[str, float, float]], owners: dict[str, float], moves: list[str]
) -> None:
    left = {
        f"{number:02}": Contender(f"{number:02}", owner, created_s, time, owners.get(owner, 0.0))
        for number, (owner, time, created_s) in enumerate(films)
    }
    turns = TurnQueue(left.values())
    for move in moves:
        assert bool(turns) == bool(left)
        if not left:
            return
        least = min(
            left.values(),
            key=lambda c: (c.owner_time, c.package_time, c.created_at_s, c.package_id),
        )
        # Of owners who are alike in all of that, either may be next.
        assert (turns.next.owner_time, turns.next.package_time, turns.next.created_at_s) == (
            least.owner_time, least.package_time, least.created_at_s,
        )  # fmt: skip
        chosen = turns.next
        if move == "l":
            turns.leave()
            del left[chosen.package_id]
            continue
        paid = turns.serve(1.5)
        left[chosen.package_id] = paid
        for name, other in left.items():
            if other.owner_id == paid.owner_id:
                left[name] = replace(other, owner_time=paid.owner_time)


def test_nobody_saves_up_turns_while_away() -> None:
    assert joining_time(own=1.0, present_round=50.0) == 50.0


def test_nobody_returns_to_wipe_out_what_they_got() -> None:
    assert joining_time(own=70.0, present_round=50.0) == 70.0


def test_who_comes_new_starts_where_the_others_are() -> None:
    assert joining_time(None, 50.0) == 50.0
