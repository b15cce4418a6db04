"""What a service answers when its database fails it."""

import httpx
from sqlalchemy.pool import QueuePool

from reelay.common.http import create_app


class Connection:
    """Enough of a connection to lie in a pool."""

    def rollback(self) -> None:
        """Nothing was begun."""

    def close(self) -> None:
        """Nothing is open."""


async def test_pool_without_a_free_connection_is_an_outage_and_no_bug() -> None:
    app = create_app("test", {})
    pool = QueuePool(Connection, pool_size=1, max_overflow=0, timeout=0)  # type: ignore[arg-type]  # all it needs
    taken = pool.connect()

    @app.get("/rows")
    async def rows() -> None:
        pool.connect()

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/rows")
    taken.close()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
