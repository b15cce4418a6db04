"""The real service in a process of its own, over real NATS, PostgreSQL and object stores."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import httpx
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from reelay.common.database import Database
from reelay.common.events import Event, VideoDrafted
from reelay.common.identity import new_id
from reelay.common.messaging import Messaging
from reelay.common.storage import ObjectStore, open_store
from reelay.common.testing.s3 import fresh_bucket_url, seaweedfs_server
from reelay.common.testing.servers import Program, free_port
from reelay.common.tokens import TokenSigner

from .client import TusClient
from .crashing import World
from .importing import Importer
from .origin import Origin, running_origin
from .sending import Sender

Fact = TypeVar("Fact", bound=Event)
BOTH_STORES = pytest.mark.parametrize("store_kind", ["file", "s3"])


@dataclass
class System:
    """A running upload service and what a test needs to look behind it."""

    program: Program
    store: ObjectStore
    store_url: str
    signer: TokenSigner
    messaging: Messaging
    client: TusClient

    def token(self, subject: str, *scopes: str) -> str:
        return self.signer.sign(subject, set(scopes or ("upload",)))

    def as_user(self, subject: str, *scopes: str) -> TusClient:
        return TusClient(self.client.http, self.token(subject, *scopes))

    async def draft(self, owner_id: str = "ada") -> UUID:
        fact = VideoDrafted(video_id=new_id(), owner_id=owner_id, title="A video")
        await self.messaging.publish(fact)
        return fact.video_id

    async def facts(self, kind: type[Fact], count: int) -> list[Fact]:
        """Return the first facts of a kind, in order; waits for them."""
        subscription = await self.messaging.jetstream.subscribe(
            kind.subject,
            stream="EVENTS",
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        )
        found = [await subscription.next_msg(timeout=10) for _ in range(count)]
        await subscription.unsubscribe()
        return [kind.model_validate_json(message.data) for message in found]

    async def number_of(self, kind: type[Event]) -> int:
        info = await self.messaging.jetstream.stream_info("EVENTS", subjects_filter=kind.subject)
        return sum((info.state.subjects or {}).values())

    async def keys(self, prefix: str) -> list[str]:
        return [info.key async for info in self.store.scan(prefix)]

    async def restarted(self) -> None:
        await asyncio.to_thread(self.program.start)
        await self.ready()

    async def ready(self, url: str = "") -> None:
        report = "nobody listens"
        for _ in range(600):
            try:
                response = await self.client.http.get(f"{url}/readyz")
            except httpx.TransportError as error:
                report = repr(error)
            else:
                report = response.text
                if response.status_code == 200:
                    return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"not ready: {report}")


@pytest.fixture
def extra_settings() -> dict[str, str]:
    """Settings that differ in a test; override by parametrisation."""
    return {}


@pytest.fixture
def store_kind() -> str:
    """Which object store; tests that must hold for both parametrise it."""
    return "file"


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with seaweedfs_server(tmp_path_factory.mktemp("seaweedfs")) as program:
        yield program


@pytest.fixture
def tables_of() -> str | None:
    return "reelay.upload"  # each test starts the service: it finds its tables


@pytest.fixture
def store_url(tmp_path: Path, store_kind: str, request: pytest.FixtureRequest) -> str:
    if store_kind == "s3":
        return fresh_bucket_url(request.getfixturevalue("seaweedfs"))
    return f"file://{tmp_path}/store"


@pytest.fixture
def limit_file_bytes() -> int | None:
    """How large a file the service may write (RLIMIT_FSIZE); to it, more is a full disk."""
    return None


@pytest.fixture
def replica(
    nats: Program,
    database_url: str,
    store_url: str,
    tmp_path: Path,
    extra_settings: dict[str, str],
    limit_file_bytes: int | None,
) -> Iterator[Callable[[], Program]]:
    """Starts one replica of the service more, with the same settings but its port."""
    started: list[Program] = []

    def start() -> Program:
        port = free_port()
        settings = {
            # Compiled modules are kept, whatever the caller prefers: each test starts the service.
            "PYTHONDONTWRITEBYTECODE": "",
            "UPLOAD_PORT": str(port),
            "UPLOAD_NATS_URL": nats.url,
            "UPLOAD_DATABASE_URL": database_url,
            "UPLOAD_STORE_URL": store_url,
            **extra_settings,
        }
        environment = [f"{name}={value}" for name, value in settings.items()]
        argv = ["/usr/bin/env", *environment, sys.executable, "-m", "reelay.upload"]
        if limit_file_bytes is not None:
            argv = ["/usr/bin/prlimit", f"--fsize={limit_file_bytes}", *argv]
        log = tmp_path / f"upload-{len(started)}.log"
        program = Program(argv, port, f"http://127.0.0.1:{port}", log)
        started.append(program)
        program.start()
        return program

    yield start
    for program in started:
        program.kill()
        if os.environ.get("SHOW_LOG"):
            print(program.log.read_text())


@pytest.fixture
def service(replica: Callable[[], Program]) -> Program:
    return replica()


@pytest.fixture
async def system(service: Program, store_url: str, messaging: Messaging) -> AsyncIterator[System]:
    await messaging.start()
    signer = TokenSigner(TokenSigner.new_private_key())
    async with (
        aclosing(open_store(store_url)) as store,
        httpx.AsyncClient(base_url=service.url, timeout=30) as http,
    ):
        await signer.publish_key(store)
        client = TusClient(http, signer.sign("ada", {"upload"}))
        running = System(service, store, store_url, signer, messaging, client)
        await running.ready()
        yield running


@pytest.fixture
async def second_replica(
    system: System, replica: Callable[[], Program]
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of another replica beside the system's own."""
    program = await asyncio.to_thread(replica)
    await system.ready(program.url)
    async with httpx.AsyncClient(base_url=program.url, timeout=60) as http:
        yield http


@pytest.fixture
async def world(database_url: str, store_url: str) -> AsyncIterator[World]:
    """What the service's processes share, for tests that run its use cases themselves."""
    database = Database(database_url)
    async with aclosing(open_store(store_url)) as store:
        yield World(database, database_url, store)
    await database.close()


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    """A server to import from."""
    async with running_origin() as origin:
        yield origin


@pytest.fixture
def importer(system: System, origin: Origin) -> Importer:
    return Importer(system.client.http, system.client.token, origin)


@pytest.fixture
def sender(system: System) -> Sender:
    return Sender(system.client.http, system.client.token or "")
