"""The system's resolver."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from reelay.upload.domain.remote import RemoteError

THREADS = 8


class SystemResolver:
    """Implements Resolver, on threads of its own: a name server may keep them waiting for long."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolver")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """See Resolver. Numbers in any notation that the system knows are addresses, too."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError) as error:
            raise RemoteError(f"The name {host} cannot be resolved.") from error
        return list(dict.fromkeys(str(where[4][0]) for where in found))
