"""What the environment says: data directory, server, token, and where to remember uploads."""

import ipaddress
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from reelay.cli.errors import TokenMissingError
from reelay.standalone import instance
from reelay.standalone.settings import Settings


def data_directory() -> Path:
    """Return the data directory of the instance on this machine."""
    return Settings.from_environment().data


def state_directory() -> Path:
    """Return where this user's programs keep state (XDG Base Directory Specification 0.8)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    # Relative paths are invalid there and must be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return root / "reelay"


def default_server() -> str:
    """Return the address of the instance that runs in the data directory, or would."""
    settings = Settings.from_environment()
    running = instance.running(settings.data)
    return running.url if running else settings.url


def check_server(url: str) -> str:
    """Return the address of a server without a trailing slash; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not an address such as https://video.example")
    if parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} holds more than scheme, host, port and path")
    return url.rstrip("/")


def check_host(text: str) -> str:
    """Return a host name or IP address, alone; raises ValueError."""
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        labels = text.removesuffix(".").split(".")
        if not all(re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?", x) for x in labels):
            raise ValueError(f"{text!r} is neither a host name nor an address") from None
        return text


def is_this_machine(server: str) -> bool:
    """Tell whether an address can only mean the machine that asks."""
    host = urlsplit(server).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def find_token(server: str, given: str | None) -> str:
    """Return the bearer token for `server`: the given one, else the local administrator's.

    The administrator's token is sent to this machine alone. Raises TokenMissingError.
    """
    if given:
        return given.strip()
    path = data_directory() / "admin-token"
    if not is_this_machine(server):
        raise TokenMissingError(
            f"No token for {server}: pass --token or set REELAY_TOKEN "
            f"({path} is only sent to this machine)."
        )
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise TokenMissingError(
            f"No token: pass --token, set REELAY_TOKEN, or set REELAY_DATA to the directory of the "
            f"running instance ({path}: {error.strerror})."
        ) from error
    if not token:
        raise TokenMissingError(f"{path} is empty; pass --token or set REELAY_TOKEN.")
    return token
