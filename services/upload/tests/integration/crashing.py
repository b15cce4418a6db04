"""The use cases in this process, which may "die" at any call to the store or the database."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reelay.common.database import Database
from reelay.common.messaging import Messaging
from reelay.common.outbox import OUTBOX, Outbox
from reelay.common.storage import ObjectStore
from reelay.common.tokens import Identity
from reelay.upload.adapters.drafts import PostgresDrafts
from reelay.upload.adapters.holding import PostgresHolding
from reelay.upload.adapters.spool import FileSpool
from reelay.upload.adapters.uploads import PostgresUploads
from reelay.upload.bootstrap import wire_uploading
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.limits import Limits
from reelay.upload.handlers.memory import PartMemory
from reelay.upload.handlers.sweeping import Sweeping
from reelay.upload.handlers.uploading import Uploading

ADA = Identity("ada", frozenset({"upload"}))
LIMITS = Limits()
WEEK_S = 7 * 86400.0


class Crash(BaseException):
    """The process died here."""


class Fuse:
    """Lets a number of calls through; the next one crashes, before or after it took effect."""

    def __init__(self, calls: int, *, after_effect: bool) -> None:
        self.calls_left = calls
        self.after_effect = after_effect

    def wrap(self, target: Any) -> Any:
        return Fused(target, self)


class Fused:
    def __init__(self, target: Any, fuse: Fuse) -> None:
        self._target, self._fuse = target, fuse

    def __getattr__(self, name: str) -> Any:
        method: Callable[..., Any] = getattr(self._target, name)
        if name in ("scan", "read", "unfinished_business", "stale"):
            return method

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.calls_left -= 1
            if self._fuse.calls_left < 0 and not self._fuse.after_effect:
                raise Crash
            result = await method(*args, **kwargs)
            if self._fuse.calls_left < 0:
                raise Crash
            return result

        return call


@dataclass
class Bytes:
    """A request's body."""

    data: bytes

    @property
    def announced_bytes(self) -> int | None:
        return len(self.data)

    @property
    def all_came(self) -> bool:
        return True

    async def blocks(self, hold: Hold) -> AsyncIterator[bytes]:
        for at in range(0, len(self.data), 3_000_000):
            yield self.data[at : at + 3_000_000]


@dataclass
class World:
    """What survives a crash of the process."""

    database: Database
    url: str
    store: ObjectStore

    def process(self, fuse: Fuse | None = None) -> tuple[Uploading, PostgresHolding, Sweeping]:
        fuse = fuse or Fuse(10**9, after_effect=False)
        outbox = Outbox(self.database, Messaging("nats://127.0.0.1:1", "upload"))
        uploads = fuse.wrap(PostgresUploads(self.database, outbox, LIMITS))
        store = fuse.wrap(self.store)
        holding = PostgresHolding(self.url)
        drafts, memory = PostgresDrafts(self.database), PartMemory(lambda: FileSpool(None))
        uploading = wire_uploading(store, uploads, drafts, holding, LIMITS, memory)
        sweeping = Sweeping(store, uploads, holding, uploading, WEEK_S, 1.0)
        return uploading, holding, sweeping

    async def announced(self) -> list[str]:
        async with self.database.transaction() as session:
            return list((await session.execute(sa.select(OUTBOX.c.subject))).scalars())

    async def keys(self) -> list[str]:
        return [info.key async for info in self.store.scan("")]
