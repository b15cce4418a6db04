"""The fuzzer of services finds what it is there to find."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Response
from granian.constants import Interfaces
from granian.server.embed import Server

from reelay.common.http import create_app
from reelay.common.testing.fuzzing import fuzz
from reelay.common.testing.servers import free_port

pytestmark = pytest.mark.integration


def faultless(app: FastAPI) -> None:
    @app.get("/double")
    async def double(number: int) -> int:
        return number if abs(number) > 1e9 else 2 * number


def failing(app: FastAPI) -> None:
    @app.get("/invert")
    async def invert(number: int) -> float:
        return 1 / number


def refusing_without_a_word(app: FastAPI) -> None:
    @app.get("/refuse", response_class=Response)
    async def refuse() -> Response:
        return Response(status_code=409)


def answering_otherwise(app: FastAPI) -> None:
    @app.get("/count", responses={200: {"model": list[int]}})
    async def count() -> Response:
        return Response('"none"', media_type="application/json")


@pytest.fixture
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A server with the endpoint of the parameter."""
    app = create_app("test", {})
    request.param(app)
    port = free_port()
    server = Server(app, port=port, interface=Interfaces("asginl"), log_enabled=False)
    serving = asyncio.create_task(server.serve())
    address = f"http://127.0.0.1:{port}"
    async with asyncio.timeout(20), httpx.AsyncClient() as client:
        while True:
            try:
                await client.get(f"{address}/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                break
    yield address
    server.stop()
    await serving


@pytest.mark.parametrize("url", [faultless], indirect=True)
async def test_service_without_a_fault_passes(url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(fuzz, url, tmp_path)


@pytest.mark.parametrize(
    ("url", "finding"),
    [
        (failing, "Server error"),
        (refusing_without_a_word, "no problem document"),
        (answering_otherwise, "Response violates schema"),
    ],
    indirect=["url"],
)
async def test_faults_are_found(url: str, tmp_path: Path, finding: str) -> None:
    with pytest.raises(AssertionError, match=finding):
        await asyncio.to_thread(fuzz, url, tmp_path)
