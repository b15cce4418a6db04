"""Marks of restricted packages in the object store, for those who cannot ask the broker."""

from reelay.common.content_access import Access, mark_key
from reelay.common.storage import ObjectStore

RESTRICTED = (Access.TOKEN, Access.CLOSED)


async def mark(store: ObjectStore, package_id: str, access: Access) -> None:
    """Leave the mark of `access` on a package and no other; an open one has none.

    The new mark comes before the old one goes. Raises StoreUnavailableError.
    """
    if access in RESTRICTED:
        await store.put(mark_key(package_id, access), b"")
    for other in RESTRICTED:
        if other is not access:
            await store.delete(mark_key(package_id, other))
