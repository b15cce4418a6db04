"""Asks a server whether it is ready, over plain sockets so that nothing heavy is imported."""

import asyncio
import struct

TIMEOUT_S = 2.0
POSTGRES_PROTOCOL_3 = 196_608


async def http_ready(port: int, path: str = "/readyz") -> bool:
    """Tell whether `GET path` on loopback answers 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answer = await _first_bytes(port, request.encode(), 12)
    return answer[9:12] == b"200"


async def nats_ready(host: str, port: int) -> bool:
    """Tell whether NATS accepts clients, which it does only after JetStream has recovered."""
    return (await _first_bytes(port, b"", 4, host)) == b"INFO"


async def postgres_ready(port: int, user: str) -> bool:
    """Tell whether PostgreSQL asks `user` for a password rather than to come back later.

    Message formats: PostgreSQL manual, section 54.7 (StartupMessage, Authentication).
    """
    body = f"user\0{user}\0database\0postgres\0\0".encode()
    message = struct.pack("!II", len(body) + 8, POSTGRES_PROTOCOL_3) + body
    return (await _first_bytes(port, message, 1)) == b"R"


async def _first_bytes(port: int, request: bytes, count: int, host: str = "127.0.0.1") -> bytes:
    """Return the first bytes of an answer, or nothing if there is none in time."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                return await reader.readexactly(count)
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return b""
