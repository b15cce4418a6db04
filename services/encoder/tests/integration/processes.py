"""Programs instead of FFmpeg, and what the kernel says of them."""

import asyncio
import contextlib
import os
import stat
from pathlib import Path


def script(path: Path, *lines: str) -> str:
    """A program that FFmpeg's arguments are given to."""
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def pids_with(word: str) -> list[int]:
    """Processes that live and have `word` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if word in line and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


async def running_as(word: str) -> int:
    """Wait for a process with `word` in its command line; return its id."""
    for _ in range(500):
        if found := pids_with(word):
            return found[0]
        await asyncio.sleep(0.02)
    raise TimeoutError(word)


def state(pid: int) -> str:
    """The state of a process (proc(5)): R, S, D, T for stopped, Z; X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


async def until_state(pid: int, states: str) -> str:
    """Wait until a process is in one of the states."""
    for _ in range(2000):
        if (now := state(pid)) in states:
            return now
        await asyncio.sleep(0.01)
    raise TimeoutError(f"process {pid} is in state {now}")


async def until_gone(word: str) -> None:
    """Wait until no process has `word` in its command line: killed ones need a moment to end."""
    for _ in range(500):
        if not pids_with(word):
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{word} still runs as {pids_with(word)}")


def thread_nices(pid: int) -> list[int]:
    """The nice values of all threads of a process (proc(5), /proc/pid/task/tid/stat)."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(int((thread / "stat").read_text().rpartition(")")[2].split()[16]))
    return found


async def until_nice(pid: int, nice: int, threads: int = 1) -> None:
    """Wait until a process has so many threads and all of them this nice value, at most 19."""
    for _ in range(2000):
        nices = thread_nices(pid)
        if len(nices) >= threads and set(nices) == {min(nice, 19)}:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the threads of {pid} have the nice values {sorted(nices)}")
