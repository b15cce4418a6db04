"""What is written about the figures follows from them."""

import copy
from typing import Any

from benchmarks.simulation import prose
from benchmarks.simulation.grid import FEW, SEEDS, seeds, simulate
from benchmarks.simulation.report import PAGE, filled, first_seed, seeds_table
from benchmarks.simulation.service_times import load
from tests.simulation.days import TIMES

CELL = simulate(TIMES, 1, 0.02, 1)


def changed(policy: str, name: str, **shares: float) -> dict[str, Any]:
    cell = copy.deepcopy(CELL)
    cell[policy][name] |= shares
    return cell


def test_ranges_name_their_ends_once() -> None:
    assert prose.span([1.04, None, 1.28]) == "1.0 s to 1.3 s"
    assert prose.span([1.31, 1.29]) == "1.3 s"
    assert prose.span([]) == "none"


def test_summary_names_the_medians_of_the_cells() -> None:
    cells = [(1, 0.5, changed("reelay", "first_frame", p50=1.5)),
             (100, 0.5, changed("reelay", "first_frame", p50=2.5, p99=7.0))]  # fmt: skip
    text = " ".join(prose.summary(cells))
    assert "play 1.5 s to 2.5 s after" in text
    assert "100 encoders or more 99 % do within 7.0 s." in text
    assert "encoders or more" not in " ".join(prose.summary(cells[:1]))


def test_several_seeds_are_shown_as_a_range() -> None:
    other = changed("reelay", "first_frame", p50=9.0)
    own = prose.seconds(CELL["reelay"]["first_frame"]["p50"])
    lines = seeds_table({"1 0.5": {"1": CELL, "2": other}, "3 0.5": {"1": CELL}})
    assert len(lines) == 3
    assert f"| 2 | {own} to 9.0 s |" in lines[-1]
    assert [n for n, _, _ in first_seed({"1 0.5": {"2": other}, "3 0.5": {"1": CELL}})] == [3]


def test_large_fleets_have_one_seed() -> None:
    assert seeds(FEW) == SEEDS
    assert seeds(FEW + 1) == SEEDS[:1]


def test_page_is_filled_twice_with_the_same() -> None:
    results = {"1 0.5": {"1": CELL}}
    page = filled(PAGE.read_text(), results, load())
    assert "<!-- found -->\n- Turns by owner hold" in page
    assert filled(page, results, load()) == page
