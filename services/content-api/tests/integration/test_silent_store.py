"""A store that is silent about some objects keeps nobody from the others."""

import asyncio

import pytest

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.adapters import filling
from reelay.content_api.adapters.object_cache import CONCURRENT_FETCHES

from .caching import Machine, RemoteStore, content

pytestmark = pytest.mark.integration


async def test_silent_objects_give_their_turns_to_others(
    machine: Machine, remote: RemoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "FIRST_BYTES_S", 0.5)
    cache = machine.start()
    remote.silent = {f"silent-{number}" for number in range(CONCURRENT_FETCHES)}
    waiting = [asyncio.create_task(content(cache, name)) for name in sorted(remote.silent)]
    await asyncio.sleep(0)
    data = await remote.put_large("a")
    async with asyncio.timeout(20):
        assert await content(cache, "a") == data
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailableError}
    remote.silent = set()
    assert await content(cache, "silent-0") is None
