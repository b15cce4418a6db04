"""FFmpegs of lower lanes stand still while a higher one runs, and never for ever."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reelay.common.commands import Lane
from reelay.encoder.adapters.lane_gate import LaneGate, Seat
from reelay.encoder.adapters.process import Limits
from reelay.encoder.domain.cutting import EncodedSegment
from reelay.encoder.domain.errors import FFmpegFailedError
from reelay.encoder.domain.precedence import Rank

from .processes import pids_with, running_as, script, state, until_gone, until_nice, until_state

pytestmark = pytest.mark.integration

LIMITS = Limits(memory_bytes=4 << 30, wall_s=60, no_progress_s=20)
RUNNING = "RSD"
FOR_EVER = 'read nothing < "$0.never"'
"""Opens a pipe that nobody writes to."""

Work = asyncio.Task[list[EncodedSegment]]
Begin = Callable[..., Work]
Find = Callable[[Lane | Rank], Awaitable[int]]
Slowly = Callable[[], Awaitable[tuple[Work, int]]]


class Moves(LaneGate):
    """One that keeps which ranks it was told."""

    def __init__(self, longest_pause_s: float) -> None:
        super().__init__(longest_pause_s)
        self.ranks: list[Rank] = []

    def move(self, seat: Seat, rank: Rank) -> None:
        self.ranks.append(rank)
        super().move(seat, rank)


@pytest.fixture
def video(media) -> Path:
    return media.numbered("constant.mp4", "25", 150)


@pytest.fixture
async def begin(bench, make_task, video, tmp_path) -> AsyncIterator[Begin]:
    """Begin a chunk of a rank, made by a program that does what `lines` say."""
    tasks: list[Work] = []

    def start(rank: Lane | Rank, *lines: str, **options: object) -> Work:
        name = tmp_path / f"{rank}-program"
        if not name.exists():
            os.mkfifo(f"{name}.never")
        program = script(name, "echo begun >&2", *lines)
        lane = Lane.OPENING if rank is Rank.AHEAD else Lane(rank)
        chunk = make_task(video, segments=[25, 25, 50], lane=lane)
        if rank is Rank.AHEAD:
            later = [one.model_copy(update={"number": one.number + 4}) for one in chunk.segments]
            chunk = chunk.model_copy(update={"segments": later})
        work = bench.encode(video, chunk, program=program, **options)
        tasks.append(asyncio.create_task(work))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until_gone(f"{tmp_path}/")


@pytest.fixture
def pid_of(tmp_path) -> Find:
    async def find(rank: Lane | Rank) -> int:
        pid = await running_as(str(tmp_path / f"{rank}-program"))
        await asyncio.sleep(0.2)  # it has said something by now
        return pid

    return find


async def test_ladder_goes_on_when_opening_work_fails(begin: Begin, pid_of: Find):
    begin(Lane.LADDER, FOR_EVER)
    ladder = await pid_of(Lane.LADDER)
    opening = begin(Lane.OPENING, "sleep 1", "exit 3")
    await until_state(ladder, "T")
    with pytest.raises(FFmpegFailedError):
        await opening
    await until_state(ladder, RUNNING)


async def test_ladder_goes_on_when_opening_work_is_cancelled(begin: Begin, pid_of: Find):
    begin(Lane.LADDER, FOR_EVER)
    ladder = await pid_of(Lane.LADDER)
    opening = begin(Lane.OPENING, FOR_EVER)
    await until_state(ladder, "T")
    opening.cancel()
    await until_state(ladder, RUNNING)


async def test_ladder_goes_on_when_opening_work_is_killed(begin: Begin, pid_of: Find):
    begin(Lane.LADDER, FOR_EVER)
    ladder = await pid_of(Lane.LADDER)
    opening = begin(Lane.OPENING, FOR_EVER)
    higher = await pid_of(Lane.OPENING)
    await until_state(ladder, "T")
    os.kill(higher, signal.SIGKILL)
    with pytest.raises(FFmpegFailedError, match="status -9"):
        await opening
    await until_state(ladder, RUNNING)


async def test_opening_work_stands_still_for_a_viewer_and_then_before_the_ladder(
    begin: Begin, pid_of: Find
):
    begin(Lane.LADDER, FOR_EVER)
    ladder = await pid_of(Lane.LADDER)
    begin(Lane.OPENING, FOR_EVER)
    opening = await pid_of(Lane.OPENING)
    viewer = begin(Lane.ONDEMAND, FOR_EVER)
    await until_state(opening, "T")
    viewer.cancel()
    await until_state(opening, RUNNING)
    assert state(ladder) == "T"


async def test_ladder_does_not_begin_beside_opening_work(begin: Begin, pid_of: Find, tmp_path):
    opening = begin(Lane.OPENING, FOR_EVER)
    await pid_of(Lane.OPENING)
    begin(Lane.LADDER, FOR_EVER)
    await asyncio.sleep(0.5)
    assert not pids_with(str(tmp_path / "ladder-program"))
    opening.cancel()
    await pid_of(Lane.LADDER)


async def test_paused_ladder_that_is_cancelled_leaves_no_process(begin: Begin, pid_of: Find):
    paused = begin(Lane.LADDER, FOR_EVER)
    ladder = await pid_of(Lane.LADDER)
    begin(Lane.OPENING, FOR_EVER)
    await until_state(ladder, "T")
    paused.cancel()
    await until_state(ladder, "X")


async def test_pause_counts_for_no_limit_of_time(begin: Begin, pid_of: Find, media):
    limits = replace(LIMITS, wall_s=6.0, no_progress_s=6.0)
    paused = begin(
        Lane.LADDER, "sleep 2", f'exec "{media.ffmpeg}" "$@"', limits=limits
    )  # fmt: skip
    ladder = await pid_of(Lane.LADDER)
    opening = begin(Lane.OPENING, FOR_EVER)
    await until_state(ladder, "T")
    await asyncio.sleep(7.0)
    opening.cancel()
    assert len(await paused) == 3


@pytest.fixture
def slow_ladder(begin: Begin, pid_of: Find, media, tmp_path) -> Slowly:
    """Begin a chunk of the ladder that takes as long as it plays, 4 s; give it and its FFmpeg."""

    async def start() -> tuple[Work, int]:
        work = begin(Lane.LADDER, "sleep 0.5", f'exec "{media.ffmpeg}" -re "$@"')
        pid = await pid_of(Lane.LADDER)
        await until_gone(str(tmp_path / "ladder-program"))  # the process has become FFmpeg
        return work, pid

    return start


async def test_ladder_gets_its_turns_beside_endless_opening_work(
    bench, begin: Begin, pid_of: Find, slow_ladder: Slowly
):
    bench.lanes = LaneGate(longest_pause_s=0.4)
    begin(Lane.OPENING, FOR_EVER)
    await pid_of(Lane.OPENING)
    work, ladder = await slow_ladder()
    await until_state(ladder, "T")
    assert len(await work) == 3


async def test_opening_gets_its_turns_beside_endless_work_for_viewers(begin: Begin, pid_of: Find):
    begin(Lane.OPENING, FOR_EVER)
    opening = await pid_of(Lane.OPENING)
    begin(Lane.ONDEMAND, FOR_EVER)
    await until_state(opening, "T")
    await until_state(opening, RUNNING)
    await until_state(opening, "T")


async def test_processes_have_priorities_in_the_order_of_their_ranks(
    bench, begin: Begin, pid_of: Find
):
    bench.lanes = LaneGate(longest_pause_s=0)  # as those of several encoders run beside each other
    own = os.getpriority(os.PRIO_PROCESS, 0)
    ranks = (Rank.ONDEMAND, Rank.OPENING, Rank.AHEAD, Rank.LADDER)
    for rank, nice in zip(ranks, (0, 2, 5, 10), strict=True):
        begin(rank, FOR_EVER)
        await until_nice(await pid_of(rank), own + nice)


async def test_pauses_change_no_byte(bench, begin: Begin, slow_ladder: Slowly, make_task, video):
    work, ladder = await slow_ladder()
    for _ in range(3):
        pause = begin(Lane.OPENING, FOR_EVER)
        await until_state(ladder, "T")
        pause.cancel()
        await until_state(ladder, RUNNING)
        await asyncio.sleep(0.2)  # the next pause finds it at another place
    task = make_task(video, segments=[25, 25, 50], lane=Lane.LADDER)
    undisturbed = await bench.encode(video, task)
    assert [s.data for s in await work] == [s.data for s in undisturbed]


async def test_opening_is_less_urgent_from_its_first_segments_on(bench, make_task, media):
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=6"]
    path = media.numbered("sound.mp4", "25", 150, "-c:a", "aac", before=tone)
    task = make_task(path, segments=[25, 25, 50], audio_segments=[47, 47, 94])
    bench.lanes = Moves(longest_pause_s=10.0)
    made = [segment.rendition for segment in await bench.encode(path, task)]
    both = max(made.index("180p"), made.index("audio"))
    assert bench.lanes.ranks == [Rank.OPENING] * both + [Rank.OPENED] * (len(made) - both)


PAUSE_FOR_EVER = """
import asyncio, sys
from reelay.encoder.adapters.lane_gate import LaneGate
from reelay.encoder.adapters.pipes import OutputPipes
from reelay.encoder.adapters.process import Limits, running
from reelay.encoder.domain.precedence import Rank

async def main():
    gate = LaneGate(600)
    with gate.seat(Rank.LADDER) as seat:
        async with running([sys.argv[1]], OutputPipes(0), Limits(1 << 32, 600, 600), 0) as it:
            seat.hold(it)
            await asyncio.sleep(0.5)
            with gate.seat(Rank.OPENING):
                print(it.pid, flush=True)
                await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_killed_encoder_leaves_no_paused_process(tmp_path):
    os.mkfifo(tmp_path / "paused.never")
    program = script(tmp_path / "paused", "echo begun >&2", FOR_EVER)
    argv = [sys.executable, "-c", PAUSE_FOR_EVER, program]
    encoder = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert encoder.stdout is not None
    pid = int(await encoder.stdout.readline())
    await until_state(pid, "T")
    encoder.kill()
    await encoder.wait()
    await until_state(pid, "XZ")
