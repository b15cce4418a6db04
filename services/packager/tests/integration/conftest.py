"""What the packager's integration tests share."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from reelay.common.database import Database
from reelay.common.messaging import Messaging
from reelay.common.storage import open_store
from reelay.common.testing.s3 import fresh_bucket_url, seaweedfs_server
from reelay.common.testing.servers import Program

from .house import House, build_house


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An S3 server that the tests share, each with a bucket of its own."""
    with seaweedfs_server(tmp_path_factory.mktemp("s3")) as program:
        yield program


@pytest.fixture
def tables_of() -> str | None:
    return "reelay.packager"


@pytest.fixture(params=["filesystem", "s3"])
def any_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store of each kind is."""
    if request.param == "filesystem":
        return (tmp_path / "store").as_uri()
    return fresh_bucket_url(request.getfixturevalue("seaweedfs"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The packager's tables; asked for before `messaging`, whose handlers end before it so."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def any_house(
    database: Database, messaging: Messaging, any_store_url: str
) -> AsyncIterator[House]:
    """The parts, on each kind of store."""
    async with aclosing(open_store(any_store_url)) as store:
        yield build_house(database, messaging, store)


@pytest.fixture
def house(database: Database, messaging: Messaging, tmp_path: Path) -> House:
    """The parts, with an empty database and store."""
    return build_house(database, messaging, open_store(f"file://{tmp_path}/store"))
