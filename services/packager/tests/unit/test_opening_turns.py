"""Whose film is opened next."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.opening_turns import OpeningQueue, Unopened

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FILMS = st.lists(st.sampled_from("abcd"), max_size=12)
OPENED = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 9).map(float))


def films(owners: list[str]) -> list[Unopened]:
    """Return films of owners, in the order of their age."""
    return [
        Unopened(f"{owner}{age}", owner, BEGIN + timedelta(seconds=age))
        for age, owner in enumerate(owners)
    ]


def in_order(queue: OpeningQueue) -> list[str]:
    """Open all films; return their names."""
    names = []
    while queue:
        names.append(queue.next.package_id)
        queue.opened(100.0 + len(names))
    return names


def test_owners_take_turns_and_each_one_s_oldest_goes_first() -> None:
    queue = OpeningQueue(films(["a", "a", "b", "a", "c"]), {"a": 5.0})
    assert in_order(queue) == ["b2", "c4", "a0", "a1", "a3"]


def test_owner_of_a_film_that_needs_no_opening_keeps_the_turn() -> None:
    queue = OpeningQueue(films(["a", "b", "a"]), {})
    assert queue.next.package_id == "a0"
    queue.skip()
    queue.opened(1.0)
    assert queue.next.package_id == "a2"


@given(FILMS, OPENED, st.integers(0, 12))
def test_first_ones_are_told_before_they_are_opened(
    owners: list[str], opened_s: dict[str, float], count: int
) -> None:
    told = OpeningQueue(films(owners), opened_s).first(count)
    assert told == in_order(OpeningQueue(films(owners), opened_s))[:count]
