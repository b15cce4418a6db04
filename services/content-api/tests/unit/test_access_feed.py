"""When the feed of restrictions says that it has none."""

import asyncio
from types import SimpleNamespace
from typing import Any

import nats.js.errors
import pytest
from structlog.testing import capture_logs

from reelay.content_api.adapters import access_feed
from reelay.content_api.adapters.access_feed import START_S, AccessFeed
from reelay.content_api.domain.access import Restrictions


class Outage:
    """A broker without the stream, and a clock that goes on with every try."""

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        self.now_s = 0.0
        self.tries = 0
        self.enough = asyncio.Event()
        self.client = SimpleNamespace(new_inbox=str, subscribe=self.subscribe)

    async def subscribe(self, inbox: str) -> None:
        self.tries += 1
        self.now_s += self.step_s
        if self.tries == 4:
            self.enough.set()
        raise nats.js.errors.NotFoundError


@pytest.mark.parametrize(
    ("step_s", "were_current", "warnings"),
    [(START_S / 5, False, 0), (START_S / 2, False, 1), (START_S / 5, True, 1)],
    ids=["starting", "missing", "lost"],
)
async def test_a_stream_that_is_not_there_is_told_once_unless_everything_starts(
    monkeypatch: pytest.MonkeyPatch, step_s: float, were_current: bool, warnings: int
) -> None:
    monkeypatch.setattr(access_feed, "RETRY_S", 0)
    broker: Any = Outage(step_s)
    restrictions = Restrictions()
    restrictions.were_current = were_current
    feed = AccessFeed(broker, restrictions, lambda _: None, now=lambda: broker.now_s)
    connected = asyncio.Event()
    connected.set()
    with capture_logs() as logged:
        running = asyncio.create_task(feed.run(connected))
        await broker.enough.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [entry["log_level"] for entry in logged] == ["warning"] * warnings
