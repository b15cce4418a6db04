"""What tests of imports have in common."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from .configuration import environment, limited
from .origin import Origin

IMPORTS = "/api/v1/imports"
ON_LOOPBACK = {"import_allowed_networks": "127.0.0.1/32", "import_retry_s": 0.05}
LOOPBACK = environment(**ON_LOOPBACK)
ENDED = ("complete", "failed", "cancelled")


def with_settings(**settings: object) -> pytest.MarkDecorator:
    return limited(**ON_LOOPBACK, **settings)


@dataclass
class Importer:
    """A client of the imports of one replica, and the server it imports from."""

    http: httpx.AsyncClient
    token: str | None
    origin: Origin

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def post(self, url: str, **order: object) -> httpx.Response:
        body = {"url": url, **{name: str(value) for name, value in order.items()}}
        return await self.http.post(IMPORTS, json=body, headers=self.headers)

    async def begin(self, url: str, **order: object) -> str:
        """Begin an import; return its path."""
        response = await self.post(url, **order)
        assert response.status_code == 202, response.text
        return response.headers["location"]

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers)

    async def delete(self, path: str) -> httpx.Response:
        return await self.http.delete(path, headers=self.headers)

    async def state(self, path: str) -> dict[str, Any]:
        response = await self.get(path)
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    async def until(self, path: str, **wanted: object) -> dict[str, Any]:
        """Return the state when it has these values; without any, when it is an end."""
        async with asyncio.timeout(90):
            while True:
                state = await self.state(path)
                ended = state["state"] in ENDED
                fits = all(state[name] == value for name, value in wanted.items())
                if fits and (wanted or ended):
                    return state
                assert not ended, state
                await asyncio.sleep(0.05)

    async def received(self, path: str, size_bytes: int) -> None:
        """Wait until so many bytes are durable."""
        async with asyncio.timeout(60):
            while True:
                state = await self.state(path)
                if state["received_bytes"] >= size_bytes:
                    return
                assert state["state"] == "importing", state
                await asyncio.sleep(0.05)

    async def ended(self, url: str, **order: object) -> dict[str, Any]:
        """Import a URL; return how it ended."""
        return await self.until(await self.begin(url, **order))
