"""Takes the parts in that clients send by links of a store in a directory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from reelay.common.storage.port import InvalidPartsError
from reelay.common.storage.signed_http import Collect, Collected
from reelay.upload.domain.errors import InterruptedUploadError, SlowClientError
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.parts import PartBuffer
from reelay.upload.entrypoints.body import Ending, RequestBody
from reelay.upload.handlers.memory import PartMemory

STEP_BYTES = 256 * 1024
"""So much is hashed at once on a thread."""


def collector(memory: PartMemory, stall_limit_s: float) -> Collect:
    """Return what collects parts in `memory`, from clients that are not silent for long."""

    @asynccontextmanager
    async def collect(request: Request) -> AsyncIterator[Collected]:
        buffer = memory.lend()
        try:
            await _fill(buffer, RequestBody(request, stall_limit_s))
            async with memory.loaded(buffer) as data:
                yield Collected(data, buffer.digest())
        finally:
            memory.give_back(buffer)

    return collect


async def _fill(buffer: PartBuffer, body: RequestBody) -> None:
    step = STEP_BYTES if buffer.memory is not None else 1
    async for block in body.blocks(Hold()):
        if buffer.add(block):
            raise InvalidPartsError("This is more than a part can have.")
        if buffer.pending_bytes >= step:
            await _digest(buffer)
    if body.ending is Ending.STALLED:
        raise SlowClientError("No byte came for a while; send the part again.")
    if not body.all_came:
        raise InterruptedUploadError("The part did not come whole; send it again.")
    await _digest(buffer)


async def _digest(buffer: PartBuffer) -> None:
    """Hash on a thread; come back only when it has let go of the bytes."""
    blocks = buffer.cut_pending()
    hashing = asyncio.get_running_loop().run_in_executor(None, buffer.digest_blocks, blocks)
    try:
        await asyncio.shield(hashing)
    finally:
        await asyncio.wait({hashing})
