"""The encoder as a process, and what it tells."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path

from reelay.common.commands import EncoderAlive
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import free_port


class Encoder:
    """The service's process."""

    def __init__(self, nats_url: str, store: Path, ffmpeg: str) -> None:
        self.environment = {
            **os.environ,
            "ENCODER_NATS_URL": nats_url,
            "ENCODER_STORE_URL": f"file://{store}",
            "ENCODER_FFMPEG": ffmpeg,
            "ENCODER_THREADS": "2",
            "ENCODER_LONGEST_PAUSE_S": "60",  # longer than any test looks at who is paused
        }
        self.process: Process | None = None

    async def start(self) -> None:
        argv = [sys.executable, "-m", "reelay.encoder"]
        # Another one each time: in between, somebody else may have taken it.
        environment = self.environment | {"ENCODER_PORT": str(free_port())}
        self.process = await asyncio.create_subprocess_exec(*argv, env=environment)

    async def stop(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()


async def hear_first(messaging: Messaging, message: type[EncoderAlive]) -> EncoderAlive:
    subscription = await messaging.client.subscribe(message.subject)
    heard = await subscription.next_msg(timeout=30)
    await subscription.unsubscribe()
    return message.model_validate_json(heard.data)


async def facts(messaging: Messaging, subject: str, count: int) -> list[bytes]:
    subscription = await messaging.jetstream.pull_subscribe(subject, stream="EVENTS")
    found: list[bytes] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            for message in await subscription.fetch(count, timeout=30):
                found.append(message.data)
                await message.ack()
    await subscription.unsubscribe()
    return found
