"""A task that is ended has ended."""

import asyncio

from reelay.common.tasks import end


async def test_task_that_got_its_answer_together_with_the_cancellation_ends() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await asyncio.wait_for(answer, 60)
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    answer.set_result("here")
    async with asyncio.timeout(20):
        await end(task)
    assert task.cancelled()


async def test_all_are_waited_for_and_what_they_raise_is_dropped() -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append(1)
            raise ValueError

    tasks = [asyncio.create_task(work()) for _ in range(3)]
    await asyncio.sleep(0)
    await end(*tasks)
    assert ended == [1, 1, 1]


async def test_what_ended_long_ago_and_nothing_at_all_can_be_ended() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await end(task)
    await end()
