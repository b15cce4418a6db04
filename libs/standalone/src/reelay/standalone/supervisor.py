"""Runs all children: starts each when what it needs is ready, and stops them in order."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reelay.common.tasks import end
from reelay.standalone import leftovers, readiness
from reelay.standalone.children import Child, Tier
from reelay.standalone.console import Console
from reelay.standalone.keeper import Keeper
from reelay.standalone.loglines import Level

PATIENCE_S = 15.0
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Everything that runs in one data directory."""

    def __init__(self, children: Sequence[Child], console: Console, data: Path) -> None:
        marked = leftovers.mark(data)
        self._keepers = {child.name: Keeper(child, console, marked) for child in children}
        self._console = console
        self._asked_to_stop = asyncio.Event()

    async def run(
        self, readiness_port: int, announce: Callable[[], None], close_gateway: Callable[[], None]
    ) -> None:
        """Run until a signal asks to stop; `announce` when everything is ready.

        `close_gateway` refuses new connections from then on.

        Raises NeverStartedError, or what a preparation raised, after stopping what runs.
        """
        loop = asyncio.get_running_loop()
        for number in STOPS:
            loop.add_signal_handler(number, self._on_signal)
        children = [keeper.child for keeper in self._keepers.values()]
        server = await readiness.serve(readiness_port, partial(readiness.report, children))
        work = [asyncio.create_task(self._start(keeper)) for keeper in self._keepers.values()]
        herald = asyncio.create_task(self._announce(announce))
        try:
            await _first_of(*work, self._asked_to_stop.wait())
        finally:
            self._console.say("stopping")
            close_gateway()
            herald.cancel()
            await self._stop_all()
            await end(herald, *work)
            for keeper in self._keepers.values():
                await keeper.end_leftovers()
            server.close()
            self._console.say("stopped")

    def _on_signal(self) -> None:
        if self._asked_to_stop.is_set():
            self._console.say("asked to stop again: killing what still runs", Level.WARNING)
            for keeper in self._keepers.values():
                keeper.kill()
        self._asked_to_stop.set()

    async def _start(self, keeper: Keeper) -> None:
        for name in keeper.child.after:
            await self._keepers[name].ready.wait()
        await keeper.run()

    async def _announce(self, announce: Callable[[], None]) -> None:
        """Call `announce` when all are ready, and say who is not while it takes long."""
        for keeper in self._keepers.values():
            while not keeper.ready.is_set():
                try:
                    await asyncio.wait_for(keeper.ready.wait(), PATIENCE_S)
                except TimeoutError:
                    self._say_who_is_late()
        announce()

    def _say_who_is_late(self) -> None:
        late = [name for name, keeper in self._keepers.items() if not keeper.ready.is_set()]
        if late:
            self._console.say(f"still waiting for {', '.join(late)}")

    async def _stop_all(self) -> None:
        for keeper in self._keepers.values():
            keeper.start_no_more()
        for tier in Tier:
            members = [k for k in self._keepers.values() if k.child.tier is tier]
            await asyncio.gather(*(keeper.stop() for keeper in members))


async def _first_of(*work: asyncio.Task[None] | Coroutine[Any, Any, Any]) -> None:
    """Wait for the first of several to end; raise what it raised, and cancel our own of them."""
    ours = [asyncio.ensure_future(item) for item in work]
    try:
        done, _ = await asyncio.wait(ours, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        ours[-1].cancel()
