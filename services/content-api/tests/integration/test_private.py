"""Packages that not everybody may fetch, over real HTTP, with a real broker and without one."""

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import nats.errors
import pytest

from reelay.common.content_access import (
    Access,
    ContentAccessChanged,
    Grant,
    mark_key,
    sign_grant,
)
from reelay.common.events import PackageRemoved
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program
from reelay.common.tokens import TokenSigner

from ..segments import film as tracks_of_a_film
from ..segments import index, package
from .conftest import Site

pytestmark = pytest.mark.integration

SEGMENT = "video/360p/1.m4s"
LATE = "video/360p/2.m4s"
WITHIN_S = 1.0
"""What a change of visibility may take to reach a content API."""


class Film:
    """A private video of a site's package, and what the catalog says of it."""

    def __init__(self, site: Site, messaging: Messaging | None = None) -> None:
        self.site = site
        self.id = uuid4()
        self.signer = TokenSigner(TokenSigner.new_private_key())
        self._messaging = messaging
        self._revision = 0

    async def prepare(self) -> None:
        await self.signer.publish_key(self.site.store)
        await self.site.plan()
        await self.site.put(SEGMENT, b"secret")

    def token(self, lifetime_s: float = 60, package: str | None = None, by: Any = None) -> str:
        grant = Grant(package or self.site.package, str(self.id), time.time() + lifetime_s)
        return sign_grant(by or self.signer, grant)

    async def get(self, token: str | None = None, path: str = SEGMENT) -> httpx.Response:
        return await self.site.get(path if token is None else f"~{token}/{path}")

    async def status(self, token: str | None = None, path: str = SEGMENT) -> int:
        return (await self.get(token, path)).status_code

    async def tell(self, access: Access, *videos: UUID) -> None:
        """Publish who may fetch the package, as the catalog does."""
        assert self._messaging is not None
        self._revision += 1
        state = ContentAccessChanged(
            package_id=self.site.package,
            access=access,
            video_ids=list(videos),
            revision=self._revision,
        )
        body = state.model_dump_json().encode()
        await self._messaging.jetstream.publish(state.to_subject(), body)

    async def until(self, status: int, token: str | None = None, within_s: float = 30) -> float:
        """Return how long it took until requests are answered so."""
        began = time.monotonic()
        while (last := await self.status(token)) != status:
            assert time.monotonic() - began < within_s, f"still {last}"
            await asyncio.sleep(0.01)
        return time.monotonic() - began


@pytest.fixture
async def film(connected: Site, messaging: Messaging) -> Film:
    """A film on a content API that has a broker."""
    film = Film(connected, messaging)
    await film.prepare()
    return film


async def test_private_package_is_missing_without_its_token(film: Film) -> None:
    public = await film.get()
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
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
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
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
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
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
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
    target = path.format(
        token=film.token(),
        package=film.site.package,
        upper=film.site.package.upper(),
        other="b" * 64,
        segment=SEGMENT,
    )
    request = f"GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    answer = await film.site.raw(request.encode())
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), answer
    assert b"secret" not in answer


async def test_encoded_tilde_is_a_tilde(film: Film) -> None:
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
    request = f"GET {film.site.prefix}/%7E{film.token()}/{SEGMENT} HTTP/1.1\r\nhost: a\r\n"
    answer = await film.site.raw(f"{request}connection: close\r\n\r\n".encode())
    assert answer.endswith(b"secret")


async def test_expiry_is_noticed_for_a_token_that_was_good_before(film: Film) -> None:
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
    token = film.token(lifetime_s=4)
    assert await film.status(token) == 200
    await film.until(403, token)


async def test_visibility_changes_are_heard_within_a_second(film: Film) -> None:
    took = []
    for _ in range(5):
        await film.tell(Access.TOKEN, film.id)
        took.append(await film.until(404))
        await film.tell(Access.OPEN)
        took.append(await film.until(200))
    print(f"\nchanges were heard after {[round(each, 3) for each in took]} s")
    assert sorted(took)[5] < WITHIN_S
    assert (await film.get()).headers["cache-control"].startswith("public,")
    assert (await film.get(film.token())).headers["cache-control"].startswith("private,")


async def test_deletion_closes_the_package_to_its_tokens_too(film: Film) -> None:
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
    token = film.token()
    assert await film.status(token) == 200
    await film.tell(Access.CLOSED)
    await film.until(404, token)


async def test_deletion_of_one_private_video_leaves_the_others_token(film: Film) -> None:
    second = Film(film.site)
    second.signer = film.signer
    await film.tell(Access.TOKEN, film.id, second.id)
    await film.until(404)
    assert {await film.status(film.token()), await second.status(second.token())} == {200}
    await film.tell(Access.TOKEN, second.id)
    await film.until(404, film.token())
    assert await second.status(second.token()) == 200


@pytest.mark.parametrize("access", [Access.TOKEN, Access.CLOSED])
async def test_those_who_wait_are_sent_away_when_the_package_closes(
    film: Film, access: Access
) -> None:
    waiting = asyncio.create_task(film.get(path=LATE))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    began = time.monotonic()
    await film.tell(access, *([film.id] if access is Access.TOKEN else []))
    answer = await waiting
    assert time.monotonic() - began < 10  # of the 20 that they would wait
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")


async def test_who_has_a_token_waits_for_private_segments(film: Film) -> None:
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
    waiting = asyncio.create_task(film.get(film.token(), LATE))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await film.tell(Access.CLOSED)
    assert (await waiting).status_code == 404


async def test_content_api_that_starts_later_learns_what_was_said_before(
    film: Film, nats: Program, messaging: Messaging, run_site: Any
) -> None:
    told = []
    for n in range(2000):
        state = ContentAccessChanged(package_id=f"{n:064x}", access=Access.CLOSED, revision=n)
        body = state.model_dump_json().encode()
        told.append(messaging.jetstream.publish(state.to_subject(), body, timeout=60))
    await asyncio.gather(*told)
    await film.tell(Access.OPEN)
    await film.tell(Access.TOKEN, film.id)
    async with run_site(nats_url=nats.url) as later:
        again = Film(later)
        again.signer, again.id = film.signer, film.id
        later.package = film.site.package
        print(f"\n2001 restrictions were read within {await again.until(404):.2f} s")
        assert await again.status(again.token()) == 200
        assert await film.status(film.token()) == 200


async def test_broker_that_is_away_opens_nothing_and_is_followed_when_it_is_back(
    film: Film, nats: Program, messaging: Messaging
) -> None:
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
    nats.kill()
    for _ in range(12):  # longer than the silence after which marks are asked for
        assert (await film.status(), await film.status(film.token())) == (404, 200)
        await asyncio.sleep(0.4)
    await film.site.store.put(mark_key(film.site.package, Access.CLOSED), b"")
    await film.until(404, film.token())
    await film.site.store.delete(mark_key(film.site.package, Access.CLOSED))
    nats.start()
    await tell_surely(film, Access.OPEN)
    await film.until(200)
    await tell_surely(film, Access.TOKEN)
    await film.until(404)


async def tell_surely(film: Film, access: Access) -> None:
    """Tell it to a broker that has just come back, as the catalog does: until it listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                await film.tell(access)
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(0.2)
            else:
                return


async def test_stream_that_is_lost_and_made_anew_is_followed(
    film: Film, messaging: Messaging
) -> None:
    await film.tell(Access.TOKEN, film.id)
    await film.until(404)
    await messaging.jetstream.delete_stream("ACCESS")
    await film.site.store.put(mark_key(film.site.package, Access.TOKEN), b"")
    for _ in range(10):
        assert await film.status() == 404
        await asyncio.sleep(0.4)
    await messaging.start()
    await film.tell(Access.TOKEN, film.id)
    await film.tell(Access.OPEN)
    await film.until(200)


async def test_without_a_broker_marks_in_the_store_close_packages(run_site: Any) -> None:
    async with run_site() as site:
        film = Film(site)
        await film.prepare()
        assert await film.status() == 200
        await site.store.put(mark_key(site.package, Access.TOKEN), b"")
        await film.until(404)
        assert await film.status(film.token()) == 200
        assert await film.status(film.token(lifetime_s=-1)) == 403
        await site.store.put(mark_key(site.package, Access.CLOSED), b"")
        await film.until(404, film.token())
        for access in (Access.CLOSED, Access.TOKEN):
            await site.store.delete(mark_key(site.package, access))
        await film.until(200)


async def test_package_marked_before_the_start_is_never_served(run_site: Any) -> None:
    async with run_site() as site:
        await site.store.put(mark_key(site.package, Access.TOKEN), b"")
        film = Film(site)
        await film.prepare()
        assert await film.status() == 404


async def test_removed_package_leaves_no_copy_behind(
    nats: Program, audience: Any, messaging: Messaging, run_site: Any, s3_url: str
) -> None:
    async with run_site(s3_url, nats_url=nats.url, wait_s=20, repeat_s=15) as site:
        await audience.heard(site)
        film = Film(site)
        big = b"x" * 300_000
        await site.put(SEGMENT, big)
        await site.put("master.m3u8", b"#EXTM3U")
        assert (await site.get(SEGMENT)).content == big
        assert (await site.get("master.m3u8")).status_code == 200
        for path in (SEGMENT, "master.m3u8", "plan.json"):
            await site.store.delete(f"packages/{site.package}/{path}")
        assert (await site.get(SEGMENT)).status_code == 200  # from the cache
        await messaging.publish(PackageRemoved(package_id=site.package))
        await film.until(404)
        assert (await site.get("master.m3u8")).status_code == 404
        await site.plan()
        await site.put(SEGMENT, b"other bytes")
        assert (await site.get(SEGMENT)).content == b"other bytes"


async def test_files_put_together_of_a_private_package_need_its_token(film: Film) -> None:
    objects = package(tracks_of_a_film()[1:])
    # Another package than the film's own, whose plan the store keeps.
    film.site.package = f"{uuid4().hex}{uuid4().hex}"
    for path, data in {**objects, "index.json": index(objects)}.items():
        await film.site.put(path, data)
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
