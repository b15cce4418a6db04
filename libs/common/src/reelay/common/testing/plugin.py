"""pytest fixtures: servers that one test session shares, and what each test gets of them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reelay.common.messaging import Messaging
from reelay.common.storage import ObjectStore, open_store
from reelay.common.testing.media import Media
from reelay.common.testing.servers import (
    Program,
    fresh_database,
    nats_server,
    postgres_server,
)


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A PostgreSQL server for tests that do not disturb it."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as program:
        yield program


@pytest.fixture
def tables_of() -> str | None:
    """The package whose tables `database_url` begins with: a service's tests may name one."""
    return None


@pytest.fixture
def database_url(shared_postgres: Program, tables_of: str | None) -> str:
    """A database without rows."""
    return fresh_database(shared_postgres, tables_of)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Program]:
    """A NATS server of the test's own, so that streams start empty and it may be killed."""
    with nats_server(tmp_path) as program:
        yield program


@pytest.fixture
async def messaging(nats: Program) -> AsyncIterator[Messaging]:
    """A connection that declared the streams; not yet consuming."""
    connection = Messaging(nats.url, "test")
    yield connection
    await connection.stop()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty object store."""
    return open_store(f"file://{tmp_path}/store")


@pytest.fixture(scope="session")
def media(pytestconfig: pytest.Config) -> Media:
    """Test media, kept in `.cache/media` between runs."""
    return Media(pytestconfig.rootpath / ".cache" / "media")
