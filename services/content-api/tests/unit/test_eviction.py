"""What is asked for again stays; what is asked for once passes through."""

from hypothesis import given
from hypothesis import strategies as st

from reelay.content_api.domain.eviction import Eviction


def nothing_kept(_: str) -> bool:
    return False


def ask(eviction: Eviction, here: set[str], name: str, size: int = 1) -> None:
    """Ask for an object as a cache does: a hit is a use, a miss brings it in."""
    if name in here:
        eviction.use(name)
        return
    eviction.add(name, size)
    here.add(name)
    here.difference_update(eviction.shrink(nothing_kept))


def test_scan_of_everything_leaves_what_is_asked_for_again() -> None:
    eviction, here = Eviction(100), set[str]()
    hot = [f"hot{n}" for n in range(50)]
    for _ in range(3):
        for name in hot:
            ask(eviction, here, name)
    for number in range(10_000):
        ask(eviction, here, f"scanned{number}")
    assert here.issuperset(hot)


def test_object_given_up_a_moment_ago_is_wanted_more_than_new_ones() -> None:
    eviction, here = Eviction(20), set[str]()
    for number in range(25):
        ask(eviction, here, str(number))
    assert "0" not in here
    ask(eviction, here, "0")
    for number in range(100, 130):
        ask(eviction, here, str(number))
    assert "0" in here


def test_kept_objects_are_passed_over_even_above_the_limit() -> None:
    eviction = Eviction(10)
    for name in "abc":
        eviction.add(name, 10)
    assert eviction.shrink(lambda _: True) == []
    assert eviction.size_bytes == 30
    assert eviction.shrink(lambda name: name == "b") == ["a", "c"]


def test_object_larger_than_the_limit_is_given_up_at_once() -> None:
    eviction = Eviction(10)
    eviction.add("a", 11)
    assert eviction.shrink(nothing_kept) == ["a"]
    assert eviction.size_bytes == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["ask", "remove"]), st.integers(0, 30), st.integers(0, 40)),
        max_size=300,
    )
)
def test_size_is_the_sum_of_what_is_there_and_never_above_the_limit(
    steps: list[tuple[str, int, int]],
) -> None:
    eviction, sizes = Eviction(100), dict[str, int]()
    for step, number, size in steps:
        name = str(number)
        if step == "remove":
            eviction.remove(name)
            sizes.pop(name, None)
        elif name in sizes:
            eviction.use(name)
        else:
            eviction.add(name, size)
            sizes[name] = size
            for dropped in eviction.shrink(nothing_kept):
                del sizes[dropped]
        assert eviction.size_bytes == sum(sizes.values()) <= 100
