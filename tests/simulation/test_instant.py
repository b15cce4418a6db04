"""Whole simulated days: nothing is lost, no encoder idles, nobody waits for another's film."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks.simulation.fleet import LANES
from benchmarks.simulation.instant import Instant
from benchmarks.simulation.package import Package, shape
from benchmarks.simulation.service_times import OPENING_S
from benchmarks.simulation.workload import Video, Viewer, a_day
from reelay.common.commands import Lane
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.coming import RESTING_SOON_S
from reelay.packager.domain.window import ladder_window, opening_window
from reelay.packager.handlers.upkeep import TICK_S, TICKS_A_LOOK
from tests.simulation.days import CALL_S, LADDER_CHUNK_S, SOURCE, TIMES, day, package_of, video

UPKEEP_S = TICK_S * TICKS_A_LOOK


def test_first_frame_of_an_idle_system_takes_plan_opening_and_packaging() -> None:
    waits = day([video(0)]).run()
    packaging_s = TIMES.packaging_s(2) + TIMES.hops_s
    assert waits.first_frame[0] == pytest.approx(
        TIMES.plan_s + SOURCE.first_segment_s + packaging_s, abs=1e-3
    )


def test_busy_encoders_do_not_delay_the_first_frame() -> None:
    alone = day([video(0)]).run().first_frame[0]
    films = [video(n, owner=n, segments=2000) for n in range(5)]
    waits = day([*films, video(9, owner=9, at=500.0)]).run()
    assert waits.first_frame[-1] == pytest.approx(alone, abs=CALL_S)


@pytest.mark.parametrize("encoders", [3, 10])
def test_more_short_videos_at_once_than_openings_fit_in_the_window(encoders: int) -> None:
    """The ladder makes the beginning of those that wait: nothing is left to open them with."""
    simulated = day([video(n, owner=n, segments=5) for n in range(2 * encoders)], encoders)
    waits = simulated.run()
    assert len(waits.first_frame) == len(waits.ready) == 2 * encoders


def test_ladder_waits_for_the_first_stored_segment_or_the_upkeep() -> None:
    simulated = day([video(0)], 2)
    waits = simulated.run()
    until_stored_s = waits.first_frame[0] - TIMES.plan_s
    assert until_stored_s <= waits.first_work[0] <= until_stored_s + 0.1

    slow = replace(SOURCE, first_segment_s=60.0, opening_s=80.0)
    times = replace(TIMES, sources=dict.fromkeys(TIMES.sources, slow))
    waits = Instant(times, 2, [video(0)], 7, mean_between_failures_s=None).run()
    assert 0.0 < waits.first_work[0] <= UPKEEP_S + 0.1


def test_package_that_is_not_opened_at_once_lets_the_ladder_begin() -> None:
    def under_way(videos: int) -> int:
        simulated = day([video(n, owner=n) for n in range(videos)], 2)
        simulated.env.process(simulated._uploads())
        simulated.env.run(until=TIMES.plan_s + 0.1)
        return simulated.outstanding

    assert under_way(opening_window(2)) == 0
    assert under_way(opening_window(2) + 1) == ladder_window(2)


def test_only_package_in_work_is_cut_into_shorter_chunks() -> None:
    def chunks(videos: Sequence[Video]) -> int:
        return len(day(videos, 8).run().queue)

    film, other = video(0, owner=0, segments=40), video(1, owner=1, segments=40)
    assert chunks([film]) * 2 > chunks([film, other])
    alone = Package(film, shape(1080, 40), 0.0).next_ladder_chunk(0.0, 100, alone=True)
    beside = Package(film, shape(1080, 40), 0.0).next_ladder_chunk(0.0, 100)
    assert alone is not None
    assert beside is not None
    assert alone.last < beside.last


def test_every_promised_segment_is_stored_although_encoders_die() -> None:
    videos = [video(n, owner=n % 3, at=30.0 * n, segments=3 + 7 * n) for n in range(20)]
    simulated = day(videos, 4, mean_between_failures_s=120.0)
    waits = simulated.run()
    assert waits.killed > 50
    assert len(waits.first_frame) == len(waits.ready) == 20
    assert all(package.stored == package.shape.whole for package in simulated.packages)
    assert simulated.outstanding == 0


def test_encoders_do_all_the_work_and_nothing_else() -> None:
    videos = [video(n, owner=n, segments=3 + 4 * 10) for n in range(6)]
    simulated = day(videos, 1)
    simulated.run()
    rate = (SOURCE.opening_s - SOURCE.first_segment_s) / (OPENING_S - 1)
    opening_s = SOURCE.first_segment_s + 3 * rate
    # The ramp (4 s), with whose upper rungs the lowest is made once more, and 40 steady segments:
    # two chunks of the longest, and the rest.
    ladder_s = 3 * SOURCE.fixed_s + (4 + 4 * 40) * SOURCE.ladder_rate
    assert simulated.fleet.busy_s == pytest.approx(6 * (opening_s + ladder_s))


def test_no_encoder_idles_while_there_is_work() -> None:
    videos = [video(n, owner=n, segments=203) for n in range(4)]
    simulated = day(videos, 3)
    least_s = simulated_work_s(videos) / 3
    simulated.run()
    assert max(package.ready_s or 0.0 for package in simulated.packages) <= least_s + 60


def simulated_work_s(videos: Sequence[Video]) -> float:
    """Return the encoder seconds of a day without failures."""
    simulated = day(videos, 100)
    simulated.run()
    return simulated.fleet.busy_s


def test_queue_never_holds_work_that_a_free_encoder_could_do() -> None:
    simulated = day([video(n, owner=n, at=7.0 * n) for n in range(20)], 3,
                    mean_between_failures_s=300.0)  # fmt: skip
    simulated.env.process(simulated._uploads())
    while simulated.env.peek() < 3000:
        simulated.env.step()
        assert not any(simulated.fleet.is_starved(lane) for lane in range(len(LANES)))


def test_clip_beside_a_hundred_films_waits_for_about_one_chunk() -> None:
    films = [video(n, owner=1, segments=1500) for n in range(100)]
    clip = video(100, owner=2, at=600.0, segments=9)
    simulated = day([*films, clip])
    waits = simulated.run()
    # One chunk runs and one waits in the window: the clip's comes behind them.
    assert waits.first_work[-1] <= 2 * LADDER_CHUNK_S + CALL_S
    ready_s = package_of(simulated, 100).ready_s
    assert ready_s is not None
    assert ready_s - clip.arrival_s < 8 * LADDER_CHUNK_S


def test_owner_with_one_film_gets_as_much_as_an_owner_with_a_hundred() -> None:
    films = [video(n, owner=1, segments=1000) for n in range(100)]
    other = video(100, owner=2, segments=1000)
    simulated = day([*films, other], 4)
    waits = simulated.run()
    assert waits.fairness[0] > 0.99


def test_owner_who_returns_waits_no_longer_than_a_new_one() -> None:
    earlier = video(0, owner=1, segments=1000)
    later = [video(n, owner=2, at=20_000.0, segments=1000) for n in (1, 2)]
    again = video(3, owner=1, at=20_100.0, segments=20)
    simulated = day([earlier, *later, again])
    waits = simulated.run()
    assert waits.first_work[-1] <= 3 * LADDER_CHUNK_S


def test_seek_to_where_nothing_is_takes_one_segment() -> None:
    film = video(0, segments=2000, viewers=[Viewer(60.0, 0.9, 8)])
    waits = day([film]).run()
    assert len(waits.seek) == 1
    assert SOURCE.ondemand_s < waits.seek[0] < SOURCE.ondemand_s + 2 * CALL_S + TIMES.hops_s
    assert waits.stalls == 0


def test_equal_seeds_give_equal_days_and_others_do_not() -> None:
    times = TIMES

    def simulate(seed: int) -> list[float]:
        return list(Instant(times, 3, a_day(times, 3, 0.5, seed), seed).run().ready)

    assert simulate(1) == simulate(1)
    assert simulate(1) != simulate(2)


def test_shapes_follow_the_packagers_timeline() -> None:
    short, long = shape(480, 3), shape(2160, 100)
    assert [r.name for r in short.plan.renditions] == ["360p", "480p", "audio"]
    assert len(long.plan.renditions[0].spans) == 100
    assert long.edges_s[-1] == 4 * 98


def test_segment_ahead_of_a_viewer_is_coming_while_those_before_it_are_stored() -> None:
    package = Package(video(0), shape(1080, 60), 0.0)
    ahead = Chunk(Lane.OPENING, "software", (package.shape.lowest, "audio"), 21, 24)
    package.urgent[ahead] = 0.0
    assert package.is_coming(21, RESTING_SOON_S - 1)
    assert not package.is_coming(21, RESTING_SOON_S + 1)
    package.store(replace(ahead, last=21))
    package.note_progress(ahead, RESTING_SOON_S, ends=False)
    assert package.is_coming(22, RESTING_SOON_S + 1)
    package.note_progress(ahead, RESTING_SOON_S, ends=True)
    assert not package.is_coming(22, RESTING_SOON_S + 1)
