"""Finds and ends processes of an instance that outlived their supervisor.

Every child carries a mark in its environment, inherited by whatever it starts; PostgreSQL
overwrites its own environment and is known by its working directory. So no pid is trusted that
the kernel may have given to somebody else.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "REELAY_INSTANCE"
POLL_S = 0.02


def mark(data: Path) -> str:
    """Return what tells one data directory from another, also after a rename or in a chroot."""
    status = data.stat()
    return f"{status.st_dev}:{status.st_ino}"


def find(marked: str, *, child: str | None = None, working_in: Path | None = None) -> set[int]:
    """Return the processes with a mark (of one child, or of all) or working in a folder."""
    wanted = f"{MARK}={marked}/{child or ''}".encode()
    folder = working_in.stat() if working_in and working_in.exists() else None
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if folder and os.path.samestat((entry / "cwd").stat(), folder):
                found.add(int(entry.name))
                continue
            for variable in (entry / "environ").read_bytes().split(b"\0"):
                if variable == wanted or (child is None and variable.startswith(wanted)):
                    found.add(int(entry.name))
    return found


def clear(data: Path, postgres: Path, *, patience_s: float = 5.0) -> int:
    """Wait for the leftovers of a killed supervisor, kill what stays; return how many there were.

    They were told to end when it died, so most are ending already. The caller holds the lock of
    `data`: nobody else's process carries its mark.
    """
    marked = mark(data)
    alive = find(marked, working_in=postgres)
    number = len(alive)
    deadline = time.monotonic() + patience_s
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_S)
        alive = find(marked, working_in=postgres)
    while alive:
        kill(alive)
        time.sleep(POLL_S)
        alive = find(marked, working_in=postgres)
    return number


def kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
