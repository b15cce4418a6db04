"""A server that ends, loses its streams or is away: consumption goes on when it is back."""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from reelay.common import outages
from reelay.common.errors import OutageError, TransientError
from reelay.common.events import AssetUploaded
from reelay.common.messaging import PULL_TIMEOUT_S, Messaging
from reelay.common.storage import StoreFullError, StoreUnavailableError
from reelay.common.testing.servers import BACKEND, Program

from .consuming import Seen, consumer, dead_letters, settled, uploaded, waited_for

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_consumption_goes_on_after_the_server_restarts(
    messaging: Messaging, nats: Program, how: signal.Signals
) -> None:
    seen = Seen()
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(1)
    await waited_for(messaging)
    nats.stop(how)
    nats.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await messaging.publish(uploaded())
                break
            except TransientError:
                await asyncio.sleep(0.1)
    # Long before the request that the server had would have ended by itself.
    await seen.until(2, deadline_s=PULL_TIMEOUT_S / 2)


@pytest.mark.skipif(BACKEND == "containers", reason="the streams lie in the container")
async def test_consumption_goes_on_after_the_server_lost_its_streams(
    messaging: Messaging, nats: Program, tmp_path: Path
) -> None:
    seen = Seen()
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(1)
    await waited_for(messaging)
    nats.kill()
    shutil.rmtree(tmp_path / "nats")
    nats.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await messaging.publish(uploaded())
                break
            except TransientError:
                await asyncio.sleep(0.1)
    await seen.until(2, deadline_s=PULL_TIMEOUT_S / 2)


@pytest.mark.parametrize("outage", [OutageError(), StoreUnavailableError()])
async def test_handler_whose_server_is_away_waits_instead_of_failing(
    messaging: Messaging, outage: Exception
) -> None:
    seen = Seen(outage)
    messaging.on(consumer(max_deliver=1), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(2, deadline_s=10)
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0


class Checked:
    """A check that fails as told, and counts how often it was asked."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.asked = 0

    async def check(self) -> None:
        self.asked += 1
        if self.errors and (error := self.errors.pop(0)):
            raise error


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks are asked at once, and the second that finds nothing wrong is enough."""
    monkeypatch.setattr(outages, "HAND_ON_AFTER_S", -1.0)
    monkeypatch.setattr(outages, "BLAMED_AFTER_S", -1.0)
    monkeypatch.setattr(outages, "FIRST_DELAY_S", 0.01)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("sole", [True, False])
async def test_message_that_a_working_store_fails_at_is_tried_as_others_and_given_up(
    messaging: Messaging, sole: bool
) -> None:
    given_up: list[Exception] = []

    async def fail(event: AssetUploaded) -> None:
        raise StoreUnavailableError("a volume is lost")

    async def give_up(body: bytes, error: Exception) -> None:
        given_up.append(error)

    checked, work = Checked(), consumer(sole=sole, max_deliver=2)
    messaging.on(work, fail, give_up=give_up, check=checked.check)
    await messaging.start()
    await messaging.publish(uploaded())
    (letter,) = await dead_letters(messaging, 1)
    assert letter.kind == "exhausted"
    [error] = given_up
    assert "a volume is lost" in str(error)


@pytest.mark.usefixtures("impatient")
async def test_place_of_a_message_that_a_working_store_fails_at_is_free_for_the_next(
    messaging: Messaging,
) -> None:
    bad, seen = uploaded(), Seen()

    async def fail_at_one(event: AssetUploaded) -> None:
        if event == bad:
            raise StoreUnavailableError("a volume is lost")
        await seen.handle(event)

    work = consumer(retry_base_s=600.0)
    messaging.on(work, fail_at_one, check=Checked().check)
    await messaging.start()
    for event in (bad, uploaded()):
        await messaging.publish(event)
    await seen.until(1)


@pytest.mark.usefixtures("impatient")
async def test_store_that_is_away_for_all_is_waited_for_by_who_hands_nothing_on(
    messaging: Messaging,
) -> None:
    away = [StoreUnavailableError("away") for _ in range(6)]
    seen, checked = Seen(*away), Checked(*away)
    messaging.on(consumer(max_deliver=1), seen.handle, check=checked.check)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(7)
    await settled(messaging)
    assert checked.asked == 6
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("outage", [OutageError, StoreFullError])
async def test_what_is_away_for_all_is_waited_for_though_the_check_finds_nothing_wrong(
    messaging: Messaging, outage: type[Exception]
) -> None:
    seen = Seen(*(outage() for _ in range(6)))
    messaging.on(consumer(sole=True, max_deliver=1), seen.handle, check=Checked().check)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(7)
    await settled(messaging)
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0


@pytest.mark.usefixtures("impatient")
async def test_store_that_comes_and_goes_while_it_is_looked_at_blames_no_message(
    messaging: Messaging,
) -> None:
    away = StoreUnavailableError("away")
    seen, checked = Seen(*[away] * 5), Checked(away, None, away, away, None)
    messaging.on(consumer(max_deliver=1), seen.handle, check=checked.check)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(6)
    await settled(messaging)
    assert checked.asked == 5
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0
