"""The two identities."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from reelay.common.identity import PART_SIZE_BYTES, asset_id, new_id, package_id


def test_asset_identity_is_the_hash_of_the_parts_hashes() -> None:
    first, last = hashlib.sha256(b"a" * PART_SIZE_BYTES), hashlib.sha256(b"b")
    whole = hashlib.sha256(first.digest() + last.digest()).hexdigest()
    assert asset_id([first.digest(), last.digest()]) == whole


def test_asset_of_one_part_is_the_hash_of_its_hash() -> None:
    digest = hashlib.sha256(b"x").digest()
    assert asset_id([digest]) == hashlib.sha256(digest).hexdigest()


recipes = st.dictionaries(st.text(max_size=5), st.integers(-(2**31), 2**31) | st.text(max_size=5))


@given(recipes)
def test_package_identity_does_not_depend_on_the_order_of_keys(
    recipe: dict[str, int | str],
) -> None:
    backwards = dict(reversed(list(recipe.items())))
    assert package_id("a", recipe) == package_id("a", backwards)


def test_package_identity_depends_on_asset_and_recipe() -> None:
    assert len({package_id("a", {"x": 1}), package_id("b", {"x": 1}), package_id("a", {})}) == 3


def test_new_ids_are_sorted_by_time() -> None:
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(ids)
    assert {i.version for i in ids} == {7}
