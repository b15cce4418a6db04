"""What a client is told of an import that ends while it asks."""

from dataclasses import replace
from typing import Any, cast
from uuid import UUID, uuid4

from reelay.common.tokens import Identity
from reelay.upload.domain.imports import Import
from reelay.upload.domain.upload import State, Upload
from reelay.upload.entrypoints.imports import ImportState
from reelay.upload.handlers.importing import Importing


class Failing:
    """Imports and uploads; the one that is asked for fails between two questions."""

    def __init__(self) -> None:
        self.job = Import(uuid4(), "http://localhost/film.mp4")

    async def find(self, upload_id: UUID) -> Import:
        return self.job

    async def find_own(self, identity: Identity, upload_id: UUID) -> Upload:
        self.job = replace(self.job, failure="private-address")
        return replace(Upload(upload_id, "ada", None), state=State.REFUSED, refusal="Not there.")


async def test_import_that_fails_meanwhile_tells_why() -> None:
    both = cast(Any, Failing())
    importing = Importing(both, both, cast(Any, None), lambda: None)
    ada = Identity(subject="ada", scopes=frozenset({"upload"}))
    told = ImportState.of(*await importing.look(ada, both.job.upload_id))
    assert (told.state, told.problem) == ("failed", "private-address")
