"""Measures the packager's decisions: how long one holds the dispatch lock, by unfinished packages.

The packager's own dispatcher, on a PostgreSQL server of its own, with somewhat fewer encoders than
packages: each decision comes when a ladder chunk was stored, and sends the next.
"""

import gc
import logging
import statistics
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import structlog

from benchmarks.quiet import Sample, measured
from benchmarks.simulation.package import shape
from reelay.common.commands import EncoderAlive, Lane
from reelay.common.database import Database
from reelay.common.messaging import Messaging
from reelay.common.outbox import Outbox
from reelay.common.testing.servers import fresh_database, postgres_server
from reelay.packager.adapters import repository, virtual_times
from reelay.packager.domain.demand import DemandBoard
from reelay.packager.domain.plan import make_plan
from reelay.packager.handlers.census import EncoderCensus
from reelay.packager.handlers.dispatching import Dispatcher

PACKAGES = (120, 1200)
PACKAGES_AN_ENCODER = 1.2
FILM = shape(1080, 152)
"""Ten minutes."""
DECISIONS = 20
OWNERS = 3
"""So many packages have the same owner."""


async def dispatch_times(samples: list[Sample]) -> tuple[float, float, dict[int, float]]:
    """Return the base and the slope of a decision's length, and the medians that tell them.

    What was measured is added to `samples`.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder, postgres_server(Path(folder)) as server:
        medians = {
            count: await _decision_s(fresh_database(server, "reelay.packager"), count, samples)
            for count in PACKAGES
        }
    return *line(medians), medians


def line(medians: dict[int, float]) -> tuple[float, float]:
    """Return where the line through the two ends begins, and its slope; neither is negative."""
    least, most = min(medians), max(medians)
    slope = max(0.0, (medians[most] - medians[least]) / (most - least))
    return max(0.0, medians[least] - least * slope), slope


async def _decision_s(url: str, packages: int, samples: list[Sample]) -> float:
    """Return the median time of a decision's transaction, in seconds; nothing else is running."""
    database, census = Database(url), EncoderCensus()
    outbox = Outbox(database, Messaging("nats://nowhere", "calibration"))
    dispatcher = Dispatcher(census, DemandBoard())
    try:
        await _fill(outbox, packages)
        await _live(census, packages)
        async with outbox.transaction() as tx:
            await dispatcher.dispatch(tx)
        gc.collect()
        gc.freeze()  # as the service does
        walls: list[float] = []

        async def work(marks: list[float]) -> None:
            walls.clear()
            for _ in range(DECISIONS):
                await _end_one(outbox)
                await _live(census, packages)
                began = time.monotonic()
                async with outbox.transaction() as tx:
                    await dispatcher.dispatch(tx)
                walls.append(time.monotonic() - began)

        samples.append(await measured(f"{DECISIONS} decisions, {packages} packages", work))
    finally:
        await database.close()
    return statistics.median(walls)


async def _fill(outbox: Outbox, packages: int) -> None:
    """Insert packages whose opening is stored."""
    for number in range(packages):
        film = make_plan(uuid4().hex * 2, FILM.plan.source, {})
        async with outbox.transaction() as tx:
            await repository.insert_package(tx.session, film, f"{number // OWNERS}", "sources/x")
            row = await repository.lock(tx.session, film.package_id)
            assert row is not None
            row.stored = {rendition.name: "7" for rendition in film.opening}
            row.playable = True
            tx.session.add(row)
            await virtual_times.join(tx.session, film.package_id, row.owner_id, 0.0)


async def _live(census: EncoderCensus, packages: int) -> None:
    """Let all encoders say that they are there."""
    for number in range(round(packages / PACKAGES_AN_ENCODER)):
        await census.hear(
            EncoderAlive(encoder_id=f"{number}", providers=["software"], encoder_version="")
        )


async def _end_one(outbox: Outbox) -> None:
    """Store a ladder chunk, which makes room for another."""
    async with outbox.transaction() as tx:
        task = next(t for t in await repository.tasks(tx.session) if t.lane == Lane.LADDER)
        row = await repository.lock(tx.session, task.package_id)
        assert row is not None
        chunk = repository.chunk_of(task)
        bits = repository.stored_bits(row)
        row.stored = {
            **row.stored,
            **{name: f"{bits.get(name, 0) | chunk.bits:x}" for name in chunk.renditions},
        }
        tx.session.add(row)
        await repository.drop_tasks(tx.session, [task.task_id])
