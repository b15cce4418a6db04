"""What `reelay up` must know of each program that it runs."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from signal import SIGTERM, Signals

from reelay.standalone import loglines

Probe = Callable[[], Awaitable[bool]]
Step = Callable[[], Awaitable[None]]


class Tier(IntEnum):
    """Order of stopping: who is called stops before who answers."""

    GATEWAY = 0
    SERVICES = 1
    MESSAGING = 2
    DATABASE = 3


@dataclass(frozen=True)
class Child:
    """A program that is kept running."""

    name: str
    tier: Tier
    command: tuple[str, ...]
    is_ready: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    """Names of children that must be ready before this one starts."""
    prepare: Step | None = None
    """Done before every start."""
    complete: Step | None = None
    """Done when it answers, before it counts as ready."""
    stop_signal: Signals = SIGTERM
    stop_within_s: float = 10.0
    death_signal: Signals = SIGTERM
    """What the kernel sends it when the supervisor is killed."""
    launch: Callable[[tuple[str, ...], Signals], list[str]] | None = None
    """Makes the command line; by default one that dies with the supervisor."""
    works_in: Path | None = None
    """A folder that only its processes work in; for those that hide their environment."""
    keeps_fds: tuple[int, ...] = ()
    parse: loglines.Parser = loglines.structured


INHERITED = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE",
    "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
)  # fmt: skip


def inherited_environment() -> dict[str, str]:
    """Return the few variables that every child gets from ours."""
    ours = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return ours | {"PYTHONUNBUFFERED": "1"}
