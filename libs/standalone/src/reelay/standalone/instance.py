"""The state of an instance as others see it: who runs in a data directory, and where."""

import fcntl
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reelay.common.errors import PermanentError
from reelay.standalone.endpoints import LOOPBACK

STATE = Path("run") / "instance.json"
LOCK = Path("run") / "lock"


class AlreadyRunningError(PermanentError):
    """Another `reelay up` runs in this data directory."""


class DataDirectoryError(PermanentError):
    """The data directory cannot be used."""


@dataclass(frozen=True)
class Instance:
    """What `reelay up` wrote down when it started."""

    pid: int
    started: int
    """Start of process `pid` in clock ticks since boot: a reused pid does not deceive us."""
    url: str
    readiness_url: str
    services: dict[str, str]
    """URL of each service's own port."""
    ports: dict[str, int] = field(default_factory=dict)
    nats_listen: str = LOOPBACK
    """Address on which NATS listens; all others listen on loopback."""

    def is_alive(self) -> bool:
        return start_time(self.pid) == self.started

    def readiness(self) -> dict[str, Any]:
        """Ask the running instance; empty when it does not answer."""
        try:
            with urllib.request.urlopen(self.readiness_url, timeout=5) as answer:  # noqa: S310 - our own loopback URL
                body = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
        except OSError:
            return {}
        ready: dict[str, Any] = json.loads(body)
        return ready

    def status(self) -> dict[str, dict[str, dict[str, str | bool]]]:
        """Return what `reelay status --json` prints: URL and readiness of every service."""
        ready = self.readiness().get("services", {})
        return {
            "services": {
                name: {"url": url, "ready": bool(ready.get(name, {}).get("ready", False))}
                for name, url in self.services.items()
            }
        }


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot (proc_pid_stat(5), field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def read(data: Path) -> Instance | None:
    """Return the instance that runs, or last ran, in a data directory."""
    try:
        return Instance(**json.loads((data / STATE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def running(data: Path) -> Instance | None:
    """Return the instance that runs in a data directory now."""
    instance = read(data)
    return instance if instance and instance.is_alive() else None


def write(data: Path, instance: Instance) -> None:
    """Replace the state in one step."""
    new = (data / STATE).with_suffix(".new")
    new.write_text(json.dumps(asdict(instance), indent=2) + "\n")
    new.replace(data / STATE)


@contextmanager
def claim(data: Path) -> Iterator[None]:
    """Own a data directory, creating it if need be, until the block or this process ends.

    Raises AlreadyRunningError, or DataDirectoryError when it cannot be written.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / "run").mkdir(exist_ok=True)
        lock = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirectoryError(
            f"Cannot use {data} (REELAY_DATA) as data directory: {error.strerror}."
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = running(data)
            where = f" at {other.url} (process {other.pid})" if other else ""
            raise AlreadyRunningError(
                f"Reelay already runs in {data}{where}; stop it, or choose another REELAY_DATA."
            ) from None
        yield
    finally:
        os.close(lock)
