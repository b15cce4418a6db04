"""The stores that the contract is held against."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import uvloop

from reelay.common.storage import ObjectStore, open_store
from reelay.common.testing.s3 import fresh_bucket_url, seaweedfs_server
from reelay.common.testing.servers import Program

OTHERS = os.environ.get("REELAY_TEST_S3", "").split()
"""Further S3 servers, each `s3://key:secret@host:port`, with `?tls=1` and `&region=` if needed."""


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An S3 server that the tests share, each with a bucket of its own."""
    with seaweedfs_server(tmp_path_factory.mktemp("s3")) as program:
        yield program


Closing = Callable[[ObjectStore], ObjectStore]


@pytest.fixture
async def closing() -> AsyncIterator[Closing]:
    """Takes a store to be closed after the test, and returns it."""
    async with AsyncExitStack() as stack:

        def close_later(store: ObjectStore) -> ObjectStore:
            stack.push_async_callback(store.aclose)
            return store

        yield close_later


@pytest.fixture(
    params=["filesystem", "s3", *OTHERS],
    ids=["filesystem", "s3", *(f"other-{n}" for n, _ in enumerate(OTHERS))],
)
def any_store(request: pytest.FixtureRequest, tmp_path: Path, closing: Closing) -> ObjectStore:
    """Each adapter in turn, empty."""
    if request.param == "filesystem":
        return open_store((tmp_path / "store").as_uri())
    if request.param == "s3":
        return closing(open_store(fresh_bucket_url(request.getfixturevalue("seaweedfs"))))
    server, _, options = request.param.partition("?")
    return closing(open_store(f"{server}/reelay-test-{uuid4().hex}?{options}".rstrip("?")))


Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a test on one of the event loops."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run
