"""A client that sends the parts of files by presigned links."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from .client import PART

PRESIGNED = "/api/v1/uploads/presigned"


def pieces(data: bytes) -> list[bytes]:
    return [data[at : at + PART] for at in range(0, len(data), PART)]


def announced(data: bytes, *numbers: int) -> list[dict[str, object]]:
    return [
        {"number": number, "sha256": hashlib.sha256(piece).hexdigest()}
        for number, piece in enumerate(pieces(data), start=1)
        if not numbers or number in numbers
    ]


@dataclass
class Sender:
    """A client that sends parts by links."""

    http: httpx.AsyncClient
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def post(self, path: str = PRESIGNED, **body: object) -> httpx.Response:
        return await self.http.post(path, json=body, headers=self.headers)

    async def begin(self, data: bytes, *numbers: int, **more: object) -> dict[str, Any]:
        """Begin an upload, announcing these parts, or all."""
        parts = announced(data, *numbers)
        response = await self.post(size_bytes=len(data), parts=parts, **more)
        assert response.status_code == 201, response.text
        body: dict[str, Any] = response.json()
        assert response.headers["location"] == f"{PRESIGNED}/{body['id']}"
        return body

    async def links(self, upload_id: str, parts: Sequence[object]) -> list[dict[str, Any]]:
        response = await self.post(f"{PRESIGNED}/{upload_id}/parts", parts=parts)
        assert response.status_code == 200, response.text
        links: list[dict[str, Any]] = response.json()["parts"]
        return links

    async def put(self, link: dict[str, Any], data: bytes) -> httpx.Response:
        """Follow a link, without any other credentials."""
        return await self.http.request(
            link["method"], link["url"], headers=link["headers"], content=data
        )

    async def put_all(self, links: list[dict[str, Any]], data: bytes) -> None:
        for link in links:
            answer = await self.put(link, pieces(data)[link["number"] - 1])
            assert answer.status_code == 200, answer.text

    async def look(self, upload_id: str) -> dict[str, Any]:
        response = await self.http.get(f"{PRESIGNED}/{upload_id}", headers=self.headers)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    async def complete(self, upload_id: str) -> httpx.Response:
        return await self.post(f"{PRESIGNED}/{upload_id}/complete")

    async def withdraw(self, upload_id: str) -> httpx.Response:
        return await self.http.delete(f"{PRESIGNED}/{upload_id}", headers=self.headers)
