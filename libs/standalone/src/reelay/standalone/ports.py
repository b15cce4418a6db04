"""Chooses the internal ports and holds them until their owners listen."""

import errno
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from reelay.common.errors import PermanentError
from reelay.standalone.endpoints import Endpoint
from reelay.standalone.settings import Settings

INTERNAL = range(20_000, 30_000)
"""Below Linux's ephemeral range (32768 and up), so that no outgoing connection sits there."""

QUEUE_BYTES = 2 * 1024**2
"""What the kernel keeps of a connection that the gateway has not read (Linux keeps twice as much).
Its own choice grows to 32 MB beside a fast sender, and all of it is still to be stored when the
sender believes to be done. Enough for 300 Mbit/s of one connection at a round trip of 100 ms."""
LONGEST_QUEUE = Path("/proc/sys/net/core/rmem_max")


class PortTakenError(PermanentError):
    """Somebody else listens on a port that was chosen, or the address is not this machine's."""


class HeldPorts:
    """One port per name, bound by us without listening: on loopback, unless it was chosen.

    Linux lets a child that sets SO_REUSEADDR, as servers do, bind a held port; another instance
    that looks for a free one cannot.
    """

    def __init__(
        self,
        names: Iterable[str],
        wished: Mapping[str, int],
        chosen: Mapping[str, Endpoint] | None = None,
    ) -> None:
        """Wished ports are had if they are free; raises PortTakenError if a chosen one is not."""
        self._sockets = {name: _hold_chosen(name, where) for name, where in (chosen or {}).items()}
        for name in names:
            if name not in self._sockets:
                self._sockets[name] = _hold(wished.get(name))

    def __getitem__(self, name: str) -> int:
        port: int = self._sockets[name].getsockname()[1]
        return port

    def as_dict(self) -> dict[str, int]:
        return {name: self[name] for name in self._sockets}

    def release(self) -> None:
        for held in self._sockets.values():
            held.close()


def _hold_chosen(name: str, chosen: Endpoint) -> socket.socket:
    """Bind what REELAY_<NAME>_LISTEN says."""
    held = socket.socket(socket.AF_INET6 if ":" in chosen.host else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind((chosen.host, chosen.port))
    except OSError as error:
        held.close()
        setting = f"REELAY_{name.upper()}_LISTEN"
        if error.errno == errno.EADDRINUSE:
            detail = f"{chosen} is in use by another program; choose another port in {setting}."
            raise PortTakenError(detail) from None
        if error.errno == errno.EADDRNOTAVAIL:
            detail = f"This machine has no address {chosen.host}, which {setting} names."
            raise PortTakenError(detail) from None
        raise PortTakenError(f"Cannot listen on {chosen} ({setting}): {error.strerror}.") from None
    return held


def _hold(wished: int | None) -> socket.socket:
    """Bind the wished port if it is free, else a random free one."""
    if wished is not None and wished in INTERNAL and (held := _bind(wished, patient=False)):
        return held
    for port in random.sample(INTERNAL, len(INTERNAL)):
        if held := _bind(port, patient=True):
            return held
    raise PortTakenError(f"No port from {INTERNAL.start} to {INTERNAL.stop - 1} is free.")


def _bind(port: int, *, patient: bool) -> socket.socket | None:
    """Bind a port; a patient bind also refuses one that another instance holds or just left."""
    held = socket.socket()
    try:
        if not patient:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        held.close()
        return None
    return held


def listen_publicly(settings: Settings) -> socket.socket:
    """Return the listening socket of the gateway.

    We keep it, so it is claimed before anything starts, and connections wait instead of being
    refused while the gateway restarts. Raises PortTakenError.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if _longest_queue_bytes() >= QUEUE_BYTES:  # or we would get one that slows distant senders
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE_BYTES)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            detail = f"Port {settings.port} is in use by another program; choose one: REELAY_PORT="
            raise PortTakenError(f"{detail}8081 make up") from None
        raise PortTakenError(
            f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}."
        ) from None
    return listener


def _longest_queue_bytes() -> int:
    """Return what a program may ask for at most (socket(7)); 0 where the kernel does not say."""
    try:
        return int(LONGEST_QUEUE.read_text())
    except OSError:
        return 0
