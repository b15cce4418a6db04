"""Keeps one child running: starts it, passes on its log, starts it again, and stops it."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import Process

from reelay.common import child as launcher
from reelay.common.errors import PermanentError
from reelay.common.tasks import end
from reelay.standalone import leftovers
from reelay.standalone.children import Child
from reelay.standalone.console import Console
from reelay.standalone.lines import log_pipe, split_lines
from reelay.standalone.loglines import Level

PROBE_INTERVAL_S = 0.1
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 15.0
SOUND_AFTER_S = 30.0
"""A child that ran this long was sound: its next restart is as quick as the first."""
FAILED_STARTS = 5
DRAIN_S = 1.0


class NeverStartedError(PermanentError):
    """A part of Reelay ends again and again before it was ever ready."""


class Keeper:
    """One child through all of its processes."""

    def __init__(self, child: Child, console: Console, marked: str) -> None:
        self.child = child
        self.ready = asyncio.Event()
        """Set once the child was ready for the first time."""
        self._console = console
        self._marked = marked
        self._process: Process | None = None
        self._ended = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Keep the child running until cancelled; raise NeverStartedError if it never comes up."""
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            status = await self._run_once()
            if self._stopping:
                return
            failures = 1 if time.monotonic() - started > SOUND_AFTER_S else failures + 1
            if failures >= FAILED_STARTS and not self.ready.is_set():
                raise NeverStartedError(
                    f"{self.child.name} does not start ({_how_it_ended(status)}); its log is"
                    f" {self._console.path(self.child.name)}."
                )
            delay = min(FIRST_DELAY_S * 2 ** (failures - 1), LONGEST_DELAY_S)
            self._console.say(
                f"{self.child.name} {_how_it_ended(status)}; restarting it in {delay:g} s",
                Level.WARNING,
            )
            await asyncio.sleep(delay)

    def start_no_more(self) -> None:
        """Let the child run, but when it ends, let it be."""
        self._stopping = True

    async def stop(self) -> None:
        """End the child: politely, and after its time limit by force."""
        self._stopping = True
        if (process := self._process) is None:
            return
        # Not Process.send_signal: it may reap the process, and its exit status would be lost.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, self.child.stop_signal)
            os.kill(process.pid, signal.SIGCONT)
        try:
            await asyncio.wait_for(self._ended.wait(), self.child.stop_within_s)
        except TimeoutError:
            late = f"{self.child.name} did not stop in {self.child.stop_within_s:g} s; killed"
            self._console.say(late, Level.WARNING)
            self.kill()
            await self._ended.wait()

    def kill(self) -> None:
        """End the child and what it started, at once."""
        self._stopping = True
        self._kill_group()

    def _kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _run_once(self) -> int:
        """Run one process to its end; return its exit status, negative for a signal."""
        if self.child.prepare:
            await self.child.prepare()
        if self._stopping:
            return 0
        async with log_pipe() as (log, log_end):
            try:
                self._process = process = await self._spawn(log_end)
            finally:
                os.close(log_end)
            self._ended.clear()
            if self._stopping:  # Asked while the process was being made.
                self._kill_group()
            work = [
                asyncio.create_task(self._pass_on(log)),
                asyncio.create_task(self._await_ready()),
            ]
            try:
                status = await process.wait()
                await self._end_what_it_started(process.pid)
                await asyncio.wait(work[:1], timeout=DRAIN_S)
            finally:
                await end(*work)
                self._process = None
                self._ended.set()
        return status

    async def _spawn(self, log_end: int) -> Process:
        child = self.child
        argv = (
            child.launch(child.command, child.death_signal)
            if child.launch
            else launcher.command(child.command, death_signal=child.death_signal)
        )
        # A session of its own: Ctrl-C at the terminal reaches the supervisor alone.
        return await asyncio.create_subprocess_exec(
            *argv,
            env={**child.environment, leftovers.MARK: f"{self._marked}/{child.name}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log_end,
            stderr=log_end,
            start_new_session=True,
            pass_fds=child.keeps_fds,
        )

    async def _pass_on(self, stream: asyncio.StreamReader) -> None:
        async for line in split_lines(stream):
            self._console.child(self.child.name, line, self.child.parse)

    async def _await_ready(self) -> None:
        while True:
            if await self.child.is_ready():
                break
            await asyncio.sleep(PROBE_INTERVAL_S)
        try:
            if self.child.complete:
                await self.child.complete()
        except (PermanentError, OSError) as error:
            self._console.say(f"{self.child.name}: {error}", Level.ERROR)
            self._kill_group()
            return
        if self.ready.is_set():
            self._console.say(f"{self.child.name} is ready again")
        self.ready.set()

    async def _end_what_it_started(self, pid: int) -> None:
        """Kill what outlived the child, so that the next one has its files and ports for itself."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        await self.end_leftovers()

    async def end_leftovers(self) -> None:
        """Kill every process that carries the child's mark, until there is none."""
        while pids := self._find_leftovers():
            leftovers.kill(pids)
            await asyncio.sleep(leftovers.POLL_S)

    def _find_leftovers(self) -> set[int]:
        name, folder = self.child.name, self.child.works_in
        return leftovers.find(self._marked, child=name, working_in=folder)


def _how_it_ended(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
