"""FFmpeg yields to more urgent work with all its threads, from its beginning."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reelay.common import launcher
from reelay.encoder.adapters.pipes import OutputPipes
from reelay.encoder.adapters.process import Limits, running

from .conftest import words
from .processes import pids_with, script, until_nice

pytestmark = pytest.mark.integration

LIMITS = Limits(memory_bytes=4 << 30, wall_s=60, no_progress_s=20)
BUSY_S = 0.5
MANY = 8


def be_busy_once_there_is(word: str) -> None:
    """Keep the event loop from all else for a while when a process has come."""
    if pids_with(word):
        time.sleep(BUSY_S)
    else:
        asyncio.get_running_loop().call_soon(be_busy_once_there_is, word)


@pytest.mark.parametrize("started_by", ["small programs", "ourselves"])
async def test_all_threads_yield_though_we_were_busy_when_they_began(
    media, tmp_path, monkeypatch, started_by
):
    if started_by == "ourselves":
        monkeypatch.setattr(launcher, "_small_programs", lambda: None)
    title = f"title={tmp_path}"
    make = words("-re -f lavfi -i testsrc2=s=320x180 -t 600 -c:v libx264 -threads 4 -metadata")
    argv = [media.ffmpeg, "-v", "error", *make, title, "-f", "null", "-"]
    asyncio.get_running_loop().call_soon(be_busy_once_there_is, title)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    async with running(argv, OutputPipes(0), LIMITS, 10) as ffmpeg:
        await until_nice(ffmpeg.pid, own + 10, MANY)


YIELD_MORE = """
import asyncio, os, sys
from pathlib import Path
from reelay.encoder.adapters.pipes import OutputPipes
from reelay.encoder.adapters.process import Limits, running

async def main():
    own = os.nice(5)
    async with running([sys.argv[1]], OutputPipes(0), Limits(1 << 32, 600, 600), 2) as it:
        while not Path(f"/proc/{it.pid}/cmdline").read_bytes().startswith(b"sleep"):
            await asyncio.sleep(0.02)
        print(os.getpriority(os.PRIO_PROCESS, it.pid) - own, flush=True)

asyncio.run(main())
"""


def test_priority_is_lowered_from_that_of_the_encoder(tmp_path):
    program = script(tmp_path / "patient", "exec sleep 600")
    encoder = [sys.executable, "-c", YIELD_MORE, program]
    done = subprocess.run(encoder, check=True, capture_output=True, timeout=120)
    assert int(done.stdout) == 2


async def test_group_is_lowered_though_the_kernel_refuses_at_first(tmp_path, monkeypatch):
    written: list[str] = []
    accepted = asyncio.Event()

    def refuse_twice(path: Path, text: str) -> None:
        written.append(f"{path.name} {text}")
        if len(written) < 3:
            raise BlockingIOError
        accepted.set()

    monkeypatch.setattr(Path, "write_text", refuse_twice)
    async with running(["sleep", "600"], OutputPipes(0), LIMITS, 7):
        async with asyncio.timeout(20):
            await accepted.wait()
    assert written == ["autogroup 7"] * 3
