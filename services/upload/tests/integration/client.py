"""A small tus client, and one that breaks off."""

import asyncio
import base64
import hashlib
import socket
from collections.abc import AsyncIterator
from random import Random
from uuid import UUID

import httpx

PART = 8 * 1024 * 1024
OCTETS = "application/offset+octet-stream"
FTYP = bytes.fromhex("00000020667479706d703432000000006d70343269736f6d61766331") + bytes(4)


def movie(size_bytes: int, seed: int = 1) -> bytes:
    """Return bytes that begin as an MP4 file does; a video only by its magic."""
    return (FTYP + Random(seed).randbytes(max(0, size_bytes - len(FTYP))))[:size_bytes]


def asset_id_of(data: bytes) -> str:
    """Return the identity of a file as DESIGN defines it, computed independently."""
    parts = [data[at : at + PART] for at in range(0, len(data), PART)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


async def slowly(data: bytes, pieces: int, pause_s: float) -> AsyncIterator[bytes]:
    """Yield bytes with pauses between them."""
    step = -(-len(data) // pieces)
    for at in range(0, len(data), step):
        yield data[at : at + step]
        await asyncio.sleep(pause_s)


def metadata(**values: object) -> str:
    pairs = (
        f"{key} {base64.b64encode(str(value).encode()).decode()}" for key, value in values.items()
    )
    return ",".join(pairs)


class TusClient:
    """Speaks tus over an HTTP client."""

    def __init__(self, http: httpx.AsyncClient, token: str | None) -> None:
        self.http = http
        self.token = token

    def headers(self, **more: object) -> dict[str, str]:
        headers = {"Tus-Resumable": "1.0.0"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        named = {key.replace("_", "-"): str(value) for key, value in more.items()}
        return headers | named

    async def post(
        self, size_bytes: int, data: bytes | None = None, **values: object
    ) -> httpx.Response:
        headers = self.headers(Upload_Length=size_bytes)
        if values:
            headers["Upload-Metadata"] = metadata(**values)
        if data is not None:
            headers["Content-Type"] = OCTETS
        return await self.http.post("/api/v1/uploads", headers=headers, content=data)

    async def create(self, size_bytes: int, **values: object) -> str:
        response = await self.post(size_bytes, **values)
        assert response.status_code == 201, response.text
        return response.headers["location"]

    async def begin(self, **headers: object) -> httpx.Response:
        """Begin an upload with any headers."""
        return await self.http.post("/api/v1/uploads", headers=self.headers(**headers))

    async def partial(self, data: bytes) -> str:
        """Send a partial upload; return its path."""
        response = await self.begin(Upload_Length=len(data), Upload_Concat="partial")
        path: str = response.headers["location"]
        assert (await self.patch(path, 0, data)).status_code == 204
        return path

    async def join(self, paths: list[str], **values: object) -> httpx.Response:
        """Join partial uploads to a final one."""
        return await self.begin(
            Upload_Concat="final;" + " ".join(paths), Upload_Metadata=metadata(**values)
        )

    async def patch(
        self, path: str, offset: int, data: bytes | AsyncIterator[bytes], **more: object
    ) -> httpx.Response:
        headers = self.headers(Upload_Offset=offset, Content_Type=OCTETS, **more)
        return await self.http.patch(path, headers=headers, content=data)

    async def head(self, path: str) -> httpx.Response:
        return await self.http.head(path, headers=self.headers())

    async def offset(self, path: str) -> int:
        response = await self.head(path)
        assert response.status_code == 200, response.status_code
        return int(response.headers["upload-offset"])

    async def delete(self, path: str) -> httpx.Response:
        return await self.http.delete(path, headers=self.headers())

    def half_open(
        self, path: str, offset: int, announced: int, data: bytes, **more: object
    ) -> socket.socket:
        """Send the beginning of a PATCH over a raw connection and leave it open."""
        url = self.http.base_url
        connection = socket.create_connection((url.host, url.port or 80))
        fields = self.headers(
            Host=url.host,
            Content_Type=OCTETS,
            Upload_Offset=offset,
            Content_Length=announced,
            **more,
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        connection.sendall(f"PATCH {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        return connection


def checksum(algorithm: str, data: bytes) -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def id_of(path: str) -> UUID:
    return UUID(path.rsplit("/", 1)[-1])
