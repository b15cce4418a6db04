"""Fair queueing, played out."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.fairness import Contender, joining_time, next_in_turn


def serve(films: dict[str, int], chunks: int, cost: float = 1.0) -> Counter[str]:
    """Serve chunks of endless films; return how many each owner got."""
    owners = dict.fromkeys(films, 0.0)
    packages = {f"{owner}{i}": 0.0 for owner, count in films.items() for i in range(count)}
    got: Counter[str] = Counter()
    for _ in range(chunks):
        contenders = [Contender(p, p[0], 0.0, packages[p], owners[p[0]]) for p in packages]
        chosen = next_in_turn(contenders)
        owners[chosen.owner_id] += cost
        packages[chosen.package_id] += cost
        got[chosen.owner_id] += 1
    return got


def test_owner_with_one_film_gets_as_much_as_one_with_a_hundred() -> None:
    assert serve({"a": 100, "b": 1}, 50) == {"a": 25, "b": 25}


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 100))
def test_no_owner_is_ahead_by_more_than_one_chunk(a: int, b: int, chunks: int) -> None:
    got = serve({"a": a, "b": b}, chunks)
    assert abs(got["a"] - got["b"]) <= 1


def test_older_package_goes_first_among_equals() -> None:
    young = Contender("young", "o", 2.0, 0.0, 0.0)
    old = Contender("old", "o", 1.0, 0.0, 0.0)
    assert next_in_turn([young, old]) == old


def test_nobody_saves_up_turns_while_away() -> None:
    assert joining_time(own=1.0, present_round=50.0) == 50.0


def test_nobody_returns_to_wipe_out_what_they_got() -> None:
    assert joining_time(own=70.0, present_round=50.0) == 70.0


def test_who_comes_new_starts_where_the_others_are() -> None:
    assert joining_time(None, 50.0) == 50.0
