"""What runs beside a service ends with it."""

import asyncio

from reelay.common.service import background


async def test_work_that_loses_a_cancellation_ends_all_the_same() -> None:
    lost = 0

    async def work() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                lost += 1
                if lost > 1:
                    raise

    async with asyncio.timeout(20):
        async with background(work()):
            await asyncio.sleep(0)
    assert lost == 2
