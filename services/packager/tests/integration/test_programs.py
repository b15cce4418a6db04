"""Helper programs are held to their limits, whatever they do."""

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reelay.common import launcher
from reelay.common.source_input import SourceInput
from reelay.common.testing.servers import wait_until
from reelay.packager.adapters import ffprobe
from reelay.packager.adapters.ffprobe import ENDLESS, TOO_LONG, FFprobe
from reelay.packager.adapters.process import (
    LOG_BYTES,
    OUTPUT_LIMIT_BYTES,
    EndlessOutputError,
    ProgramKilledError,
    ProgramMissingError,
    ProgramTimeoutError,
    run_program,
)
from reelay.packager.domain.source import UnplayableSourceError

pytestmark = pytest.mark.integration


def script(path: Path, *lines: str) -> str:
    """A program that takes any arguments."""
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def test_program_that_prints_without_end_is_ended_long_before_its_time() -> None:
    with pytest.raises(EndlessOutputError):
        await run_program(["yes"], timeout_s=60)


async def test_program_may_print_up_to_its_limit() -> None:
    done = await run_program(["head", "-c", str(OUTPUT_LIMIT_BYTES), "/dev/zero"], timeout_s=60)
    assert (done.code, len(done.stdout)) == (0, OUTPUT_LIMIT_BYTES)


async def test_of_many_complaints_the_last_are_kept(tmp_path: Path) -> None:
    program = script(tmp_path / "moans", "yes ouch | head -c 3000000 >&2", "echo done >&2")
    done = await run_program([program], timeout_s=60)
    assert len(done.stderr) == LOG_BYTES
    assert done.stderr.endswith("ouch\ndone\n")


async def test_program_that_takes_too_long_is_ended_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    program = script(tmp_path / "waits", "sleep 600")
    async with asyncio.timeout(60):
        with pytest.raises(ProgramTimeoutError):
            await run_program([program], timeout_s=0.3)


async def test_source_that_ffprobe_cannot_stop_to_describe_is_refused(tmp_path: Path) -> None:
    endless = FFprobe(script(tmp_path / "ffprobe", "yes"))
    with pytest.raises(UnplayableSourceError) as refusal:
        await endless.probe(SourceInput("file:/dev/null", "file"))
    assert refusal.value.detail == ENDLESS


@pytest.mark.parametrize(
    ("limit", "line"),
    [("PROBE_TIMEOUT_S", "exec sleep 600"), ("PROBE_CPU_S", "while :; do :; done")],
)
async def test_source_that_ffprobe_is_not_done_with_in_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, line: str
) -> None:
    monkeypatch.setattr(ffprobe, limit, 0.3)
    slow = FFprobe(script(tmp_path / "ffprobe", line))
    with pytest.raises(UnplayableSourceError) as refusal:
        await slow.probe(SourceInput("file:/dev/null", "file"))
    assert refusal.value.detail == TOO_LONG


async def test_ffprobe_that_is_killed_from_outside_is_no_fault_of_the_source(
    tmp_path: Path,
) -> None:
    killed = FFprobe(script(tmp_path / "ffprobe", "kill -9 $$"))
    with pytest.raises(ProgramKilledError):
        await killed.probe(SourceInput("file:/dev/null", "file"))


async def test_program_that_computes_too_long_is_ended_before_its_time(tmp_path: Path) -> None:
    program = script(tmp_path / "computes", "while :; do :; done")
    with pytest.raises(ProgramTimeoutError, match="computed"):
        await run_program([program], timeout_s=600, cpu_s=0.3)


async def test_program_that_is_not_there_is_told_of() -> None:
    with pytest.raises(ProgramMissingError, match="nowhere"):
        await run_program(["/nowhere/packager", "--version"], timeout_s=60)


RUN_FOR_EVER = """
import asyncio, sys
from reelay.common import launcher
from reelay.packager.adapters.process import run_program

if sys.argv[2] == "ourselves":
    launcher._small_programs = lambda: None
asyncio.run(run_program([sys.argv[1]], timeout_s=600))
"""


@pytest.mark.parametrize("started_by", ["small programs", "ourselves"])
def test_killed_packager_leaves_no_program_behind(tmp_path: Path, started_by: str) -> None:
    if started_by == "small programs" and launcher._small_programs() is None:
        pytest.skip("this machine has no setpriv")
    note = tmp_path / "pid"
    program = script(tmp_path / "rewrites", f"echo $$ > {note}", "exec sleep 600")
    packager = subprocess.Popen([sys.executable, "-c", RUN_FOR_EVER, program, started_by])
    with packager:
        wait_until(lambda: note.exists() and note.read_text().strip(), "the program runs")
        pid = int(note.read_text())
        packager.kill()
        packager.wait()
        wait_until(lambda: has_ended(pid), "the program has ended with the packager")


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or a zombie (proc(5), /proc/pid/stat)."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return line.rpartition(")")[2].split()[0] == "Z"
