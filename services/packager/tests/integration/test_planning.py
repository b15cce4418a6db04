"""Every request for a package ends: in a plan, or in a failure with a reason."""

from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa

from reelay.common.errors import TransientError
from reelay.common.events import PackageRequested, TranscodeFailed
from reelay.common.messaging import Messaging
from reelay.common.outbox import OUTBOX
from reelay.common.streams import fact_consumer
from reelay.packager.domain.source import SourceFacts
from reelay.packager.planning import UNPREPARED, Planning

from ..unit.plans import VERSIONS
from .house import House

pytestmark = pytest.mark.integration


class HangingReader:
    """Never finds out what a source is: the program that looks at it is ended each time."""

    async def examine(self, asset_id: str, key: str) -> tuple[str, SourceFacts]:
        """See SourceReader."""
        raise TransientError("ffprobe took more than 60 s.")


async def failures(house: House) -> list[TranscodeFailed]:
    async with house.database.transaction() as session:
        rows = await session.execute(sa.select(OUTBOX.c.subject, OUTBOX.c.body))
        failed = [row.body for row in rows if row.subject == TranscodeFailed.subject]
    return [TranscodeFailed.model_validate_json(body) for body in failed]


async def test_video_whose_source_can_never_be_examined_fails_with_a_reason(
    house: House, messaging: Messaging
) -> None:
    planning = Planning(house.outbox, house.store, HangingReader(), house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    consumer = fact_consumer("packager", "plan-package", PackageRequested.subject)
    consumer = replace(consumer, max_deliver=2, retry_base_s=0.02)
    messaging.on(consumer, planning.plan_package, give_up=planning.give_up)
    await messaging.start()
    request = PackageRequested(
        video_id=uuid4(), owner_id="a", asset_id="b" * 64, source_key="sources/x"
    )
    await messaging.publish(request)
    letters = await messaging.jetstream.pull_subscribe("deadletters.>", stream="DEADLETTERS")
    await letters.fetch(1, timeout=20)
    [failed] = await failures(house)
    assert (failed.video_id, failed.asset_id) == (request.video_id, request.asset_id)
    assert failed.reason == UNPREPARED


async def test_message_that_is_no_request_fails_nobody(house: House) -> None:
    await house.planning().give_up(b"{not json", ValueError("not json"))
    assert await failures(house) == []
