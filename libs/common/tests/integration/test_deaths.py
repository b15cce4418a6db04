"""A message that ends every process which takes it is given up; what else these had is not."""

import asyncio
import sys
from pathlib import Path

import pytest

from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .consuming import dead_letters, uploaded
from .dying import DIED, WORK

pytestmark = pytest.mark.integration


async def test_message_that_was_in_hand_beside_a_deadly_one_is_digested(
    messaging: Messaging, nats: Program, tmp_path: Path
) -> None:
    poison, other, notes = uploaded(), uploaded(), tmp_path / "notes"
    await messaging.start()
    await messaging.publish(poison)
    await messaging.publish(other)
    deaths = await let_die(nats.url, str(poison.upload_id), notes, messaging)
    (letter,) = await dead_letters(messaging, 2)
    assert str(poison.upload_id) in letter.body
    assert letter.kind == "exhausted"
    assert notes.read_text() == str(other.upload_id)
    assert deaths == WORK.max_deliver + 1


async def let_die(url: str, poison: str, notes: Path, messaging: Messaging) -> int:
    """Start one replica after the other until both messages ended; return how many died."""
    argv = [sys.executable, "-m", f"{__package__}.dying", url, poison, str(notes)]
    deaths = 0
    async with asyncio.timeout(120):
        while True:
            replica = await asyncio.create_subprocess_exec(*argv)
            while replica.returncode is None:
                letters = (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages
                noted = await asyncio.to_thread(notes.exists)
                if letters == 2 or (letters == 1 and noted):
                    replica.kill()
                    await replica.wait()
                    return deaths
                await asyncio.sleep(0.05)
            assert replica.returncode == DIED
            deaths += 1
