"""What is told from measurements, and when they are refused."""

import json
from pathlib import Path

import pytest

from benchmarks.quiet import BUSY_CORES, BusyMachineError, Sample, refuse_if_busy
from benchmarks.simulation.decisions import line
from benchmarks.simulation.service_times import as_document, load, source_times
from tests.simulation.days import TIMES


def sample(foreign_cores: float) -> Sample:
    return Sample("a chunk", 10.0, 15.0, foreign_cores, ())


def test_most_samples_disturbed_are_refused_with_their_number() -> None:
    with pytest.raises(BusyMachineError, match="2 of 3 measurements"):
        refuse_if_busy([sample(0.0), sample(BUSY_CORES + 0.1), sample(1.0)])


def test_some_samples_disturbed_are_accepted() -> None:
    refuse_if_busy([])
    refuse_if_busy([sample(0.0), sample(1.0)])
    refuse_if_busy([sample(BUSY_CORES)] * 3)


def test_demanded_segment_tells_what_a_chunk_costs_before_its_first_frame() -> None:
    times = source_times(
        first_segment_s=1.0, opening_s=4.5, ondemand_s=3.0, ladder_s=17.0, ladder_of=8,
        decode_rate=0.2,
    )  # fmt: skip
    assert times.lowest_rate == 0.5
    assert times.fixed_s == 1.0
    assert times.ladder_rate == 2.0
    assert times.ondemand_s == times.fixed_s + 4 * times.lowest_rate


def test_decisions_length_is_a_line_through_its_ends() -> None:
    assert line({100: 0.02, 1100: 0.12}) == pytest.approx((0.01, 0.0001))
    assert line({100: 0.02, 1100: 0.01}) == pytest.approx((0.02, 0.0))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    dispatch = {
        "base": TIMES.dispatch_base_s,
        "per_package": TIMES.dispatch_package_s,
        "measured": TIMES.dispatch_measured,
    }
    path.write_text(json.dumps({"dispatch_s": dispatch, "model": as_document(TIMES)}))
    assert load(path) == TIMES


def test_measured_file_is_what_the_simulation_reads() -> None:
    times = load()
    for source in times.sources.values():
        assert 0 < source.first_segment_s < source.opening_s
        assert source.lowest_rate < source.ladder_rate
