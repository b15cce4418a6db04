"""The status of a video follows from the facts, not from their order or number."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from reelay.catalog.videos.status import Extent, Package, Plan, State, Status, Upload, derive

START = datetime(2026, 1, 1, tzinfo=UTC)
A, B = "a" * 64, "b" * 64
P, Q = "p" * 64, "q" * 64


@dataclass
class Known:
    """What the tables of one video hold."""

    uploads: dict[int, Upload] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    packages: dict[str, Package] = field(default_factory=dict)

    def upload(self, number: int) -> Upload:
        return self.uploads.get(number, Upload(UUID(int=number)))

    def plan(self, asset_id: str) -> Plan:
        return self.plans.get(asset_id, Plan(asset_id=asset_id))

    def package(self, package_id: str) -> Package:
        return self.packages.get(package_id, Package(package_id=package_id))

    @property
    def status(self) -> Status:
        return derive(self.uploads.values(), self.plans.values(), self.packages)


Fact = Callable[[Known], None]


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def started(second: float, number: int = 1) -> Fact:
    def tell(known: Known) -> None:
        known.uploads[number] = known.upload(number).on_started(at(second))

    return tell


def terminated(number: int = 1) -> Fact:
    def tell(known: Known) -> None:
        known.uploads[number] = known.upload(number).on_terminated(None, START)

    return tell


def refused(second: float, number: int = 1, reason: str = "This is a text file.") -> Fact:
    def tell(known: Known) -> None:
        known.uploads[number] = known.upload(number).on_terminated(reason, at(second))

    return tell


def uploaded(second: float, asset_id: str = A, number: int = 1) -> Fact:
    def tell(known: Known) -> None:
        known.uploads[number] = known.upload(number).on_uploaded(asset_id, "s", at(second))

    return tell


def planned(second: float, asset_id: str = A, package_id: str = P) -> Fact:
    def tell(known: Known) -> None:
        known.plans[asset_id] = known.plan(asset_id).on_planned(package_id, at(second))
        known.packages[package_id] = known.package(package_id).on_planned(10, at(second))

    return tell


def unplannable(
    second: float, asset_id: str = A, reason: str = "No video.", stored: float | None = None
) -> Fact:
    stored_at = at(second if stored is None else stored)

    def tell(known: Known) -> None:
        known.plans[asset_id] = known.plan(asset_id).on_failed(reason, at(second), stored_at)

    return tell


def stored(count: int, package_id: str = P) -> Fact:
    low, sound = min(count, 6), max(count - 6, 0)
    renditions = {"360p": Extent(stored=low, total=6), "audio": Extent(stored=sound, total=4)}

    def tell(known: Known) -> None:
        package = known.package(package_id)
        updated = package.on_updated(count, 10, renditions, playable=count > 1)
        known.packages[package_id] = updated

    return tell


def completed(package_id: str = P) -> Fact:
    def tell(known: Known) -> None:
        known.packages[package_id] = known.package(package_id).on_completed("d" * 64, ["short"])

    return tell


def failed(
    second: float, package_id: str = P, reason: str = "Broken.", stored: float | None = None
) -> Fact:
    stored_at = at(second if stored is None else stored)

    def tell(known: Known) -> None:
        package = known.package(package_id)
        known.packages[package_id] = package.on_failed(reason, at(second), stored_at)

    return tell


def told(*facts: Fact) -> Status:
    known = Known()
    for fact in facts:
        fact(known)
    return known.status


seconds = st.integers(0, 20)
packages = st.sampled_from([P, Q])
one_fact = st.one_of(
    st.builds(started, seconds, st.integers(1, 3)),
    st.builds(terminated, st.integers(1, 3)),
    st.builds(refused, seconds, st.integers(1, 3), st.sampled_from(["x", "y"])),
    # One upload yields one asset at one time.
    st.integers(1, 3).map(lambda n: uploaded(n * 5, A if n % 2 else B, n)),
    st.builds(planned, seconds, st.sampled_from([A, B]), packages),
    # Each is stored once, at whatever time.
    st.builds(
        lambda second, asset_id, reason: unplannable(second, asset_id, reason, second * 7 % 20),
        seconds,
        st.sampled_from([A, B]),
        st.sampled_from(["x", "y"]),
    ),
    st.builds(stored, st.integers(0, 10), packages),
    st.builds(completed, packages),
    st.builds(failed, seconds, packages, st.sampled_from(["x", "y"])),
)


@given(st.lists(one_fact, max_size=12), st.data())
def test_any_order_and_repetition_of_facts_gives_the_same_status(
    facts: list[Fact], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(facts), max_size=6)) if facts else []
    shuffled = data.draw(st.permutations(facts + again))
    assert told(*shuffled) == told(*facts)


@given(st.lists(one_fact, max_size=12))
def test_status_is_always_sensible(facts: list[Fact]) -> None:
    status = told(*facts)
    assert (status.reason is not None) == (status.state is State.FAILED)
    assert 0 <= status.segments_stored <= max(status.segments_total, status.segments_stored)
    if status.state in (State.PLANNED, State.PLAYABLE, State.READY):
        assert status.package_id is not None
    if status.state is State.READY:
        assert status.segments_stored == status.segments_total


def test_video_without_facts_is_a_draft() -> None:
    assert told() == Status()


def test_states_follow_the_way_of_a_video() -> None:
    way = [started(1), uploaded(2), planned(3), stored(1), stored(2), completed()]
    states = [told(*way[: length + 1]).state for length in range(len(way))]
    assert states == ["uploading", "uploading", "planned", "planned", "playable", "ready"]


def test_withdrawn_upload_leaves_a_draft_even_when_told_first() -> None:
    assert told(terminated(), started(1)).state is State.DRAFT


def test_completion_before_the_plan_makes_ready_at_once() -> None:
    assert told(completed(), uploaded(1), planned(2)).state is State.READY


def test_completed_package_never_fails() -> None:
    assert told(uploaded(1), planned(2), completed(), failed(9)).state is State.READY


def test_failure_is_over_when_a_newer_plan_exists() -> None:
    status = told(uploaded(1), planned(2), failed(3))
    assert (status.state, status.reason) == (State.FAILED, "Broken.")
    assert told(uploaded(1), planned(2), failed(3), planned(4)).state is State.PLANNED
    assert told(uploaded(1), unplannable(3), planned(4)).state is State.PLANNED


def test_new_package_replaces_the_failed_one() -> None:
    facts = [uploaded(1), planned(2), failed(3), planned(4, package_id=Q), stored(2, Q), failed(9)]
    status = told(*facts)
    assert (status.state, status.package_id) == (State.PLAYABLE, Q)


def test_second_upload_hides_a_failure_and_keeps_what_plays() -> None:
    assert told(uploaded(1), unplannable(2), started(3, number=2)).state is State.UPLOADING
    assert told(uploaded(1), planned(2), completed(), started(3, 2)).state is State.READY
    replaced = [uploaded(1), planned(2), completed(), uploaded(3, B, 2)]
    assert told(*replaced).package_id == P
    assert told(*replaced, planned(4, B, Q)).package_id == Q


def test_failure_answers_the_upload_however_far_apart_the_clocks_are() -> None:
    hour = 3600
    for packager in (-hour, 0, hour):
        status = told(uploaded(5), unplannable(6 + packager, stored=6))
        assert (status.state, status.reason) == (State.FAILED, "No video.")
        broken = [uploaded(5), planned(6 + packager), failed(7 + packager, stored=7)]
        assert told(*broken).state is State.FAILED
        again = told(*broken, started(8, number=2))
        assert again.state is State.UPLOADING, "whatever the packager's clock says"


def test_failure_is_no_older_than_the_file_even_if_the_broker_s_clock_was_set_back() -> None:
    assert told(uploaded(5), unplannable(6, stored=4)).state is State.FAILED
    assert told(uploaded(5), planned(6), failed(7, stored=4)).state is State.FAILED
    assert told(uploaded(5), unplannable(6, stored=4), uploaded(7, B, 2)).state is State.UPLOADING


def test_failure_of_before_is_ordered_by_the_time_in_it() -> None:
    known = Known()
    for fact in (uploaded(1), planned(2), failed(3)):
        fact(known)
    known.packages[P] = replace(known.packages[P], told_at=None)
    assert known.status.state is State.FAILED
    started(4, number=2)(known)
    assert known.status.state is State.UPLOADING


def test_refusal_that_is_told_again_hides_nothing_newer() -> None:
    facts = [started(1), refused(2), started(3, number=2)]
    assert told(*facts, refused(4)).state is State.UPLOADING
    assert told(started(1), refused(4), refused(2), started(3, number=2)).state is State.UPLOADING


def test_counts_never_go_back() -> None:
    status = told(uploaded(1), planned(2), stored(7), stored(3))
    assert (status.segments_stored, status.segments_total) == (7, 10)


def test_renditions_keep_what_most_is_stored_of() -> None:
    early, late = told(uploaded(1), planned(2), stored(8)), stored(3)
    assert early.renditions["360p"] == {"stored": 6, "total": 6}
    assert early.renditions["audio"] == {"stored": 2, "total": 4}
    assert told(uploaded(1), planned(2), stored(8), late) == early
    assert told(uploaded(1), planned(2), late, stored(8)) == early


def test_completion_says_that_all_of_every_rendition_is_stored() -> None:
    for way in ([stored(3), completed()], [completed(), stored(3)]):
        renditions = told(uploaded(1), planned(2), *way).renditions
        assert renditions == {
            "360p": {"stored": 6, "total": 6},
            "audio": {"stored": 4, "total": 4},
        }


def test_refused_file_fails_its_video_with_the_reason_even_when_told_first() -> None:
    for way in ([started(1), refused(2)], [refused(2), started(1)]):
        status = told(*way)
        assert (status.state, status.reason) == (State.FAILED, "This is a text file.")


def test_new_upload_leads_out_of_a_refusal() -> None:
    again = [started(1), refused(2), started(3, number=2)]
    assert told(*again) == Status(State.UPLOADING)
    assert told(*again, uploaded(4, number=2), planned(5)).state is State.PLANNED


def test_refusal_takes_nothing_away_that_plays_or_will() -> None:
    refusal = [started(6, number=2), refused(7, number=2)]
    assert told(uploaded(1), planned(2), stored(2), *refusal).state is State.PLAYABLE
    assert told(uploaded(1), *refusal).state is State.UPLOADING
    assert told(uploaded(1), unplannable(2), uploaded(3, B, 3), *refusal).state is State.UPLOADING


def test_of_two_failures_the_later_gives_the_reason() -> None:
    status = told(uploaded(1), unplannable(2), started(3, number=2), refused(4, number=2))
    assert (status.state, status.reason) == (State.FAILED, "This is a text file.")
