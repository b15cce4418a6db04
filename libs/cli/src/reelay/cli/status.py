"""Asks the services of the instance on this machine how they are."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelay.cli.errors import InstanceMissingError
from reelay.standalone.instance import Instance, running

ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ServiceStatus:
    """One service, and what it says of itself."""

    name: str
    url: str
    ready: bool
    missing: str = ""
    """What it waits for; empty when ready."""


def find_instance(data: Path) -> Instance:
    """Return the instance that runs in a data directory; raises InstanceMissingError."""
    instance = running(data)
    if instance is None:
        raise InstanceMissingError(
            f"No Reelay runs in {data} (REELAY_DATA); start it with `reelay up`."
        )
    return instance


def ask_services(instance: Instance) -> list[ServiceStatus]:
    """Ask `/readyz` of all services at once."""
    with ThreadPoolExecutor(max_workers=max(1, len(instance.services))) as pool:
        return list(pool.map(lambda item: _ask(*item), instance.services.items()))


def as_json(statuses: list[ServiceStatus]) -> dict[str, Any]:
    """Return what `reelay status --json` prints."""
    return {"services": {one.name: {"url": one.url, "ready": one.ready} for one in statuses}}


def as_table(instance: Instance, statuses: list[ServiceStatus]) -> str:
    """Return what `reelay status` prints."""
    rows = [("SERVICE", "STATE", "ADDRESS")]
    rows += [
        (one.name, "ready" if one.ready else "not ready", f"{one.url} {one.missing}".rstrip())
        for one in statuses
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{name:<{widths[0]}}  {state:<{widths[1]}}  {where}" for name, state, where in rows]
    return "\n".join([f"Reelay at {instance.url} (process {instance.pid})", "", *lines])


def _ask(name: str, url: str) -> ServiceStatus:
    # Without the environment's proxies, which cannot reach this machine's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=ANSWER_TIMEOUT_S):
            return ServiceStatus(name, url, ready=True)
    except urllib.error.HTTPError as error:
        with error:
            return ServiceStatus(name, url, ready=False, missing=_missing(error.read()))
    except (OSError, ValueError) as error:
        return ServiceStatus(name, url, ready=False, missing=f"({_why(error)})")


def _missing(body: bytes) -> str:
    try:
        checks = json.loads(body)["checks"]
        return "; ".join(f"{name}: {what}" for name, what in checks.items() if what != "ok")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason)
