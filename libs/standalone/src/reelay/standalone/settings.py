"""Settings of `reelay up`, from the environment, and where things lie in the data directory.

A plain dataclass: importing pydantic-settings would take longer than all else that
`reelay status` does.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from reelay.common.errors import PermanentError


class InvalidSettingError(PermanentError):
    """A REELAY_ variable has a value that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What an operator chooses; see `from_environment` for the variables."""

    port: int = 8080
    data: Path = field(default_factory=lambda: Path(".reelay").resolve())
    host: str = "127.0.0.1"
    public_url: str = ""
    """Where viewers reach the gateway; empty means `url`."""
    trusted_proxies: tuple[str, ...] = ()
    """CIDR ranges of the proxies that are believed when they name their clients' addresses."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read REELAY_PORT, REELAY_DATA, REELAY_HOST (address of the gateway), REELAY_PUBLIC_URL,
        REELAY_TRUSTED_PROXIES (CIDR ranges with spaces or commas between them).

        Raises InvalidSettingError when REELAY_PORT is not a TCP port, or a range is none.
        """
        port = environment.get("REELAY_PORT") or "8080"
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidSettingError(f"REELAY_PORT must be a port from 1 to 65535, not {port!r}.")
        return cls(
            port=int(port),
            data=Path(environment.get("REELAY_DATA") or ".reelay").expanduser().resolve(),
            host=environment.get("REELAY_HOST") or "127.0.0.1",
            public_url=(environment.get("REELAY_PUBLIC_URL") or "").rstrip("/"),
            trusted_proxies=_ranges(environment.get("REELAY_TRUSTED_PROXIES") or ""),
        )

    @property
    def url(self) -> str:
        """The gateway as seen from this machine."""
        host = "127.0.0.1" if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def store(self) -> Path:
        return self.data / "store"

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def nats(self) -> Path:
        return self.data / "nats"

    @property
    def logs(self) -> Path:
        return self.data / "log"

    @property
    def run(self) -> Path:
        """What only a running instance needs: lock, state, generated configuration."""
        return self.data / "run"

    @property
    def secret(self) -> Path:
        """Password of PostgreSQL and NATS, which listen where every user of a machine can knock."""
        return self.data / "internal-secret"

    @property
    def admin_token(self) -> Path:
        return self.data / "admin-token"


def _ranges(text: str) -> tuple[str, ...]:
    """Return the CIDR ranges of a list, as Caddy reads them; an address alone is a range of one."""
    return tuple(_range(word) for word in re.split(r"[\s,]+", text) if word)


def _range(text: str) -> str:
    try:
        if "%" in text:
            raise ValueError("a zone means nothing to others")
        return str(ip_network(text))
    except ValueError as error:
        raise InvalidSettingError(
            "REELAY_TRUSTED_PROXIES must list CIDR ranges such as 203.0.113.0/24 or "
            f"2001:db8::/32, not {text!r}: {error}."
        ) from error
