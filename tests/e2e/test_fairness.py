"""Who asks for much delays nobody who asks for little, from the gateway to the encoder and back.

What is asserted is the order in which work was given out, as the packager's log has it. There is no
encoder until everybody has asked, so that no work is done before those come who come late.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from reelay.common.commands import Lane
from reelay.common.testing.media import Media
from reelay.common.testing.servers import wait_until
from reelay.common.tokens import TokenSigner

from .conftest import Instance, start_instance
from .encoders import further_encoder, without_own_encoder
from .uploads import Upload

pytestmark = pytest.mark.e2e

PATIENCE_S = 240.0
ROOM = 150
"""Requests that may wait for one film: fewer than the greedy viewer makes."""
CLIPS = 12
DISPATCHED = re.compile(
    r"dispatched .*?package_id=(\S+) lane=(\S+) renditions=(\S+) segments=(\d+)-(\d+) attempt=1\b"
)
LOWEST = "360p"
EARLY = 25
"""The last segment of those that the greedy viewer asks for behind the others."""
POSITIONS = range(30, 63, 4)
"""Where the nine others are: behind what runs ahead of one who came to an early segment."""
GREEDY_TURNS = 8
"""Most segments of the greedy viewer that are given out before those of the nine: the two or three
that were when these came, one in their round, and one when another round begins for who is quick.
First come, first served would be all that was asked for before; last come, first served all since.
"""


@dataclass(frozen=True)
class Dispatched:
    """Work that the packager gave out."""

    package_id: str
    lane: Lane
    renditions: frozenset[str]
    first: int
    last: int

    def has(self, number: int) -> bool:
        """Tell whether a segment of the lowest rung is in it."""
        return LOWEST in self.renditions and self.first <= number <= self.last


def dispatched(instance: Instance) -> list[Dispatched]:
    """Return all work in the order in which it was given out."""
    log = (instance.data / "log" / "packager.log").read_text()
    return [
        Dispatched(package_id, Lane(lane), frozenset(names.split(",")), int(first), int(last))
        for package_id, lane, names, first, last in DISPATCHED.findall(log)
    ]


def planned(instance: Instance, upload: Upload) -> str:
    """Send a file; return the package of its video as soon as that is planned."""
    upload.begin().send()
    found: list[str] = []

    def is_planned() -> bool:
        found.append(str(instance.video(upload.video_id)["package_id"] or ""))
        return bool(found[-1])

    wait_until(is_planned, "the video is planned")
    return found[-1]


@pytest.fixture
def unserved(tmp_path: Path) -> Iterator[Instance]:
    """A system without an encoder, where requests wait for as long as a test takes."""
    instance = start_instance(
        tmp_path / "data",
        CONTENT_API_WAIT_S=str(PATIENCE_S),
        CONTENT_API_MAX_WAITING_PER_PACKAGE=str(ROOM),
    )
    try:
        with without_own_encoder(instance):
            yield instance
    finally:
        instance.stop()


def token_of(instance: Instance, subject: str) -> str:
    """Return a token to publish with, signed with the key that the catalog signs with."""
    with psycopg.connect(instance.variables("catalog")["CATALOG_DATABASE_URL"]) as catalog:
        row = catalog.execute("SELECT private_key_pem FROM signing_keys").fetchone()
    assert row is not None
    return TokenSigner(row[0]).sign(subject, {"publish", "upload"})


def test_clip_of_one_owner_overtakes_the_dozen_of_another(
    unserved: Instance, media: Media, tmp_path: Path
) -> None:
    clip = media.numbered(2, "25", (854, 480)).read_bytes()

    def upload(number: int, token: str) -> Upload:
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(clip + b"\0\0\0\x0cfree" + number.to_bytes(4, "big"))
        return Upload(unserved, path, token)

    for number in range(CLIPS):
        planned(unserved, upload(number, unserved.token))
    last = upload(CLIPS, token_of(unserved, "somebody"))
    package_id = planned(unserved, last)
    with further_encoder(unserved, tmp_path / "encoder.log"):
        wait_until(
            lambda: unserved.video(last.video_id)["state"] in ("ready", "failed"),
            "the last clip is ready",
            PATIENCE_S,
        )
    assert unserved.video(last.video_id)["state"] == "ready"
    assert unserved.video(last.video_id)["owner_id"] == "somebody"
    for lane in (Lane.OPENING, Lane.LADDER):
        order = [each.package_id for each in dispatched(unserved) if each.lane is lane]
        before = set(order[: order.index(package_id)])
        print(f"\n{lane}: {len(before)} of {CLIPS} clips that came before were given out before")
        assert len(before) < CLIPS / 2


@asynccontextmanager
async def viewer_at(instance: Instance, number: int) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer with an address of its own, by which the gateway tells it from others."""
    transport = httpx.AsyncHTTPTransport(
        local_address=f"127.0.0.{number}", limits=httpx.Limits(max_connections=None)
    )
    async with httpx.AsyncClient(
        base_url=instance.url, transport=transport, timeout=PATIENCE_S
    ) as client:
        yield client


@dataclass
class Cinema:
    """Viewers of one film that nobody has encoded, and what they wait for."""

    instance: Instance
    base: str
    """The path of the package."""
    tasks: asyncio.TaskGroup
    greedy: dict[tuple[str, int], asyncio.Task[httpx.Response]] = field(default_factory=dict)
    """What one viewer asked for, by path of the rendition and number."""
    others: list[asyncio.Task[httpx.Response]] = field(default_factory=list)

    async def fill(self, greedy: httpx.AsyncClient, others: list[httpx.AsyncClient]) -> None:
        """Let one viewer ask for everything, before and behind the others: most of it waits."""
        plan = (await greedy.get(f"{self.base}/plan.json")).json()
        wanted = [(r["path"], 1 + n) for r in plan["renditions"] for n in range(r["segments"])]
        self.greedy = {each: self._ask(greedy, *each) for each in wanted if each[1] > EARLY}
        await self._until_waiting(len(self.greedy))
        await self._until(
            lambda: any(each.lane is Lane.ONDEMAND for each in dispatched(self.instance)),
            "the greedy viewer is served",
        )
        self.others = [
            self._ask(viewer, f"video/{LOWEST}", number)
            for viewer, number in zip(others, POSITIONS, strict=True)
        ]
        await self._until_waiting(len(self.greedy) + len(self.others))
        behind = {each: self._ask(greedy, *each) for each in wanted if each[1] <= EARLY}
        self.greedy |= behind
        await until_refused(list(behind.values()), len(wanted) + len(self.others) - ROOM)

    def got(self) -> list[int]:
        """Return the segments that the greedy viewer has, and of which no other asked for any."""
        return [
            number
            for (_, number), request in self.greedy.items()
            if number not in POSITIONS and request.done() and request.result().is_success
        ]

    async def close(self, video_id: str) -> None:
        """Delete the film: whoever still waits is answered. Return when the greedy viewer is."""
        await asyncio.to_thread(self.instance.delete, video_id)
        await asyncio.wait(self.greedy.values(), timeout=PATIENCE_S / 2)

    def _ask(
        self, viewer: httpx.AsyncClient, folder: str, number: int
    ) -> asyncio.Task[httpx.Response]:
        return self.tasks.create_task(viewer.get(f"{self.base}/{folder}/{number}.m4s"))

    async def _until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait in another thread, as requests are under way in this one."""
        await asyncio.to_thread(wait_until, holds, what, PATIENCE_S / 2)

    async def _until_waiting(self, count: int) -> None:
        """Return when so many requests wait for segments, by the content API's own count."""
        port = self.instance.variables("content_api")["CONTENT_API_PORT"]

        def waiting() -> bool:
            report = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S).text
            return f"\nreelay_content_waiting {float(count)}\n" in report

        await self._until(waiting, f"{count} requests wait")


async def until_refused(requests: list[asyncio.Task[httpx.Response]], count: int) -> None:
    """Return when so many requests were sent away."""
    async with asyncio.timeout(PATIENCE_S / 2):
        while sum(request.done() for request in requests) < count:
            waiting = [request for request in requests if not request.done()]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [r.result().status_code for r in requests if r.done()] == [503] * count


async def test_viewer_who_asks_for_everything_delays_nine_others_by_few_turns(
    unserved: Instance, media: Media, tmp_path: Path
) -> None:
    upload = Upload(unserved, media.numbered(240, "25", (854, 480)))
    package_id = planned(unserved, upload)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        greedy, *others = [
            await stack.enter_async_context(viewer_at(unserved, 2 + number))
            for number in range(1 + len(POSITIONS))
        ]
        cinema = Cinema(unserved, f"/api/v1/content/{package_id}", tasks)
        await cinema.fill(greedy, others)
        encoder = further_encoder(unserved, tmp_path / "encoder.log")
        # In another thread, so that answers are noted as they come.
        await asyncio.to_thread(stack.enter_context, encoder)
        assert [(await request).status_code for request in cinema.others] == [200] * len(others)
        got = len(cinema.got())
        work = dispatched(unserved)
        await cinema.close(upload.video_id)
        assert all(request.done() for request in cinema.greedy.values())
    assert_greedy_turns_are_few(work)
    print(f"\nbeside what others asked for, the greedy one had {got} of {len(cinema.greedy)}")
    assert got < len(cinema.greedy) / 4


def assert_greedy_turns_are_few(work: list[Dispatched]) -> None:
    """Assert that few segments were given out before those of the nine but were not theirs."""
    urgent = [each for each in work if each.lane is not Lane.LADDER]
    theirs = [next(i for i, each in enumerate(urgent) if each.has(n)) for n in POSITIONS]
    before = [each for each in urgent[: max(theirs)] if each.lane is Lane.ONDEMAND]
    turns = [each for each in before if not any(map(each.has, POSITIONS))]
    print(f"\n{len(turns)} turns of the greedy viewer came before the last of the nine")
    assert len(turns) <= GREEDY_TURNS
