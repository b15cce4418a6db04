"""One FFmpeg process: limited, watched, and dead when the encoder is."""

import asyncio
import contextlib
import os
import resource
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reelay.common.launcher import restrained
from reelay.common.tasks import end
from reelay.encoder.adapters.pipes import OutputPipes
from reelay.encoder.domain.errors import FFmpegHungError
from reelay.encoder.domain.log_tail import LogTail

TICK_S = 1.0
LOG_LINE_BYTES = 64 * 1024
OPEN_FILES = 256
PROC = Path("/proc")
AUTOGROUP_AGAIN_S = 0.11
"""Within a tenth of a second, the kernel takes one change of any group from all but root."""


@dataclass(frozen=True)
class Limits:
    """What one FFmpeg process may use."""

    memory_bytes: int
    """Address space (RLIMIT_AS)."""
    wall_s: float
    """Whole run, not counting time that it was stopped by a signal."""
    no_progress_s: float
    """Time without a frame of the source or a byte of output, counted likewise.

    Nor does the time count, here and there, that its output waited for us.
    """


class FFmpegProcess:
    """A running FFmpeg. Made by `running`."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        self.log = LogTail()
        self.pid = process.pid
        self._process = process
        self._limits = limits
        self._idle_s = 0.0
        self._spoke = False
        self._resting = False
        self._kept_waiting = 0
        self._reading_log = asyncio.create_task(self._read_log())

    def progressed(self) -> None:
        """Note that FFmpeg did something."""
        self._idle_s = 0.0

    @contextlib.contextmanager
    def kept_waiting(self) -> Iterator[None]:
        """Count no time against it during the block: its output is not read, so it cannot work."""
        self._kept_waiting += 1
        try:
            yield
        finally:
            self._kept_waiting -= 1
            self.progressed()

    def pause(self) -> None:
        """Stop it and all that it started; its time stands still too.

        Not before its first words: only then is it sure to die with us while it is stopped.
        """
        if self._spoke and not self._resting:
            self._signal(signal.SIGSTOP)
        self._resting = True

    def resume(self) -> None:
        """Let it go on."""
        if self._spoke and self._resting:
            self._signal(signal.SIGCONT)
        self._resting = False

    async def wait(self) -> int:
        """Return the exit status (negative: killed by that signal) once the log is read.

        Raises FFmpegHungError like `watch`: an output that has ended is no end yet.
        """
        ending = asyncio.create_task(self._ended())
        watching = asyncio.create_task(self.watch())
        try:
            await asyncio.wait({ending, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                watching.result()
            return await ending
        finally:
            await end(ending, watching)

    async def watch(self) -> None:
        """Raise FFmpegHungError when a limit of time is reached; never returns."""
        ran_s = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            if self._kept_waiting or _is_stopped(self.pid):
                continue
            ran_s += TICK_S
            self._idle_s += TICK_S
            if ran_s > self._limits.wall_s:
                raise FFmpegHungError(f"FFmpeg ran longer than {ran_s:g} s", self.log.text())
            if self._idle_s > self._limits.no_progress_s:
                raise FFmpegHungError(f"FFmpeg stood still for {self._idle_s:g} s", self.log.text())

    async def end(self) -> None:
        """Kill what is left of it and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await end(self._reading_log)
        await self._process.wait()

    async def _ended(self) -> int:
        await asyncio.shield(self._reading_log)
        return await self._process.wait()

    async def _read_log(self) -> None:
        assert self._process.stderr is not None
        while True:
            try:
                line = await self._process.stderr.readline()
            except ValueError:  # longer than the limit; its start is dropped
                continue
            if not line:
                return
            self.log.feed(line.decode(errors="replace"))
            self.progressed()
            if not self._spoke:
                self._spoke = True
                if self._resting:
                    self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:  # else its number may be another's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)


@contextlib.asynccontextmanager
async def running(
    argv: Sequence[str], pipes: OutputPipes, limits: Limits, nice: int
) -> AsyncIterator[FFmpegProcess]:
    """Run FFmpeg, which inherits the writing ends of `pipes`, until the block ends.

    It gets SIGKILL with our death, leads a process group of its own, and can write no file. Its
    priority is lower than ours by `nice`.
    """
    process = await asyncio.create_subprocess_exec(
        *restrained(argv, _resources(limits), nice),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
        pass_fds=pipes.writing,
        start_new_session=True,
        limit=LOG_LINE_BYTES,
        env={},
    )
    pipes.close_writing()
    lowering = asyncio.create_task(_lower_autogroup(process, nice))
    ffmpeg = FFmpegProcess(process, limits)
    try:
        yield ffmpeg
    finally:
        await end(lowering)
        await ffmpeg.end()


def _resources(limits: Limits) -> dict[int, int]:
    return {
        resource.RLIMIT_AS: limits.memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
    }


async def _lower_autogroup(process: asyncio.subprocess.Process, nice: int) -> None:
    """Lower also the group that some kernels make of a session (sched(7), autogroups).

    Where they do, a process' own nice value counts only within its session, that is for nothing.
    Other kernels have no such file.
    """
    group = PROC / str(process.pid) / "autogroup"
    while nice > 0 and process.returncode is None:
        try:
            group.write_text(str(nice))
        except BlockingIOError:
            await asyncio.sleep(AUTOGROUP_AGAIN_S)
        except OSError:
            return
        else:
            return


def _is_stopped(pid: int) -> bool:
    """Tell whether a process was stopped by a signal (proc(5), /proc/pid/stat, state T)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"
