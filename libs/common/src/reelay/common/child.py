"""Becomes another program that dies with its parent: `python -m reelay.common.child`.

Linux only (prctl(2), user_namespaces(7)). A program that refuses root, as PostgreSQL does, is run
in a user namespace of its own, where root's files belong to an ordinary user.
"""

import argparse
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
INNER_ID = 1000


def command(
    argv: Sequence[str],
    *,
    death_signal: signal.Signals,
    unprivileged: bool = False,
    limits: Mapping[int, int] | None = None,
    nice: int = 0,
) -> list[str]:
    """Return the command line that runs `argv` so that it gets `death_signal` with our death.

    `limits` are resource limits by RLIMIT number, soft and hard alike; `nice` is how much lower
    than ours its priority is. The signal follows the
    thread that starts the child: start it from the main thread.
    """
    options = ["--signal", str(int(death_signal)), "--parent", str(os.getpid())]
    if unprivileged and os.geteuid() == 0:
        options.append("--unprivileged")
    for number, limit in (limits or {}).items():
        options += ["--limit", str(number), str(limit)]
    if nice:
        options += ["--nice", str(nice)]
    return [sys.executable, "-S", "-E", str(Path(__file__)), *options, "--", *argv]


def die_with_parent(number: int, parent: int) -> None:
    """Ask the kernel for signal `number` when the parent dies; end at once when it has."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit(1)


def leave_root() -> None:
    """Enter a user namespace in which this process is an ordinary user and owns root's files.

    Raises OSError where the kernel or a sandbox forbids it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INNER_ID} 0 1")
    Path("/proc/self/gid_map").write_text(f"{INNER_ID} 0 1")


def main() -> None:
    """Prepare this process and become the program after `--`."""
    parser = argparse.ArgumentParser(prog="reelay.common.child")
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--unprivileged", action="store_true")
    parser.add_argument("--limit", type=int, nargs=2, action="append", default=[])
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("argv", nargs="+")
    options = parser.parse_args()
    if options.unprivileged:
        leave_root()
    # After the change of credentials, which would clear it.
    die_with_parent(options.signal, options.parent)
    for number, limit in options.limit:
        resource.setrlimit(number, (limit, limit))
    os.nice(options.nice)
    os.execvp(options.argv[0], options.argv)  # noqa: S606  # its whole purpose


if __name__ == "__main__":
    main()
