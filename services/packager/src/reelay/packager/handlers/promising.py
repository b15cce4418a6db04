"""What a package promises before it is made: its plan and its manifests, stored for good."""

import asyncio
import hashlib
import json

from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.storage import ObjectStore
from reelay.packager.adapters import repository
from reelay.packager.domain.manifests import compose
from reelay.packager.domain.outcome import PLAN, StoredObject
from reelay.packager.domain.plan import Plan


def promises(plan: Plan) -> dict[str, bytes]:
    """Return the objects that follow from the plan alone, by path; always the same bytes."""
    promised = (json.dumps(plan.promised(), indent=1, sort_keys=True) + "\n").encode()
    return {PLAN: promised, **compose(plan)}


async def store_promises(store: ObjectStore, plan: Plan) -> dict[str, bytes]:
    """Store the plan, then the manifests; they are final (DESIGN, decision 2)."""
    bodies = promises(plan)
    folder = f"packages/{plan.package_id}"
    await store.put(f"{folder}/{PLAN}", bodies[PLAN])
    await asyncio.gather(
        *(store.put(f"{folder}/{path}", body) for path, body in bodies.items() if path != PLAN)
    )
    return bodies


async def note_promises(session: AsyncSession, package_id: str, bodies: dict[str, bytes]) -> None:
    """Note what was stored, so that the index will list it."""
    for path, body in bodies.items():
        stored = StoredObject(path, len(body), hashlib.sha256(body).hexdigest())
        await repository.insert_object(session, package_id, stored)
