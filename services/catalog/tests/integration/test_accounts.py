"""The signing key and the administrator's token, over restarts and between replicas."""

import shutil
from pathlib import Path

import pytest

from reelay.common.storage import open_store
from reelay.common.testing.servers import Program, fresh_database, wait_until
from reelay.common.tokens import TokenSigner, TokenVerifier

from .conftest import signer_of
from .system import Catalog, bearer

pytestmark = pytest.mark.integration


async def test_admin_token_is_private_and_valid(shared_catalog: Catalog) -> None:
    assert shared_catalog.token_file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in shared_catalog.token_file.parent.iterdir()] == ["admin-token"]
    async with shared_catalog.client(shared_catalog.admin) as client:
        me = await client.get("/accounts/me")
    assert (me.status_code, me.json()) == (200, {"subject": "admin", "scopes": ["admin"]})


async def test_other_services_verify_the_token_from_the_store(shared_catalog: Catalog) -> None:
    store = open_store(f"file://{shared_catalog.directory}/store")
    identity = await TokenVerifier(store).verify(shared_catalog.token_file.read_text().strip())
    assert identity.subject == "admin"


async def test_account_says_the_scopes_of_its_token(
    shared_catalog: Catalog, signer: TokenSigner
) -> None:
    async with shared_catalog.client(bearer(signer.sign("ann", {"watch", "publish"}))) as client:
        me = (await client.get("/accounts/me")).json()
    assert me == {"subject": "ann", "scopes": ["publish", "watch"]}


async def test_token_file_is_kept_while_it_is_good_and_replaced_otherwise(
    lonely: Catalog, shared_postgres: Program
) -> None:
    lonely.start()
    first = lonely.token_file.read_text()
    lonely.token_file.chmod(0o644)
    lonely.stop()
    lonely.start()
    assert lonely.token_file.read_text() == first
    assert lonely.token_file.stat().st_mode & 0o777 == 0o600
    lonely.stop()
    lonely.token_file.write_text(signer_of(lonely).sign("admin", {"publish"}))
    lonely.start()
    second = lonely.token_file.read_text()
    async with lonely.client(lonely.admin) as client:
        assert (await client.get("/accounts/me")).json()["scopes"] == ["admin"]
    lonely.stop()
    lonely.database_url = fresh_database(shared_postgres)  # the store keeps the old key
    lonely.start()
    assert lonely.token_file.read_text() != second
    async with lonely.client(lonely.admin) as client:
        assert (await client.get("/accounts/me")).status_code == 200


async def test_lost_public_key_is_published_at_the_next_start(lonely: Catalog) -> None:
    lonely.start()
    lonely.stop()
    token = lonely.token_file.read_text()
    shutil.rmtree(lonely.directory / "store")
    lonely.start()
    assert lonely.token_file.read_text() == token
    async with lonely.client(lonely.admin) as client:
        assert (await client.get("/accounts/me")).status_code == 200


async def test_replicas_that_start_together_share_one_key(
    nats: Program, database_url: str, tmp_path: Path
) -> None:
    replicas = [Catalog(tmp_path, nats.url, database_url) for _ in range(2)]
    try:
        for replica in replicas:
            replica.launch()
        for replica in replicas:
            wait_until(replica.is_ready, "both replicas are ready", 60)
        for replica in replicas:
            async with replica.client(replica.admin) as client:
                assert (await client.get("/accounts/me")).status_code == 200
        assert len(list((tmp_path / "store" / "keys").iterdir())) == 1
    finally:
        for replica in replicas:
            replica.stop()
