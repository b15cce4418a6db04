"""Parts sent straight to the store make the asset that an upload over tus would, or nothing."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from reelay.common.events import AssetUploaded, AssetUploadStarted, AssetUploadTerminated
from reelay.common.identity import new_id
from reelay.common.storage import SignedRequest
from reelay.common.testing.servers import Program
from reelay.upload.adapters.link_proof import LinkProof
from reelay.upload.domain.errors import PresignedUnsupportedError

from .client import PART, asset_id_of, id_of, movie
from .conftest import BOTH_STORES, System
from .importing import is_stored, nothing_is_stored
from .origin import Origin, says

pytestmark = pytest.mark.integration

PRESIGNED = "/api/v1/uploads/presigned"


def limited(**settings: object) -> pytest.MarkDecorator:
    named = {f"UPLOAD_{name.upper()}": str(value) for name, value in settings.items()}
    return pytest.mark.parametrize("extra_settings", [named], ids=["limited"])


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


@pytest.fixture
def sender(system: System) -> Sender:
    return Sender(system.client.http, system.client.token or "")


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
    await is_stored(system, data)
    [started] = await system.facts(AssetUploadStarted, 1)
    [uploaded] = await system.facts(AssetUploaded, 1)
    assert isinstance(started, AssetUploadStarted)
    assert isinstance(uploaded, AssetUploaded)
    assert (started.video_id, uploaded.video_id) == (video_id, video_id)
    assert (str(uploaded.upload_id), uploaded.filename) == (begun["id"], "film.mp4")
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
    first, second = await system.facts(AssetUploaded, 2)
    assert isinstance(first, AssetUploaded)
    assert isinstance(second, AssetUploaded)
    assert (second.asset_id, second.source_key) == (first.asset_id, first.source_key)
    assert await system.keys("sources/") == [first.source_key]


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
    assert isinstance(fact, AssetUploadTerminated)
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
    assert isinstance(fact, AssetUploadTerminated)
    assert str(fact.upload_id) == begun["id"]
    async with asyncio.timeout(20):
        while (await sender.put(begun["parts"][0], data[:PART])).status_code != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


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
    system: System, sender: Sender, replica: Callable[[], Program]
) -> None:
    program = await asyncio.to_thread(replica)
    await system.ready(program.url)
    data = movie(PART + 1000)
    begun = await sender.begin(data)
    await sender.put_all(begun["parts"], data)
    async with httpx.AsyncClient(base_url=program.url, timeout=30) as http:
        other = Sender(http, sender.token)
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
