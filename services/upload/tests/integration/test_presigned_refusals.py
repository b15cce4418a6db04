"""What may not be sent by presigned links is refused, and what was abandoned leaves nothing."""

import asyncio
from uuid import uuid4

import pytest

from reelay.common.events import AssetUploaded, AssetUploadTerminated
from reelay.common.identity import new_id
from reelay.common.storage import SignedRequest
from reelay.upload.adapters.link_proof import LinkProof
from reelay.upload.domain.errors import PresignedUnsupportedError

from .client import PART, id_of, movie
from .configuration import limited
from .conftest import BOTH_STORES, System
from .origin import Origin, says
from .outcomes import is_stored, nothing_is_stored
from .sending import PRESIGNED, Sender, announced

pytestmark = pytest.mark.integration


@BOTH_STORES
async def test_store_takes_the_announced_bytes_and_no_others(
    system: System, sender: Sender, store_kind: str
) -> None:
    data = movie(50_000)
    begun = await sender.begin(data)
    [link] = begun["parts"]
    assert (await sender.put(link, movie(50_000, seed=2))).status_code == 400
    assert (await sender.put(link, data[:-1])).status_code == 403
    assert (await sender.put(link, data + b"!")).status_code == 403
    assert (await sender.look(begun["id"]))["stored_parts"] == []
    assert (await sender.complete(begun["id"])).status_code == 409
    await sender.put_all([link], data)
    await sender.put_all([link], data)
    assert (await sender.complete(begun["id"])).status_code == 200
    await is_stored(system, data)


@BOTH_STORES
async def test_text_is_refused_when_it_is_complete_and_nothing_of_it_is_kept(
    system: System, sender: Sender, store_kind: str
) -> None:
    text = b"Dear diary, today I renamed a letter to holiday.mp4.\n" * 1000
    video_id = await system.draft()
    begun = await sender.begin(text, video_id=str(video_id), filename="holiday.mp4")
    await sender.put_all(begun["parts"], text)
    for _ in range(2):
        refused = await sender.complete(begun["id"])
        assert (refused.status_code, refused.json()["type"]) == (415, "not-media")
        assert refused.json()["detail"] == "This is a text file, not a video."
    state = await sender.look(begun["id"])
    assert (state["state"], state["reason"]) == ("failed", "This is a text file, not a video.")
    [fact] = await system.facts(AssetUploadTerminated, 1)
    assert (fact.video_id, fact.reason) == (video_id, state["reason"])
    assert await system.number_of(AssetUploaded) == 0
    await nothing_is_stored(system)


async def test_part_is_bound_to_the_digest_that_was_announced_first(
    system: System, sender: Sender
) -> None:
    data, other = movie(PART + 10, seed=1), movie(PART + 10, seed=2)
    begun = await sender.begin(data, 1)
    path = f"{PRESIGNED}/{begun['id']}/parts"
    changed = await sender.post(path, parts=[*announced(data, 2), *announced(other, 1)])
    assert (changed.status_code, changed.json()["type"]) == (409, "other-digest")
    await sender.links(begun["id"], announced(other, 2))  # nothing of the refused one was noted
    await sender.links(begun["id"], announced(data, 1))


@limited(max_size_bytes=2 * PART, quota_bytes=2 * PART, max_unfinished=2)
async def test_orders_that_are_too_much_or_make_no_sense_are_refused(
    system: System, sender: Sender
) -> None:
    digest = "0" * 64
    for body, status, problem in (
        ({"size_bytes": 0}, 422, "empty-file"),
        ({"size_bytes": 2 * PART + 1}, 413, "too-large"),
        ({"size_bytes": -1}, 422, "unprocessable"),
        ({"size_bytes": 10, "parts": [{"number": 2, "sha256": digest}]}, 422, "no-such-part"),
        ({"size_bytes": 10, "parts": [{"number": 0, "sha256": digest}]}, 422, "unprocessable"),
        ({"size_bytes": 10, "parts": [{"number": 1, "sha256": "Z"}]}, 422, "unprocessable"),
        ({"size_bytes": 10, "parts": 2 * [{"number": 1, "sha256": digest}]}, 422, "no-such-part"),
        ({"size_bytes": 10, "video_id": str(uuid4())}, 422, "unknown-video"),
        ({}, 422, "unprocessable"),
    ):
        response = await sender.post(**body)
        assert (response.status_code, response.json()["type"]) == (status, problem), body
    await sender.begin(movie(PART))
    response = await sender.post(size_bytes=PART + 1)
    assert (response.status_code, response.json()["type"]) == (413, "quota-exceeded")
    assert (await sender.post(size_bytes=1)).status_code == 201
    assert (await sender.post(size_bytes=1)).status_code == 429


async def test_presigned_upload_belongs_to_who_began_it(system: System, sender: Sender) -> None:
    data = movie(1000)
    begun = await sender.begin(data)
    eve = Sender(sender.http, system.token("eve"))
    path = f"{PRESIGNED}/{begun['id']}"
    assert (await eve.http.get(path, headers=eve.headers)).status_code == 403
    assert (await eve.post(f"{path}/parts", parts=announced(data))).status_code == 403
    assert (await eve.complete(begun["id"])).status_code == 403
    assert (await eve.withdraw(begun["id"])).status_code == 403
    assert (await sender.http.post(PRESIGNED, json={"size_bytes": 5})).status_code == 401
    assert (await sender.complete(str(new_id()))).status_code == 404
    over_tus = await system.client.create(1000)
    assert (await sender.complete(str(id_of(over_tus)))).status_code == 404
    sent = await system.client.patch(f"/api/v1/uploads/{begun['id']}", 0, data)
    assert (sent.status_code, sent.json()["type"]) == (403, "final-upload")


@BOTH_STORES
async def test_withdrawn_upload_leaves_nothing(
    system: System, sender: Sender, store_kind: str
) -> None:
    data = movie(PART + 1000)
    begun = await sender.begin(data)
    await sender.put_all(begun["parts"][:1], data)
    assert (await sender.withdraw(begun["id"])).status_code == 204
    assert (await sender.withdraw(begun["id"])).status_code == 204
    assert (await sender.look(begun["id"]))["state"] == "cancelled"
    assert (await sender.complete(begun["id"])).status_code == 410
    assert (await sender.put(begun["parts"][1], data[PART:])).status_code == 404
    await nothing_is_stored(system)


@limited(expires_after_s=3, sweep_interval_s=0.5)
@BOTH_STORES
async def test_abandoned_upload_is_swept(system: System, sender: Sender, store_kind: str) -> None:
    data = movie(PART + 1000)
    begun = await sender.begin(data)
    await sender.put_all(begun["parts"][:1], data)
    [fact] = await system.facts(AssetUploadTerminated, 1)
    assert str(fact.upload_id) == begun["id"]
    async with asyncio.timeout(20):
        while (await sender.put(begun["parts"][0], data[:PART])).status_code != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("limit_file_bytes", [PART])
async def test_full_store_is_told_to_who_sends_a_part(
    system: System, sender: Sender, limit_file_bytes: int
) -> None:
    data = movie(2 * PART)
    begun = await sender.begin(data)
    await sender.put_all(begun["parts"][:1], data)
    answer = await sender.put(begun["parts"][1], data[PART:])
    assert (answer.status_code, answer.json()["type"]) == (507, "store-full")
    assert (await sender.look(begun["id"]))["stored_parts"] == [1]


class TrustingStore:
    """A store whose links are answered by a server that takes everything."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.aborted: list[str] = []

    async def begin_parts(self, key: str, *, signed: bool = False) -> str:
        return "attempt"

    async def presign_part(self, *_: object, **__: object) -> SignedRequest:
        return SignedRequest("PUT", self.url, {}, 0)

    async def abort_parts(self, key: str, attempt: str) -> None:
        self.aborted.append(attempt)


async def test_store_that_takes_other_bytes_than_were_signed_is_not_used(origin: Origin) -> None:
    """Its users could give others' files contents of their own."""
    store = TrustingStore(origin.serve("/part", says("200 OK")))
    proof = LinkProof(store)  # type: ignore[arg-type]  # what it needs
    for _ in range(2):
        with pytest.raises(PresignedUnsupportedError):
            await proof.check()
    assert len(origin.asked) == 2, "it is asked once"
    assert store.aborted == ["attempt"]
