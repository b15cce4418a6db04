"""How long the first segment takes beside a ladder chunk that yields the CPU, in several ways.

The command lines are the encoder's own. Opening work is 1 s of 360p and its sound out of a 1080p
film; the ladder makes 1080p, 720p and 480p of the same film at the same time.
"""

import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from benchmarks.machine import Figure
from benchmarks.sources import film
from reelay.common.commands import (
    EncodeChunk,
    Lane,
    SegmentSpec,
    SourceSpec,
    VideoConstants,
    VideoOutput,
)
from reelay.common.source_input import SourceInput
from reelay.common.testing.media import ffmpeg_binary
from reelay.encoder.adapters.ffmpeg import NICE
from reelay.encoder.domain.command import Machine, ffmpeg_arguments
from reelay.encoder.domain.precedence import Rank

QUEUED = 3
WARM_S = 1.0
"""How long a ladder chunk runs before opening work comes: it is past its start-up then."""
QUIET = 0.15
"""Processors that others may use, on the average."""
QUIET_WITHIN_S = 5.0
TRIES = 2
ALONE = "alone"
STOPPED = "ladder stopped"
LOWER = NICE[Rank.LADDER] - NICE[Rank.OPENING]
RATIO = 1.25
RUNGS = {
    "360p": (640, 360, 800_000, "3.0"),
    "480p": (854, 480, 1_400_000, "3.0"),
    "720p": (1280, 720, 2_800_000, "3.1"),
    "1080p": (1920, 1080, 5_000_000, "4.0"),
}


def _task(
    lane: Lane, rungs: Sequence[str], first: int, frames: Sequence[int], sound: bool
) -> EncodeChunk:
    numbers = range(len(frames))
    starts = [first + sum(frames[:i]) for i in numbers]
    video = [SegmentSpec(number=i + 1, first_frame=starts[i], frames=frames[i]) for i in numbers]
    edges = [-(-(start * 48_000) // (25 * 1024)) for start in [*starts, starts[-1] + frames[-1]]]
    audio = [
        SegmentSpec(number=i + 1, first_frame=edges[i], frames=edges[i + 1] - edges[i])
        for i in numbers
    ]
    return EncodeChunk(
        task_id=UUID(int=0),
        package_id="0" * 64,
        lane=lane,
        provider="software",
        source=SourceSpec(key="", demuxer="mov", video_stream=0, audio_stream=1, preroll_s=0.5),
        fps_num=25,
        fps_den=1,
        constants=VideoConstants(
            preset="veryfast", crf=23, profile="high", gop_frames=100, refs=4, bframes=3
        ),
        video=[
            VideoOutput(rendition=name, width=w, height=h, maxrate_bps=rate, level=level)
            for name, (w, h, rate, level) in RUNGS.items()
            if name in rungs
        ],
        segments=video,
        audio_rendition="audio" if sound else None,
        audio_segments=audio if sound else [],
    )


class _FFmpeg:
    """A running FFmpeg in a session of its own, as the encoder starts it."""

    def __init__(self, task: EncodeChunk, source: Path) -> None:
        names = [*(output.rendition for output in task.video)]
        names += [task.audio_rendition] if task.audio_rendition else []
        pipes = [os.pipe() for _ in names]
        urls = {name: f"pipe:{writing}" for name, (_, writing) in zip(names, pipes, strict=True)}
        place = SourceInput(f"file:{source}", "file")
        machine = Machine(os.cpu_count() or 1, tonemap=True)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [ffmpeg_binary(), *ffmpeg_arguments(task, place, urls, machine)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[writing for _, writing in pipes],
            start_new_session=True,
        )
        for _, writing in pipes:
            os.close(writing)
        self.outputs = {reading for reading, _ in pipes}

    def finish(self) -> float:
        """Read all output to its end; return the time since its start, in seconds."""
        while self.outputs:
            self.drain(60.0)
        if self.process.wait() != 0:
            raise RuntimeError("FFmpeg failed")
        return time.monotonic() - self.began

    def drain(self, timeout_s: float) -> None:
        """Read what is there."""
        for output in select.select(list(self.outputs), [], [], timeout_s)[0]:
            if not os.read(output, 1 << 20):
                os.close(output)
                self.outputs.remove(output)

    def kill(self) -> None:
        """End it, even when it is stopped."""
        self.process.kill()
        self.process.wait()
        while self.outputs:
            os.close(self.outputs.pop())


def _nice(pid: int) -> None:
    os.setpriority(os.PRIO_PROCESS, pid, LOWER)
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(thread.name), LOWER)


def _nice_autogroup(pid: int) -> None:
    """Also lower the group that the kernel made of its session (sched(7), autogroups)."""
    _nice(pid)
    Path(f"/proc/{pid}/autogroup").write_text(str(LOWER))


def _idle(pid: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))


def _stop(pid: int) -> None:
    os.killpg(pid, signal.SIGSTOP)


def _leave(pid: int) -> None:
    """Change nothing."""


WAYS: dict[str, Callable[[int], None]] = {
    "beside a ladder chunk": _leave,
    f"ladder at nice {LOWER}": _nice,
    f"ladder at nice {LOWER}, its autogroup too": _nice_autogroup,
    "ladder under SCHED_IDLE": _idle,
    STOPPED: _stop,
}


@contextmanager
def _ladder(source: Path, way: Callable[[int], None]) -> Iterator[_FFmpeg]:
    """Run a ladder chunk, which yields in one way from the block's beginning."""
    task = _task(Lane.LADDER, ("480p", "720p", "1080p"), 200, (100,) * 4, sound=False)
    ladder = _FFmpeg(task, source)
    try:
        end = time.monotonic() + WARM_S
        while (left := end - time.monotonic()) > 0:
            ladder.drain(left)
        with suppress(FileNotFoundError):  # kernels without autogroups
            way(ladder.process.pid)
        yield ladder
    finally:
        ladder.kill()


def _opening_s(source: Path, count: int) -> float:
    """Return the time until the last of `count` opening chunks is made, one after another."""
    began = time.monotonic()
    for _ in range(count):
        _FFmpeg(_task(Lane.OPENING, ("360p",), 0, (25,), sound=True), source).finish()
    return time.monotonic() - began


@dataclass(frozen=True)
class _Sample:
    opening_s: float
    foreign: float
    """Processors that others used meanwhile, on the average."""


def _sample(source: Path, name: str, count: int) -> _Sample:
    """Measure one way once, again when others disturb; return the least disturbed try."""
    tries: list[_Sample] = []
    while len(tries) < TRIES and not any(each.foreign < QUIET for each in tries):
        _wait_for_quiet()
        if name == ALONE:
            tries.append(_disturbed(source, count, None))
        else:
            with _ladder(source, WAYS[name]) as ladder:
                tries.append(_disturbed(source, count, ladder.process.pid))
    return min(tries, key=lambda each: each.foreign)


def _disturbed(source: Path, count: int, ladder: int | None) -> _Sample:
    before = _busy_s() - _own_s(ladder)
    opening_s = _opening_s(source, count)
    return _Sample(opening_s, max(0.0, _busy_s() - _own_s(ladder) - before) / opening_s)


def _own_s(ladder: int | None) -> float:
    """Return the CPU time of all FFmpegs that ended, and of the ladder's, in seconds."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = _fields(f"/proc/{ladder}/stat", 11, 13) if ladder is not None else 0.0
    return ended.ru_utime + ended.ru_stime + running


def _busy_s() -> float:
    """Return the time that all processors were busy since boot, in seconds (proc(5))."""
    return _fields("/proc/stat", 1, 4)


def _fields(path: str, first: int, end: int) -> float:
    text = Path(path).read_text().splitlines()[0].rpartition(")")[2]
    return sum(map(int, text.split()[first:end])) / os.sysconf("SC_CLK_TCK")


def _wait_for_quiet() -> None:
    """Wait until others leave the processors alone, but not for ever."""
    end = time.monotonic() + QUIET_WITHIN_S
    while time.monotonic() < end:
        before = _busy_s()
        time.sleep(0.5)
        if _busy_s() - before < QUIET * 0.5:
            return


def measure(runs: int = 10) -> list[Figure]:
    """Measure every way `runs` times, alternating, for one opening chunk and for several."""
    source = film(30)
    found: dict[tuple[int, str], list[_Sample]] = {}
    for _ in range(runs):
        for count in (1, QUEUED):
            for name in (ALONE, *WAYS):
                found.setdefault((count, name), []).append(_sample(source, name, count))
    foreign = [sample.foreign for samples in found.values() for sample in samples]
    return [
        *(
            Figure(f"{_what(count)}; {name}", "s", [sample.opening_s for sample in samples])
            for (count, name), samples in found.items()
        ),
        *(_ratio(count, found[count, STOPPED], found[count, ALONE]) for count in (1, QUEUED)),
        Figure("processors that others used meanwhile", "cores", foreign),
    ]


def _ratio(count: int, beside: Sequence[_Sample], alone: Sequence[_Sample]) -> Figure:
    ratios = [a.opening_s / b.opening_s for a, b in zip(beside, alone, strict=True)]
    figure = Figure(f"{_what(count)}; {STOPPED} ÷ {ALONE}", "", ratios, f"≤ {RATIO}")
    return replace(figure, holds=figure.median <= RATIO)


def _what(count: int) -> str:
    return "first 1 s of 360p and sound" if count == 1 else f"{count} of them queued"
