"""Who may see a video: over HTTP, in lists, and in live updates."""

import json
from typing import Any

import pytest

from reelay.common.tokens import TokenSigner

from .system import Catalog, bearer
from .test_videos_http import assert_problem

pytestmark = pytest.mark.integration

Viewers = dict[str, dict[str, str]]


@pytest.fixture
def viewers(shared_catalog: Catalog, signer: TokenSigner) -> Viewers:
    names = {name: bearer(signer.sign(name, {"publish"})) for name in ("ann", "bob")}
    return {"nobody": {}, "admin": shared_catalog.admin, **names}


async def seen_by(catalog: Catalog, viewers: Viewers, path: str) -> dict[str, int]:
    answers = {}
    for name, headers in viewers.items():
        async with catalog.client(headers) as client:
            answers[name] = (await client.get(path)).status_code
    return answers


async def draft(catalog: Catalog, owner: dict[str, str], visibility: str | None = None) -> str:
    body = {"title": "Mine"} | ({"visibility": visibility} if visibility else {})
    async with catalog.client(owner) as client:
        answer = await client.post("/videos", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["visibility"] == (visibility or "public")
    identity: str = answer.json()["id"]
    return identity


async def change(catalog: Catalog, owner: dict[str, str], video_id: str, visibility: str) -> None:
    async with catalog.client(owner) as client:
        answer = await client.patch(f"/videos/{video_id}", json={"visibility": visibility})
    assert (answer.status_code, answer.json()["visibility"]) == (200, visibility)


async def test_private_video_is_missing_for_everybody_but_its_owner_and_administrators(
    shared_catalog: Catalog, viewers: Viewers
) -> None:
    video_id = await draft(shared_catalog, viewers["ann"], "private")
    only_hers = {"nobody": 404, "bob": 404, "ann": 200, "admin": 200}
    assert await seen_by(shared_catalog, viewers, f"/videos/{video_id}") == only_hers
    for name in ("nobody", "bob"):
        async with shared_catalog.client(viewers[name]) as client:
            assert_problem(await client.get(f"/events?video_id={video_id}"), 404)
    async with shared_catalog.client(viewers["bob"]) as client:
        assert_problem(await client.patch(f"/videos/{video_id}", json={"title": "x"}), 404)
        assert_problem(await client.delete(f"/videos/{video_id}"), 404)
    await change(shared_catalog, viewers["ann"], video_id, "unlisted")
    everybody = dict.fromkeys(only_hers, 200)
    assert await seen_by(shared_catalog, viewers, f"/videos/{video_id}") == everybody
    await change(shared_catalog, viewers["admin"], video_id, "private")
    assert await seen_by(shared_catalog, viewers, f"/videos/{video_id}") == only_hers


async def test_lists_have_what_is_public_and_what_is_ones_own(
    shared_catalog: Catalog, viewers: Viewers
) -> None:
    made = {
        await draft(shared_catalog, viewers["ann"], kind): kind
        for kind in ("public", "unlisted", "private")
    }
    found = {}
    for name, headers in viewers.items():
        async with shared_catalog.client(headers) as client:
            page = (await client.get("/videos", params={"limit": 3})).json()
        found[name] = {made[v["id"]] for v in page["videos"] if v["id"] in made}
    everything = set(made.values())
    assert found == {
        "nobody": {"public"},
        "bob": {"public"},
        "ann": everything,
        "admin": everything,
    }


async def test_token_that_is_not_valid_is_refused_where_none_is_needed(
    shared_catalog: Catalog,
) -> None:
    video_id = await shared_catalog.draft()
    async with shared_catalog.client(bearer("nonsense")) as client:
        for path in ("/videos", f"/videos/{video_id}", "/events"):
            assert_problem(await client.get(path), 401)


@pytest.mark.parametrize("visibility", ["", "Public", "secret", None, 5, ["private"]])
async def test_unknown_visibility_is_unprocessable(
    shared_catalog: Catalog, visibility: Any
) -> None:
    video_id = await shared_catalog.draft()
    async with shared_catalog.client(shared_catalog.admin) as client:
        body = {"title": "x", "visibility": visibility}
        assert_problem(await client.post("/videos", json=body), 422)
        answer = await client.patch(f"/videos/{video_id}", json={"visibility": visibility})
        assert_problem(answer, 422)
    assert (await shared_catalog.get(video_id))["visibility"] == "public"


async def test_live_updates_of_a_private_video_are_for_those_who_may_see_it(
    shared_catalog: Catalog, viewers: Viewers
) -> None:
    async with (
        shared_catalog.listen() as everybody,
        shared_catalog.listen(viewer=viewers["ann"]) as ann,
        shared_catalog.listen(viewer=viewers["bob"]) as bob,
    ):
        secret = await draft(shared_catalog, viewers["ann"], "private")
        await change(shared_catalog, viewers["ann"], secret, "public")
        await change(shared_catalog, viewers["ann"], secret, "private")
        async with shared_catalog.client(viewers["ann"]) as client:
            await client.patch(f"/videos/{secret}", json={"title": "Still secret"})
            await client.delete(f"/videos/{secret}")
        end = await shared_catalog.draft("the end")
        others = [await everybody.until(id=end), await bob.until(id=end)]
        hers = await ann.until(id=end)
    for heard in others:
        told = [e for e in heard if e.data["id"] == secret]
        assert "Still secret" not in json.dumps([e.data for e in told])
        # Those who are told in time learn that it was there; for all others it never was.
        assert [e.event for e in told] in (["video", "deleted"], ["deleted"])
        assert all(e.data.get("visibility", "public") == "public" for e in told)
    assert [e.event for e in hers if e.data["id"] == secret][-1] == "deleted"


async def test_listener_who_comes_back_learns_only_of_what_was_public(
    shared_catalog: Catalog, viewers: Viewers
) -> None:
    shown = await draft(shared_catalog, viewers["ann"], "public")
    async with shared_catalog.listen() as listener:
        marker = await shared_catalog.draft("marker")
        last = (await listener.until(id=marker))[-1].id
    hidden = await draft(shared_catalog, viewers["ann"], "private")
    linked = await draft(shared_catalog, viewers["ann"], "unlisted")
    await change(shared_catalog, viewers["ann"], shown, "private")
    end = await shared_catalog.draft("the end")
    async with shared_catalog.listen(last_event_id=last) as listener:
        told = {e.data["id"]: e.event for e in await listener.until(id=end)}
    assert (told.get(shown), hidden in told, linked in told) == ("deleted", False, False)
    last_of_all = str(2**62)
    async with shared_catalog.listen(last_event_id=last_of_all) as listener:
        new = await shared_catalog.draft("new")
        assert shown not in {e.data["id"] for e in await listener.until(id=new)}


async def test_stream_of_a_video_ends_when_it_becomes_private(
    shared_catalog: Catalog, viewers: Viewers
) -> None:
    video_id = await draft(shared_catalog, viewers["ann"], "unlisted")
    async with (
        shared_catalog.listen(video_id) as other,
        shared_catalog.listen(video_id, viewer=viewers["ann"]) as owner,
    ):
        assert (await other.next()).event == "video"  # type: ignore[union-attr]
        await change(shared_catalog, viewers["ann"], video_id, "private")
        gone = await other.next()
        assert gone is not None
        assert (gone.event, gone.data) == ("deleted", {"id": video_id})
        assert await other.next() is None
        assert (await owner.until(visibility="private"))[-1].event == "video"
