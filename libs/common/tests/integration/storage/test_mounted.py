"""A store that is empty is not the one that all share; one without films may be."""

import pytest

from reelay.common.storage import ObjectStore, StoreUnavailableError, assert_in_use

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("key", ["keys/one.json", "sources/one"])
async def test_store_that_holds_a_key_or_a_source_is_in_use(store: ObjectStore, key: str) -> None:
    await store.put("staging/one", b"x")
    with pytest.raises(StoreUnavailableError, match="mounted"):
        await assert_in_use(store)
    await store.put(key, b"x")
    await assert_in_use(store)
