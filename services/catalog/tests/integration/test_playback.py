"""What players are told by a running catalog: tokens for private videos, hosts that answer."""

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from reelay.common.content_access import read_grant
from reelay.common.messaging import Messaging
from reelay.common.storage import open_store
from reelay.common.tokens import TokenVerifier

from .system import DEADLINE_S, Catalog, Film, Json, publish

pytestmark = pytest.mark.integration


async def ready(catalog: Catalog, facts: Messaging, visibility: str) -> Film:
    film = Film(await catalog.draft(visibility=visibility))
    assert film.video_id
    for event in (film.uploaded(), film.planned(), film.completed()):
        await publish(facts, event)
    await catalog.until(film.video_id, state="ready")
    return film


async def test_private_video_plays_below_a_token_that_the_published_key_proves(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = await ready(shared_catalog, facts, "private")
    assert film.video_id
    video = await shared_catalog.get(film.video_id)
    async with shared_catalog.client(shared_catalog.admin) as client:
        page = (await client.get("/videos", params={"limit": 1})).json()
    async with shared_catalog.listen(film.video_id, viewer=shared_catalog.admin) as listener:
        event = await listener.next()
        assert event is not None
        await shared_catalog.show_to(film.video_id, "public")
        public = (await listener.until(visibility="public"))[-1].data
    verifier = TokenVerifier(open_store(f"file://{shared_catalog.directory}/store"))
    for document in (video, page["videos"][0], event.data):
        for path in (document["playback"]["hls"], document["playback"]["dash"]):
            head, _, rest = path.partition("/~")
            assert head == f"/api/v1/content/{film.package_id}"
            grant = await read_grant(verifier, rest.partition("/")[0])
            assert (grant.package_id, grant.video_id) == (film.package_id, film.video_id)
    assert public["playback"]["hls"] == f"/api/v1/content/{film.package_id}/master.m3u8"


class Edge(BaseHTTPRequestHandler):
    """A host of a delivery network, as far as it is asked for its health."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status if self.path == "/cdn/healthz" else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def edge() -> Iterator[tuple[type[Edge], str]]:
    own = type("OwnEdge", (Edge,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), own)
    Thread(target=server.serve_forever, daemon=True).start()
    yield own, f"http://127.0.0.1:{server.server_port}/cdn"
    server.shutdown()
    server.server_close()


async def test_hosts_that_answer_are_told_and_others_are_not(
    lonely: Catalog, messaging: Messaging, edge: tuple[type[Edge], str]
) -> None:
    handler, url = edge
    hosts = f'[{{"url": "{url}/", "weight": 2.5}}, {{"url": "http://127.0.0.1:1"}}]'
    lonely.settings = {"CDN_HOSTS": hosts, "CDN_PROBE_S": "0.1"}
    lonely.start()
    await messaging.start()
    film = await ready(lonely, messaging, "public")

    async def until_told(*expected: Json) -> Json:
        assert film.video_id
        async with asyncio.timeout(DEADLINE_S):
            while True:
                playback: Json = (await lonely.get(film.video_id))["playback"]
                if playback["hosts"] == list(expected):
                    return playback
                await asyncio.sleep(0.05)

    playback = await until_told({"url": url, "weight": 2.5})
    assert playback["hls"] == f"/api/v1/content/{film.package_id}/master.m3u8"
    handler.status = 503
    await until_told()
    handler.status = 200
    await until_told({"url": url, "weight": 2.5})


def test_hosts_that_make_no_sense_keep_the_catalog_from_starting(lonely: Catalog) -> None:
    lonely.settings = {"CDN_HOSTS": '[{"url": "cdn.example"}]'}
    lonely.launch()
    assert lonely.process is not None
    assert lonely.process.wait(DEADLINE_S) != 0
