"""Connections to a real PostgreSQL."""

import os
import socket

import pytest

from reelay.common.database import Database

pytestmark = pytest.mark.integration


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
