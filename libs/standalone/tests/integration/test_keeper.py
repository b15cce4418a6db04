"""One child that is kept running, without the rest of the system."""

import asyncio
import os
from io import StringIO
from pathlib import Path

import pytest

from reelay.standalone import leftovers
from reelay.standalone.children import Child, Tier
from reelay.standalone.console import Console
from reelay.standalone.keeper import Keeper

pytestmark = pytest.mark.integration


async def test_child_whose_set_up_fails_says_why_and_is_started_again(tmp_path: Path) -> None:
    tries: list[OSError] = [OSError("no process is left")]

    async def complete() -> None:
        if tries:
            raise tries.pop()

    async def is_ready() -> bool:
        return True

    child = Child(
        name="x",
        tier=Tier.SERVICES,
        command=("/bin/sleep", "600"),
        environment={"PATH": os.defpath},
        is_ready=is_ready,
        complete=complete,
    )
    shown = StringIO()
    console = Console("text", shown, tmp_path, ["x"], colour=False)
    keeper = Keeper(child, console, leftovers.mark(tmp_path))
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(20):
            await keeper.ready.wait()
    finally:
        await keeper.stop()
        await running
        console.close()
    assert "x: no process is left" in shown.getvalue()
