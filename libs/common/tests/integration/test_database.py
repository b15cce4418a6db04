"""Connections to a real PostgreSQL."""

import os
import socket

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from reelay.common.database import Database, DatabaseUnavailableError
from reelay.common.testing.servers import free_port

pytestmark = pytest.mark.integration


async def run_in(database: Database, *statements: str) -> None:
    """Run statements in one transaction."""
    async with database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


async def test_a_database_whose_machine_vanished_is_given_up_within_seconds(
    database_url: str,
) -> None:
    database = Database(database_url)
    async with database.engine.connect() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        with socket.socket(fileno=os.dup(raw.driver_connection.fileno())) as line:
            unanswered_ms = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            idle_s = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
    await database.close()
    assert 0 < unanswered_ms <= 15_000
    assert 0 < idle_s <= 15


async def test_pool_without_a_free_connection_is_an_outage(database_url: str) -> None:
    database = Database(database_url, pool_size=1, pool_timeout_s=0.05)
    async with database.transaction() as first, database.transaction() as second:
        await first.execute(text("SELECT 1"))
        await second.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailableError):
            async with database.autocommit() as third:
                await third.execute(text("SELECT 1"))
    await database.close()


async def test_server_that_is_away_is_an_outage() -> None:
    database = Database(f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere")
    with pytest.raises(DatabaseUnavailableError):
        await database.check()
    with pytest.raises(DatabaseUnavailableError):
        await run_in(database, "SELECT 1")


async def test_server_that_is_read_only_is_an_outage(database_url: str) -> None:
    database = Database(database_url)
    async with database.autocommit() as session:
        await session.execute(text("CREATE TABLE one (id int)"))
    with pytest.raises(DatabaseUnavailableError):
        await run_in(database, "SET TRANSACTION READ ONLY", "INSERT INTO one VALUES (1)")
    await database.close()


async def test_transaction_that_took_too_long_is_an_outage(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(DatabaseUnavailableError):
        await run_in(database, "SET LOCAL transaction_timeout = 50", "SELECT pg_sleep(5)")
    await database.close()


async def test_statement_that_is_refused_is_none(database_url: str) -> None:
    database = Database(database_url)
    async with database.autocommit() as session:
        await session.execute(text("CREATE TABLE one (id int PRIMARY KEY)"))
        with pytest.raises(IntegrityError):
            await session.execute(text("INSERT INTO one VALUES (1), (1)"))
    await database.close()
