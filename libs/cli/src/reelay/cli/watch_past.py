"""Finds from where on the facts about a package are to be read for `reelay watch`.

Those of all packages in a week are many, of plans and removals there are few.
"""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy
from pydantic import ValidationError

from reelay.cli.watch_decisions import is_outdated, latest
from reelay.common.events import PackagePlanned, PackageRemoved
from reelay.common.streams import EVENTS

FACTS = "events.package.>"
BEFORE_ITS_PLAN = timedelta(minutes=10)
"""The first segments may be stored before the plan is announced."""
TIMEOUT_S = 5


@dataclass(frozen=True)
class Beginning:
    """Where the facts about the package as it is now begin."""

    config: ConsumerConfig
    """From the beginning of the stream, if that knows of no plan (any more)."""
    removed_at: float | None = None
    """When an earlier package of the same id was removed, in seconds since the epoch."""


async def find_beginning(jetstream: JetStreamContext, package_id: bytes) -> Beginning:
    """Return where the facts begin: after the last removal, shortly before the first plan since.

    Later plans begin nothing: they are for further videos that need the same package, or for one
    that is tried again, of which all segments stay. Raises nats.errors.Error.
    """
    removal: Msg | None = None
    plan: Msg | None = None
    planned_at: datetime | None = None
    async with contextlib.aclosing(_plans_and_removals(jetstream)) as known:
        async for msg in known:
            fact = _read(msg) if package_id in msg.data else None
            if isinstance(fact, PackagePlanned):
                plan = plan or msg
                planned_at = latest(planned_at, fact.decided_at)
            elif fact is not None and not is_outdated(fact, planned_at):
                removal, plan = msg, None
    config = ConsumerConfig()
    if removal is not None:
        config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
        config.opt_start_seq = removal.metadata.sequence.stream + 1
    if plan is not None:
        since = plan.metadata.timestamp - BEFORE_ITS_PLAN
        if removal is None or since > removal.metadata.timestamp:
            config = ConsumerConfig(
                deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since
            )
    return Beginning(config, removal.metadata.timestamp.timestamp() if removal else None)


def _read(msg: Msg) -> PackagePlanned | PackageRemoved | None:
    """Return a plan or removal; None for one that only another version can read."""
    model = PackagePlanned if msg.subject == PackagePlanned.subject else PackageRemoved
    with contextlib.suppress(ValidationError):
        return model.model_validate_json(msg.data)
    return None


async def _plans_and_removals(jetstream: JetStreamContext) -> AsyncGenerator[Msg, None]:
    """Yield those of all packages that the stream knows now, oldest first."""
    config = ConsumerConfig(filter_subjects=[PackagePlanned.subject, PackageRemoved.subject])
    facts = await jetstream.subscribe(
        FACTS, stream=EVENTS.name, ordered_consumer=True, config=config
    )
    try:
        known = await facts.consumer_info()
        more = known.num_pending or (known.delivered and known.delivered.consumer_seq)
        while more:
            msg = await facts.next_msg(timeout=TIMEOUT_S)
            yield msg
            more = msg.metadata.num_pending
    finally:
        await facts.unsubscribe()
