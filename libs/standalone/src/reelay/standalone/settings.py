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
from reelay.standalone.endpoints import LOOPBACK, Endpoint, from_here, joined, parse_endpoint


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
    shared_store: str = ""
    """URL of an object store (reelay.common.storage.open_store); empty means a folder in `data`."""
    nats_listen: Endpoint | None = None
    """Where NATS listens; None means loopback, with any free port."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read REELAY_PORT, REELAY_DATA, REELAY_HOST (address of the gateway), REELAY_PUBLIC_URL,
        REELAY_TRUSTED_PROXIES (CIDR ranges with spaces or commas between them), and what encoders
        on other machines need: REELAY_STORE_URL, REELAY_NATS_LISTEN (address:port).

        Raises InvalidSettingError when REELAY_PORT is not a TCP port, a range is none, or the
        address of NATS is none. The URL of the store is checked when it is used.
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
            shared_store=environment.get("REELAY_STORE_URL") or "",
            nats_listen=_endpoint(environment.get("REELAY_NATS_LISTEN") or ""),
        )

    @property
    def url(self) -> str:
        """The gateway as seen from this machine."""
        return f"http://{joined(from_here(self.host), self.port)}"

    @property
    def store(self) -> Path:
        """The folder of the objects, unless there is a `shared_store`."""
        return self.data / "store"

    @property
    def store_url(self) -> str:
        return self.shared_store or self.store.as_uri()

    @property
    def store_place(self) -> Path:
        """Says which shared store this data directory belongs to; absent without one."""
        return self.data / "store-place"

    @property
    def store_url_file(self) -> Path:
        """The URL of the running instance's store, with its secret."""
        return self.run / "store-url"

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def nats_host(self) -> str:
        """NATS as seen from this machine."""
        return from_here(self.nats_listen.host) if self.nats_listen else LOOPBACK

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
    def encoder_secret(self) -> Path:
        """Password of NATS for encoders that are started elsewhere."""
        return self.data / "encoder-secret"

    @property
    def admin_token(self) -> Path:
        return self.data / "admin-token"


def _endpoint(text: str) -> Endpoint | None:
    try:
        return parse_endpoint(text) if text else None
    except ValueError as error:
        raise InvalidSettingError(
            "REELAY_NATS_LISTEN must be an IP address of this machine and a port, such as "
            f"10.0.0.5:4222 or [fd00::5]:4222, not {text!r}: {error}."
        ) from error


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
