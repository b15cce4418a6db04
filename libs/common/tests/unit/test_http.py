"""What clients are told of trouble."""

import httpx

from reelay.common.database import DatabaseUnavailableError
from reelay.common.http import create_app


async def test_database_that_is_away_is_an_outage_and_no_bug() -> None:
    app = create_app("test", {})

    @app.get("/rows")
    async def rows() -> None:
        raise DatabaseUnavailableError

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/rows")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "The database does not answer, or has no connection free."
