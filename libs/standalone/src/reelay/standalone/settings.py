"""Settings of `reelay up`, from the environment, and where things lie in the data directory.

A plain dataclass: importing pydantic-settings would take longer than all else that
`reelay status` does.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
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

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read REELAY_PORT, REELAY_DATA, REELAY_HOST (address of the gateway), REELAY_PUBLIC_URL.

        Raises InvalidSettingError when REELAY_PORT is not a TCP port.
        """
        port = environment.get("REELAY_PORT") or "8080"
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise InvalidSettingError(f"REELAY_PORT must be a port from 1 to 65535, not {port!r}.")
        return cls(
            port=int(port),
            data=Path(environment.get("REELAY_DATA") or ".reelay").expanduser().resolve(),
            host=environment.get("REELAY_HOST") or "127.0.0.1",
            public_url=(environment.get("REELAY_PUBLIC_URL") or "").rstrip("/"),
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
