"""A server that ends, loses its streams or is away: consumption goes on when it is back."""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from reelay.common.errors import OutageError, TransientError
from reelay.common.messaging import PULL_TIMEOUT_S, Messaging
from reelay.common.testing.servers import BACKEND, Program

from .consuming import Seen, consumer, uploaded, waited_for

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


async def test_handler_whose_server_is_away_waits_instead_of_failing(
    messaging: Messaging,
) -> None:
    seen = Seen(OutageError())
    messaging.on(consumer(max_deliver=1), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(2, deadline_s=10)
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0
