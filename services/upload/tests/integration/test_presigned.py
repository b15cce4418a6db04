"""Parts sent straight to the store make the asset that an upload over tus would."""

import asyncio

import httpx
import pytest

from .client import PART, asset_id_of, movie
from .configuration import limited
from .conftest import BOTH_STORES, System
from .outcomes import is_announced, is_stored, second_is_no_copy
from .sending import PRESIGNED, Sender, announced

pytestmark = pytest.mark.integration


@BOTH_STORES
async def test_parts_sent_to_the_store_are_the_asset_that_tus_would_make(
    system: System, sender: Sender, store_kind: str
) -> None:
    data = movie(2 * PART + 1000)
    video_id = await system.draft()
    begun = await sender.begin(data, video_id=str(video_id), filename="a/film.mp4")
    assert (begun["state"], begun["part_count"], begun["part_size_bytes"]) == ("receiving", 3, PART)
    assert [link["number"] for link in begun["parts"]] == [1, 2, 3]
    await sender.put_all(begun["parts"][::-1], data)
    assert (await sender.look(begun["id"]))["stored_parts"] == [1, 2, 3]

    done = await sender.complete(begun["id"])
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["asset_id"]) == ("complete", asset_id_of(data))
    again = await sender.complete(begun["id"])
    assert (again.status_code, again.json()) == (200, done.json()), "once more changes nothing"
    assert await sender.look(begun["id"]) == done.json()
    await is_announced(system, begun["id"], data, video_id=video_id, filename="film.mp4")
    late = await sender.post(f"{PRESIGNED}/{begun['id']}/parts", parts=announced(data, 1))
    assert (late.status_code, late.json()["type"]) == (409, "upload-complete")
    assert (await sender.put(begun["parts"][0], data[:PART])).status_code == 404


@BOTH_STORES
async def test_copy_of_a_file_that_came_over_tus_is_not_kept(
    system: System, sender: Sender, store_kind: str
) -> None:
    data = movie(PART + 5)
    path = await system.client.create(len(data))
    assert (await system.client.patch(path, 0, data)).status_code == 204
    begun = await sender.begin(data)
    await sender.put_all(begun["parts"], data)
    assert (await sender.complete(begun["id"])).status_code == 200
    await second_is_no_copy(system)


@BOTH_STORES
async def test_parts_may_be_announced_page_by_page_and_sent_after_a_kill(
    system: System, sender: Sender, store_kind: str
) -> None:
    data = movie(2 * PART + 1000)
    begun = await sender.begin(data, 1)
    await sender.put_all(begun["parts"], data)
    await asyncio.to_thread(system.program.kill)
    await system.restarted()
    state = await sender.look(begun["id"])
    assert (state["state"], state["stored_parts"]) == ("receiving", [1])
    early = await sender.complete(begun["id"])
    assert (early.status_code, early.json()["type"]) == (409, "parts-missing")
    assert early.json()["detail"] == "2 parts are not stored yet: 2, 3."
    await sender.put_all(await sender.links(begun["id"], announced(data, 2, 3)), data)
    assert (await sender.complete(begun["id"])).status_code == 200
    await is_stored(system, data)


@limited(link_expires_s=1)
async def test_link_that_is_over_is_replaced_by_a_new_one(system: System, sender: Sender) -> None:
    data = movie(1000)
    begun = await sender.begin(data)
    async with asyncio.timeout(30):
        while (await sender.put(begun["parts"][0], data)).status_code == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
    answer = await sender.put(begun["parts"][0], data)
    assert (answer.status_code, answer.json()["type"]) == (403, "forbidden")
    [fresh] = await sender.links(begun["id"], announced(data))
    assert fresh["url"] != begun["parts"][0]["url"]


async def test_upload_completed_at_two_replicas_at_once_is_announced_once(
    system: System, sender: Sender, second_replica: httpx.AsyncClient
) -> None:
    data = movie(PART + 1000)
    begun = await sender.begin(data)
    await sender.put_all(begun["parts"], data)
    other = Sender(second_replica, sender.token)
    answers = await asyncio.gather(
        *[(sender, other)[number % 2].complete(begun["id"]) for number in range(6)]
    )
    assert {answer.status_code for answer in answers} <= {200, 423}
    assert (await other.complete(begun["id"])).status_code == 200
    await is_stored(system, data)


@BOTH_STORES
async def test_completion_that_was_killed_is_finished(
    system: System, sender: Sender, store_kind: str
) -> None:
    data = movie(2 * PART + 1000)
    begun = await sender.begin(data)
    await sender.put_all(begun["parts"], data)
    completing = asyncio.create_task(sender.complete(begun["id"]))
    await asyncio.sleep(0.01)
    await asyncio.to_thread(system.program.kill)
    await asyncio.gather(completing, return_exceptions=True)
    await system.restarted()
    assert (await sender.complete(begun["id"])).status_code == 200
    await is_stored(system, data)
