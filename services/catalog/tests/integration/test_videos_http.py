"""Videos over HTTP: who may do what, and what is refused how."""

import httpx
import pytest

from reelay.common.tokens import TokenSigner

from .system import Catalog, bearer

pytestmark = pytest.mark.integration


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


async def test_draft_is_created_with_its_location(shared_catalog: Catalog) -> None:
    async with shared_catalog.client(shared_catalog.admin) as client:
        answer = await client.post("/videos", json={"title": " A ", "description": "b\nc"})
        assert answer.status_code == 201
        video = answer.json()
        assert (video["title"], video["description"], video["owner_id"]) == ("A", "b\nc", "admin")
        assert answer.headers["location"] == f"/api/v1/videos/{video['id']}"
        assert (await client.get(f"/videos/{video['id']}")).json() == video
        assert video["created_at"] == video["updated_at"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"title": 5}',
        b'{"title": null}',
        b'{"title": "  "}',
        b'{"title": "a\\u0000b"}',
        b'{"title": "a\\nb"}',
        b'{"title": "\\ud800"}',
        b'{"title": "\xff"}',
        b'{"title": "' + b"x" * 201 + b'"}',
        b'{"title": "a", "description": "\\u0007"}',
    ],
)
async def test_bad_bodies_are_unprocessable(shared_catalog: Catalog, body: bytes) -> None:
    video_id = await shared_catalog.draft()
    async with shared_catalog.client(shared_catalog.admin) as client:
        assert_problem(await client.post("/videos", content=body), 422)
        if body != b"{}":
            assert_problem(await client.patch(f"/videos/{video_id}", content=body), 422)


async def test_huge_body_is_refused(shared_catalog: Catalog) -> None:
    async with shared_catalog.client(shared_catalog.admin) as client:
        assert_problem(await client.post("/videos", content=b" " * 100_000), 413)


async def test_writing_needs_a_token_of_this_catalog(
    shared_catalog: Catalog, signer: TokenSigner
) -> None:
    video_id = await shared_catalog.draft()
    stranger = TokenSigner(TokenSigner.new_private_key()).sign("admin", {"admin"})
    expired = signer.sign("admin", {"admin"}, lifetime_s=-3600)
    headers: list[dict[str, str]] = [{}, {"authorization": "Basic YTpi"}]
    headers += [bearer(token) for token in ("garbage", "a.b.c", "-", stranger, expired)]
    for header in headers:
        async with shared_catalog.client(header) as client:
            for answer in (
                await client.post("/videos", content=b"not even json"),
                await client.patch(f"/videos/{video_id}", json={"title": "x"}),
                await client.delete(f"/videos/{video_id}"),
                await client.get("/accounts/me"),
            ):
                assert_problem(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
    assert (await shared_catalog.get(video_id))["title"] == "A film"


async def test_token_without_the_scope_is_forbidden(
    shared_catalog: Catalog, signer: TokenSigner
) -> None:
    async with shared_catalog.client(bearer(signer.sign("eve", {"watch"}))) as client:
        assert_problem(await client.post("/videos", json={"title": "x"}), 403)


async def test_only_owner_and_admin_may_change(
    shared_catalog: Catalog, signer: TokenSigner
) -> None:
    ann, bob = (bearer(signer.sign(name, {"publish"})) for name in ("ann", "bob"))
    async with (
        shared_catalog.client(ann) as owner,
        shared_catalog.client(bob) as other,
        shared_catalog.client(shared_catalog.admin) as admin,
    ):
        path = (await owner.post("/videos", json={"title": "Mine"})).headers["location"][7:]
        assert_problem(await other.patch(path, json={"title": "Bob's"}), 403)
        assert_problem(await other.delete(path), 403)
        changed = await owner.patch(path, json={"title": " Still mine "})
        assert (changed.status_code, changed.json()["title"]) == (200, "Still mine")
        changed = await admin.patch(path, json={"description": "seen"})
        assert (changed.json()["title"], changed.json()["description"]) == ("Still mine", "seen")
        assert (await admin.get(path)).json() == changed.json()
        assert (await owner.delete(path)).status_code == 204
        assert_problem(await admin.get(path), 404)
        assert_problem(await admin.patch(path, json={"title": "x"}), 404)


async def test_unknown_ids_and_paths_are_not_found(shared_catalog: Catalog) -> None:
    async with shared_catalog.client(shared_catalog.admin) as client:
        for name in ("01890000-0000-7000-8000-000000000000", "nonsense", "%00"):
            assert_problem(await client.get(f"/videos/{name}"), 404)
            assert_problem(await client.patch(f"/videos/{name}", json={"title": "x"}), 404)
            assert_problem(await client.delete(f"/videos/{name}"), 404)
        assert_problem(await client.get("/nothing"), 404)
        assert_problem(await client.get("/videos/a/b"), 404)


async def test_pages_list_every_video_once_newest_first(
    shared_catalog: Catalog,
) -> None:
    drafted = [await shared_catalog.draft(f"Film {n}") for n in range(7)]
    seen: list[str] = []
    async with shared_catalog.client() as client:
        query = {"limit": "3"}
        while len(seen) < len(drafted):
            page = (await client.get("/videos", params=query)).json()
            seen += [video["id"] for video in page["videos"]]
            assert len(page["videos"]) <= 3
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
            if len(seen) == 3:
                await shared_catalog.draft("meanwhile")
    assert seen[:7] == drafted[::-1]


async def test_last_page_has_no_cursor(shared_catalog: Catalog) -> None:
    first = await shared_catalog.draft()
    async with shared_catalog.client() as client:
        page = (await client.get("/videos", params={"limit": 1})).json()
        assert (page["videos"][0]["id"], page["next_cursor"]) == (first, first)
        oldest = "00000000-0000-7000-8000-000000000000"
        page = (await client.get("/videos", params={"cursor": oldest})).json()
        assert page == {"videos": [], "next_cursor": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x"])
async def test_bad_page_is_unprocessable(shared_catalog: Catalog, query: str) -> None:
    async with shared_catalog.client() as client:
        assert_problem(await client.get(f"/videos?{query}"), 422)
