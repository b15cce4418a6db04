"""What an encoder that is started elsewhere must be told to work for an instance."""

import shlex
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from reelay.common.errors import PermanentError
from reelay.standalone import nats
from reelay.standalone.endpoints import Endpoint, from_here
from reelay.standalone.instance import Instance
from reelay.standalone.settings import Settings


class AddressMissingError(PermanentError):
    """NATS listens on all addresses, and which of them the encoder reaches is not known."""


def environment(settings: Settings, instance: Instance, nats_host: str = "") -> dict[str, str]:
    """Return the variables of an encoder of a running instance.

    `nats_host` is the name or address under which the encoder reaches NATS, where that is not the
    one on which it listens. Raises AddressMissingError.
    """
    listen = nats_endpoint(instance)
    if listen.is_everywhere and not nats_host:
        raise AddressMissingError(
            f"NATS listens on all addresses ({listen}): say by which of them, or by which name, "
            "the encoder reaches this machine: --nats-host 10.0.0.5"
        )
    password = settings.encoder_secret.read_text().strip()
    host = nats_host or listen.host
    return {
        "ENCODER_NATS_URL": nats.url(host, listen.port, password, nats.ENCODER_USER),
        "ENCODER_STORE_URL": store_url(settings),
    }


def as_lines(variables: Mapping[str, str]) -> str:
    """Return lines that a shell, and systemd's EnvironmentFile, understand."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def obstacles(settings: Settings, instance: Instance, nats_host: str = "") -> list[str]:
    """Return why an encoder on another machine would reach nothing: one sentence each."""
    found = []
    if nats_endpoint(instance).is_loopback and not nats_host:
        found.append(
            "NATS listens on this machine alone: set REELAY_NATS_LISTEN=<address>:4222 and start "
            "`reelay up` again."
        )
    store = urlsplit(store_url(settings))
    if store.scheme == "file":
        found.append(f"The encoder must find the folder {unquote(store.path)} at the same place.")
    elif store.hostname in ("127.0.0.1", "::1", "localhost"):
        found.append(f"The store's address, {store.hostname}, means another machine elsewhere.")
    return found


def nats_endpoint(instance: Instance) -> Endpoint:
    """Return where NATS of a running instance listens."""
    return Endpoint(instance.nats_listen, instance.ports["nats"])


def nats_url(settings: Settings, instance: Instance) -> str:
    """Return how this machine reaches NATS of a running instance, as the instance itself."""
    password = settings.secret.read_text().strip()
    return nats.url(from_here(instance.nats_listen), instance.ports["nats"], password)


def store_url(settings: Settings) -> str:
    """Return the store of a running instance, whatever this process's environment says."""
    return settings.store_url_file.read_text().strip()
