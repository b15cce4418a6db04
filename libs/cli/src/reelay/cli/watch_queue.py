"""Looks for `reelay watch` at the work that lies in the queue, and leaves it there.

Messages are read by their numbers, without a consumer: no encoder misses or waits for any.
"""

import asyncio
import contextlib
import time
from uuid import UUID

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from reelay.cli.watch_ears import WORK_SUBJECTS, Ears, pass_on
from reelay.common.commands import EncodeChunk
from reelay.common.streams import WORK


async def look_at_work(jetstream: JetStreamContext, package_id: bytes, ears: Ears) -> None:
    """Pass on the work that is asked for already.

    The first chunks of a package are announced before its plan, so nobody could hear them in time.
    """
    looked_at = time.time()
    tasks: set[UUID] = set()
    number = 0
    with contextlib.suppress(NotFoundError):  # behind the last one
        while True:
            raw = await jetstream.get_msg(
                str(WORK.name), number + 1, subject=WORK_SUBJECTS, next=True
            )
            assert raw.seq is not None
            number = raw.seq
            if package_id in (raw.data or b"") and raw.time is not None:
                at = raw.time.timestamp()
                chunk = pass_on(str(raw.subject), raw.data or b"", ears, at)
                tasks |= {chunk.task_id} if isinstance(chunk, EncodeChunk) else set()
    ears.see_work(tasks, looked_at)


async def keep_looking(
    jetstream: JetStreamContext, package_id: bytes, ears: Ears, every_s: float
) -> None:
    """Look at the queue until cancelled: nobody tells of work that only lies there."""
    while True:
        await asyncio.sleep(every_s)
        # One that fails tells nothing; whether the connection is lost is told elsewhere.
        with contextlib.suppress(nats.errors.Error, JetStreamError):
            await look_at_work(jetstream, package_id, ears)
