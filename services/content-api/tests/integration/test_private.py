"""Private packages are fetched with a token of theirs, and nothing leads around it."""

import asyncio
from uuid import uuid4

import pytest

from reelay.common.content_access import Access
from reelay.common.tokens import TokenSigner

from ..segments import film as tracks_of_a_film
from ..segments import package
from .films import Film
from .sites import LATE, SEGMENT

pytestmark = pytest.mark.integration


async def test_private_package_is_missing_without_its_token(film: Film) -> None:
    public = await film.get()
    await film.hide()
    missing = await film.site.client.get(f"/api/v1/content/{'0' * 64}/{SEGMENT}")
    refused = await film.get()
    assert refused.json() == missing.json()
    assert refused.headers["cache-control"] == "no-store"
    for path in ("plan.json", "master.m3u8", "video/360p/index.m3u8", LATE, "x"):
        assert await film.status(path=path) == 404
    answer = await film.get(film.token())
    assert (answer.status_code, answer.content) == (200, b"secret")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["etag"] == public.headers["etag"]
    assert public.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_conditions_and_ranges_are_answered_privately(film: Film) -> None:
    await film.hide()
    path = f"~{film.token()}/{SEGMENT}"
    etag = (await film.get(film.token())).headers["etag"]
    for headers, status in (({"range": "bytes=1-2"}, 206), ({"if-none-match": etag}, 304)):
        answer = await film.site.get(path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["cache-control"].startswith("private,")
    head = await film.site.client.head(f"{film.site.prefix}/{path}")
    assert (head.status_code, head.headers["cache-control"][:8]) == (200, "private,")
    unsatisfiable = await film.site.get(path, headers={"range": "bytes=9-"})
    assert unsatisfiable.status_code == 416
    assert unsatisfiable.headers["cache-control"] == "no-store"


async def test_bad_tokens_open_nothing(film: Film) -> None:
    await film.hide()
    token = film.token()
    head, claims, signature = token.split(".")
    other = film.token(package="b" * 64)
    stranger = TokenSigner(TokenSigner.new_private_key())
    bad = [
        other,
        film.token(by=stranger),
        film.signer.sign("admin", {"admin"}),
        f"{head}.{other.split('.')[1]}.{signature}",
        f"{head}.{claims}.{other.split('.')[2]}",
        f"{head}.{claims}.",
        f"{head}.{claims}",
        token[:-8],
        "x" * 5000,
        "",
        "~",
    ]
    for each in bad:
        assert await film.status(each) == 404, each
    expired = await film.get(film.token(lifetime_s=-1))
    assert (expired.status_code, expired.json()["type"]) == (403, "link-expired")
    assert expired.headers["cache-control"] == "no-store"
    assert await film.status(token) == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/content/~{token}/{package}/{segment}",
        "/api/v1/content/{package}/{segment}?token={token}",
        "/api/v1/content/{package}//{segment}",
        "/api/v1/content/{package}/./{segment}",
        "/api/v1/content/{package}/~{token}/~{token}/{segment}",
        "/api/v1/content/{package}/video/~{token}/360p/1.m4s",
        "/api/v1/content/{other}/~{token}/../{package}/{segment}",
        "/api/v1/content/{package}/~{token}%2f{segment}%00",
        "/api/v1/content/{package}/~%2e%2e/{segment}",
        "/api/v1/content/{package}/~{token}",
        "/api/v1/content/{package}/~{token}/",
        "/api/v1/content/{upper}/{segment}",
    ],
)
async def test_no_spelling_of_a_path_leads_around_the_token(film: Film, path: str) -> None:
    await film.hide()
    target = path.format(
        token=film.token(),
        package=film.site.package,
        upper=film.site.package.upper(),
        other="b" * 64,
        segment=SEGMENT,
    )
    answer = await film.site.raw_get(target)
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), answer
    assert b"secret" not in answer


async def test_encoded_tilde_is_a_tilde(film: Film) -> None:
    await film.hide()
    answer = await film.site.raw_get(f"{film.site.prefix}/%7E{film.token()}/{SEGMENT}")
    assert answer.endswith(b"secret")


async def test_expiry_is_noticed_for_a_token_that_was_good_before(film: Film) -> None:
    await film.hide()
    token = film.token(lifetime_s=4)
    assert await film.status(token) == 200
    await film.until(403, token)


async def test_who_has_a_token_waits_for_private_segments(film: Film) -> None:
    await film.hide()
    waiting = asyncio.create_task(film.get(film.token(), LATE))
    await film.site.until_waiting(1)
    await film.tell(Access.CLOSED)
    assert (await waiting).status_code == 404


async def test_files_put_together_of_a_private_package_need_its_token(film: Film) -> None:
    objects = package(tracks_of_a_film()[1:])
    # Another package than the film's own, whose plan the store keeps.
    film.site.package = f"{uuid4().hex}{uuid4().hex}"
    await film.site.put_package(objects)
    paths = [f"downloads/480p{end}" for end in (".mp4", ".m3u8", "/video.m3u8")]
    assert [await film.status(None, path) for path in paths] == [200, 200, 200]
    await film.tell(Access.TOKEN, film.id)
    async with asyncio.timeout(30):
        while await film.status(None, paths[0]) == 200:  # noqa: ASYNC110 (told by the broker)
            await asyncio.sleep(0.05)
    assert [await film.status(None, path) for path in paths] == [404, 404, 404]
    answers = [await film.get(film.token(), path) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].content.endswith(objects["audio/main/4.m4s"])
    assert "public" not in answers[0].headers["cache-control"]
