"""The heaps choose as the packager's fairness does."""

import random

from benchmarks.simulation.package import Package, shape
from benchmarks.simulation.turns import Turns
from reelay.packager.domain.fairness import Contender, TurnQueue
from tests.simulation.days import video


def test_heaps_choose_what_the_packager_would() -> None:
    chance = random.Random(1)
    turns = Turns()
    waiting: list[Package] = []
    owners: dict[int, float] = {}
    for step in range(3000):
        if chance.random() < 0.05 or not waiting:
            owner = chance.randrange(6)
            height = chance.choice((480, 1080, 2160))
            package = Package(
                video(step, owner, segments=chance.randrange(3, 120)),
                shape(height, 120),
                float(step),
            )
            turns.admit(package)
            waiting.append(package)
            owners[owner] = turns.time_of(owner)
            continue
        expected = TurnQueue(
            Contender(
                str(p.video.number), str(p.video.owner), p.created_s, p.virtual_time,
                owners[p.video.owner],
            )
            for p in waiting
        ).next  # fmt: skip
        found = turns.next(0.0)
        assert found is not None
        package, chunk = found
        assert str(package.video.number) == expected.package_id
        owners[package.video.owner] += package.cost(chunk)
        assert turns.time_of(package.video.owner) == owners[package.video.owner]
        if package.all_taken:
            waiting.remove(package)
