"""An import goes on whatever happens to the replica that works at it, and ends when it is told."""

import asyncio
import signal
import time

import httpx
import pytest

from reelay.common.events import AssetUploadTerminated

from .client import PART, id_of, movie
from .conftest import BOTH_STORES, System
from .importing import LOOPBACK, Importer, with_settings
from .origin import File, Origin
from .outcomes import is_stored, nothing_is_stored

pytestmark = pytest.mark.integration


@pytest.fixture
def extra_settings() -> dict[str, str]:
    return LOOPBACK


@pytest.fixture
def other(importer: Importer, second_replica: httpx.AsyncClient) -> Importer:
    return Importer(second_replica, importer.token, importer.origin)


@BOTH_STORES
async def test_killed_service_goes_on_behind_the_last_stored_part(
    system: System, importer: Importer, origin: Origin, store_kind: str
) -> None:
    data = movie(3 * PART + 1000)
    file = File(data, gates={2 * PART + 500: asyncio.Event()})
    path = await importer.begin(origin.serve("/film", file))
    await importer.received(path, 2 * PART)
    await asyncio.to_thread(system.program.kill)
    file.gates.clear()
    await system.restarted()
    assert (await importer.until(path))["state"] == "complete"
    await is_stored(system, data)
    assert origin.ranges_asked() == [None, f"bytes={2 * PART}-"]


async def test_stopped_service_keeps_every_byte_that_came(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(PART + 100_000)
    file = File(data, gates={PART + 50_000: asyncio.Event()})
    path = await importer.begin(origin.serve("/film", file))
    await importer.received(path, PART)
    await asyncio.sleep(1)
    await asyncio.to_thread(system.program.stop, signal.SIGTERM)
    file.gates.clear()
    await system.restarted()
    assert (await importer.until(path))["state"] == "complete"
    await is_stored(system, data)
    assert origin.ranges_asked() == [None, f"bytes={PART + 50_000}-"]


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "whole"])
async def test_service_killed_again_and_again_makes_the_same_file(
    system: System, importer: Importer, origin: Origin, ranges: bool
) -> None:
    data = movie(3 * PART + 1000)
    file = File(data, ranges=ranges, block_pause_s=0.01)
    path = await importer.begin(origin.serve("/film", file))
    for parts in (1, 2):
        await importer.received(path, parts * PART)
        await asyncio.to_thread(system.program.kill)
        await system.restarted()
    file.block_pause_s = 0
    assert (await importer.until(path))["state"] == "complete"
    await is_stored(system, data)


async def test_replica_killed_in_the_middle_is_replaced_by_another(
    system: System, importer: Importer, other: Importer, origin: Origin
) -> None:
    data = movie(2 * PART + 1000)
    file = File(data, gates={PART + 500: asyncio.Event()})
    path = await importer.begin(origin.serve("/film", file))
    await other.received(path, PART)
    # Which of the two works at it is nobody's business; the one that began it looks first.
    await asyncio.to_thread(system.program.kill)
    killed_at = time.monotonic()
    file.gates.clear()
    assert (await other.until(path))["state"] == "complete"
    assert time.monotonic() - killed_at < 30, "the dead replica still held the import"
    await is_stored(system, data)
    assert origin.ranges_asked() == [None, f"bytes={PART}-"]


async def test_one_replica_at_a_time_works_at_an_import(
    system: System, importer: Importer, other: Importer, origin: Origin
) -> None:
    """Longer than a lease, so that it is renewed."""
    gate = asyncio.Event()
    file = File(movie(PART + 500_000), gates={PART + 1000: gate})
    path = await importer.begin(origin.serve("/film", file))
    await other.received(path, PART)
    await asyncio.sleep(8)
    assert (len(origin.asked), origin.most_open) == (1, 1)
    gate.set()
    assert (await other.until(path))["state"] == "complete"
    await is_stored(system, file.data)


@with_settings(imports_at_a_time=2)
async def test_owner_of_many_imports_lets_others_go_first(
    system: System, importer: Importer, origin: Origin
) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    paths = []
    for number, gate in enumerate(gates):
        data = movie(9000, seed=number)
        paths.append(await importer.begin(origin.serve(f"/{number}", File(data, gates={99: gate}))))
        await importer.until(paths[-1], size_bytes=9000)
    paths.append(await importer.begin(origin.serve("/ada", File(movie(9000, seed=7)))))
    eve = Importer(importer.http, system.token("eve"), origin)
    hers = await eve.begin(origin.serve("/eve", File(movie(9000, seed=8))))
    gates[0].set()
    assert (await eve.until(hers))["state"] == "complete"
    gates[1].set()
    for path in paths:
        assert (await importer.until(path))["state"] == "complete"
    assert [asked.path for asked in origin.asked] == ["/0", "/1", "/eve", "/ada"]


async def test_cancelled_import_leaves_nothing(
    system: System, importer: Importer, other: Importer, origin: Origin
) -> None:
    video_id = await system.draft()
    file = File(movie(2 * PART), gates={PART + 500: asyncio.Event()})
    path = await importer.begin(origin.serve("/film", file), video_id=video_id)
    await importer.received(path, PART)
    answer = await other.delete(path)
    assert answer.status_code == 204, answer.text  # at whatever replica
    state = await importer.state(path)
    assert (state["state"], state["problem"], state["reason"]) == ("cancelled", None, None)
    assert (await importer.delete(path)).status_code == 204, "once more changes nothing"
    await nothing_is_stored(system)
    [fact] = await system.facts(AssetUploadTerminated, 1)
    assert fact == AssetUploadTerminated(upload_id=id_of(path), video_id=video_id, reason=None)
    async with asyncio.timeout(10):
        while origin.open:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.05)
    assert len(origin.asked) == 1


async def test_complete_import_is_not_cancelled(
    system: System, importer: Importer, origin: Origin
) -> None:
    data = movie(9000)
    path = await importer.begin(origin.serve("/film", File(data)))
    assert (await importer.until(path))["state"] == "complete"
    response = await importer.delete(path)
    assert (response.status_code, response.json()["type"]) == (409, "upload-complete")
    await is_stored(system, data)


@pytest.mark.parametrize("limit_file_bytes", [2 * PART])
async def test_import_waits_for_room_in_the_store(
    system: System, importer: Importer, origin: Origin, limit_file_bytes: int
) -> None:
    data = movie(3 * PART)
    path = await importer.begin(origin.serve("/film", File(data)))
    state = await importer.until(path, problem="store-full")
    assert (state["state"], state["received_bytes"]) == ("importing", 2 * PART)
    assert "no room left" in state["reason"]
    await asyncio.to_thread(system.program.kill)
    system.program.argv = system.program.argv[2:]  # without the limit
    await system.restarted()
    assert (await importer.until(path))["state"] == "complete"
    await is_stored(system, data)
