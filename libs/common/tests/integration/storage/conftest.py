"""The stores that the contract is held against."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reelay.common.storage import ObjectStore, open_store
from reelay.common.testing.s3 import fresh_bucket_url, seaweedfs_server
from reelay.common.testing.servers import Program


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An S3 server that the tests share, each with a bucket of its own."""
    with seaweedfs_server(tmp_path_factory.mktemp("s3")) as program:
        yield program


@pytest.fixture(params=["filesystem", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Each adapter in turn, empty."""
    if request.param == "filesystem":
        return open_store((tmp_path / "store").as_uri())
    return open_store(fresh_bucket_url(request.getfixturevalue("seaweedfs")))
