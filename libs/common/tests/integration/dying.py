"""A replica that dies of one of its messages: `python -m … NATS_URL POISON NOTES`.

It dies as soon as it has another in hand too, or has had none for a while. What it digests it notes
in a file.
"""

import asyncio
import os
import sys
from pathlib import Path
from uuid import UUID

from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging

from .consuming import consumer

WORK = consumer(
    sole=True, batch=2, max_deliver=2, ack_wait_s=0.5, heartbeat_s=0.1, retry_base_s=0.02
)
DIED = 9
COMPANY_S = 1.5
"""Longer than the two need to come again, one after the other."""


async def main(url: str, poison: UUID, notes: Path) -> None:
    company = asyncio.Event()

    async def handle(event: AssetUploaded) -> None:
        if event.upload_id == poison:
            try:
                async with asyncio.timeout(COMPANY_S):
                    await company.wait()
            finally:
                os._exit(DIED)
        company.set()
        await asyncio.sleep(COMPANY_S / 2)
        await asyncio.to_thread(notes.write_text, str(event.upload_id))

    messaging = Messaging(url, "test")
    messaging.on(WORK, handle)
    await messaging.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2]), Path(sys.argv[3])))
