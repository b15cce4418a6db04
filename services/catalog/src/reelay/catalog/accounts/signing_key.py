"""The key that signs all tokens: made once, published at every start."""

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import select

from reelay.catalog.accounts.tables import SigningKeyRow
from reelay.common.database import Database
from reelay.common.storage import ObjectStore
from reelay.common.tokens import TokenSigner

CURRENT = "current"


async def open_signer(database: Database, store: ObjectStore) -> TokenSigner:
    """Return the signer, whose public key verifiers can now find.

    Of replicas that start together the first one's key is kept; all of them get that.
    """
    fresh = insert(SigningKeyRow).values(
        name=CURRENT, private_key_pem=TokenSigner.new_private_key()
    )
    async with database.transaction() as session:
        await session.execute(fresh.on_conflict_do_nothing())
        current = select(SigningKeyRow).where(SigningKeyRow.name == CURRENT)
        row = (await session.exec(current)).one()
    signer = TokenSigner(row.private_key_pem)
    await signer.publish_key(store)
    return signer
