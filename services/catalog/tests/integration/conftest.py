"""One catalog for all tests that do not disturb its servers."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program, fresh_database, nats_server
from reelay.common.tokens import TokenSigner

from .system import Catalog


@pytest.fixture(scope="package")
def shared_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with nats_server(tmp_path_factory.mktemp("nats")) as program:
        yield program


@pytest.fixture(scope="package")
def shared_catalog(
    shared_nats: Program, shared_postgres: Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Catalog]:
    replica = Catalog(
        tmp_path_factory.mktemp("catalog"), shared_nats.url, fresh_database(shared_postgres)
    )
    replica.start()
    yield replica
    replica.stop()


@pytest.fixture
async def facts(shared_nats: Program) -> AsyncIterator[Messaging]:
    """A connection to the broker of the shared catalog."""
    connection = Messaging(shared_nats.url, "test")
    await connection.start()
    yield connection
    await connection.stop()


@pytest.fixture
def lonely(tmp_path: Path, nats: Program, database_url: str) -> Iterator[Catalog]:
    """A catalog of the test's own, not started; its NATS server may be killed."""
    replica = Catalog(tmp_path, nats.url, database_url)
    yield replica
    if replica.process is not None:
        replica.stop()


def signer_of(catalog: Catalog) -> TokenSigner:
    """Return a signer with the catalog's own key."""
    import psycopg

    with psycopg.connect(catalog.database_url) as connection:
        row = connection.execute("SELECT private_key_pem FROM signing_keys").fetchone()
    assert row is not None
    return TokenSigner(row[0])


@pytest.fixture
def signer(shared_catalog: Catalog) -> TokenSigner:
    """Signs with the shared catalog's own key."""
    return signer_of(shared_catalog)
