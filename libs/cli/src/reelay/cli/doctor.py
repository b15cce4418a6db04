"""Checks whether this machine can run Reelay, and says what is missing and how to get it."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reelay.cli import quantities
from reelay.common.child import command as child_command
from reelay.standalone.instance import running
from reelay.standalone.programs import ProgramMissingError, Programs, find_programs
from reelay.standalone.settings import Settings

GIB = 1024**3
OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 2 * GIB
LEAST_MEMORY_BYTES = 2 * GIB
LEAST_CORES = 2
LEAST_FILES = 1024
RUN_TIMEOUT_S = 20.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    """How to get what is missing."""
    required: bool = True


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings) -> list[Finding]:
    """Make all checks; nothing is changed on this machine."""
    return [finding for check in CHECKS for finding in check(settings)]


def _python(_: Settings) -> Iterator[Finding]:
    ok = sys.version_info[:2] >= OLDEST_PYTHON
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, OLDEST_PYTHON))
    yield Finding("python", ok, found, f"Python {wanted} or later is needed: `make up PYTHON=…`")


def _programs(settings: Settings) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="reelay-doctor-") as copies:
        try:
            programs = find_programs(Path(copies))
        except ProgramMissingError as error:
            yield Finding("programs", False, error.detail, "`make up` installs all of them")
            return
        for name, argv in _versions(programs).items():
            yield _runs(name, argv)
        yield _encoders(programs)


def _versions(programs: Programs) -> dict[str, list[str]]:
    return {
        "nats-server": [str(programs.nats_server), "--version"],
        "postgres": [str(programs.postgres / "postgres"), "--version"],
        "initdb": [str(programs.postgres / "initdb"), "--version"],
        "caddy": [str(programs.caddy), "version"],
        "ffprobe": [str(programs.ffprobe), "-version"],
        "shaka-packager": [str(programs.shaka), "--version"],
    }


def _encoders(programs: Programs) -> Finding:
    """Encode a moment of picture and sound: a list of encoders would prove nothing."""
    sources = ["-f", "lavfi", "-i", "testsrc=s=64x64:d=0.2", "-f", "lavfi", "-i", "sine=d=0.2"]
    encode = ["-c:v", "libx264", "-c:a", "aac", "-f", "null", "-"]
    argv = [str(programs.ffmpeg), "-hide_banner", "-loglevel", "error", *sources, *encode]
    found = _runs("ffmpeg", argv)
    return Finding("ffmpeg", True, "encodes H.264 and AAC") if found.ok else found


def _runs(name: str, argv: list[str]) -> Finding:
    remedy = f"reinstall it with `make clean up`; it is at {argv[0]}"
    try:
        done = subprocess.run(argv, capture_output=True, timeout=RUN_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(name, False, f"does not run: {error}", remedy)
    lines = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines() or [""]
    if done.returncode:
        return Finding(name, False, f"ends with {done.returncode}: {lines[-1][:200]}", remedy)
    return Finding(name, True, lines[0][:60])


def _ports(settings: Settings) -> Iterator[Finding]:
    name = f"port {settings.port}"
    if instance := running(settings.data):
        yield Finding(name, True, f"Reelay already runs at {instance.url}")
        return
    remedy = "choose another: `REELAY_PORT=8081 make up`"
    yield _port(name, settings.host, settings.port, remedy)
    if listen := settings.nats_listen:
        remedy = "choose an address of this machine and a free port in REELAY_NATS_LISTEN"
        yield _port(f"NATS at {listen}", listen.host, listen.port, remedy)


def _port(name: str, host: str, port: int, remedy: str) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return Finding(name, False, f"cannot be used on {host}: {error.strerror}", remedy)
    return Finding(name, True, "free")


def _data_directory(settings: Settings) -> Iterator[Finding]:
    existing = settings.data
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        remedy = "choose another: `REELAY_DATA=/some/where make up`"
        yield Finding("data directory", False, f"{settings.data}: {error.strerror}", remedy)
        return
    yield Finding("data directory", True, f"{settings.data} is writable")
    free = shutil.disk_usage(existing).free
    yield Finding(
        "disk space",
        free >= LEAST_FREE_BYTES,
        f"{quantities.size(free)} free",
        f"at least {quantities.size(LEAST_FREE_BYTES)} are needed; videos take about twice their "
        "own size more",
    )


def _machine(_: Settings) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    slow = "encoding will be slow below two cores"
    yield Finding("cores", cores >= LEAST_CORES, str(cores), slow, required=False)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    few = f"{quantities.size(LEAST_MEMORY_BYTES)} or more are advisable"
    found = quantities.size(memory)
    yield Finding("memory", memory >= LEAST_MEMORY_BYTES, found, few, required=False)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    ok = files == resource.RLIM_INFINITY or files >= LEAST_FILES
    said = "unlimited" if files == resource.RLIM_INFINITY else str(files)
    yield Finding("open files", ok, said, f"raise the limit: `ulimit -n {LEAST_FILES}`")


def _user_namespace(_: Settings) -> Iterator[Finding]:
    if os.geteuid() != 0:
        yield Finding("user", True, "not root")
        return
    argv = child_command(["true"], death_signal=signal.SIGKILL, unprivileged=True)
    if _runs("user namespaces", argv).ok:
        yield Finding("user", True, "root; PostgreSQL runs in a user namespace")
        return
    remedy = (
        "PostgreSQL refuses root, and this kernel or container forbids user namespaces: run as "
        "an ordinary user, or install setpriv (`apt-get install util-linux`)"
    )
    detail = "root, and no user namespaces; PostgreSQL runs as an ordinary user by setpriv"
    setpriv = shutil.which("setpriv") is not None
    yield Finding("user", setpriv, detail if setpriv else "root, and no user namespaces", remedy)


def _browser(_: Settings) -> Iterator[Finding]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    yield Finding(
        "chromium",
        path is not None,
        path or "not found",
        "only the browser tests need it: `apt-get install chromium`",
        required=False,
    )


CHECKS: tuple[Check, ...] = (
    _python, _programs, _user_namespace, _ports, _data_directory, _machine, _browser,
)  # fmt: skip
