"""Every query about provider identities, Apple's grants and spent tokens."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.repository import Repository
from identity.models import AppleGrant, ProviderIdentity, SpentToken, User


class ProviderIdentities(Repository):
    """Who at Apple or Google may open which account."""

    async def lock(self, issuer: str, subject: str) -> tuple[User, ProviderIdentity] | None:
        """Return the account that the person opens, and the link; both locked until the transaction ends."""
        statement = (
            select(User, ProviderIdentity)
            .join(ProviderIdentity, ProviderIdentity.user_id == User.id)
            .where(ProviderIdentity.issuer == issuer, ProviderIdentity.subject == subject)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        found = (await self._session.execute(statement)).one_or_none()
        return (found[0], found[1]) if found is not None else None

    async def lock_account_with(self, email_key: str) -> User | None:
        """Return the live account with that normalised address, locked until the transaction ends."""
        return await self._session.scalar(
            select(User)
            .where(User.email_key == email_key, User.erasure_id.is_(None))
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    async def add(self, identity: ProviderIdentity) -> bool:
        """Insert the link; False when the person at the provider opens an account already."""
        columns = {column.key: getattr(identity, column.key) for column in identity.__table__.columns}
        statement = insert(ProviderIdentity).values(columns).on_conflict_do_nothing()
        return await self._session.scalar(statement.returning(ProviderIdentity.id)) is not None

    async def unlink(self, identity: ProviderIdentity) -> None:
        """Delete one link."""
        await self._session.execute(delete(ProviderIdentity).where(ProviderIdentity.id == identity.id))

    async def of(self, user_id: UUID) -> Sequence[ProviderIdentity]:
        """Return the links of an account, oldest first."""
        statement = select(ProviderIdentity).where(ProviderIdentity.user_id == user_id)
        return (
            await self._session.scalars(statement.order_by(ProviderIdentity.linked_at, ProviderIdentity.id))
        ).all()

    async def count(self, user_id: UUID) -> int:
        """Return how many links an account has."""
        statement = select(func.count()).select_from(ProviderIdentity)
        return int(await self._session.scalar(statement.where(ProviderIdentity.user_id == user_id)) or 0)


class AppleGrants(Repository):
    """Apple's refresh tokens, sealed."""

    async def keep(self, *, user_id: UUID, client_id: str, sealed_token: bytes, now: datetime) -> None:
        """Keep the newest grant of a person at a client; it stands for all before it."""
        values = {"sealed_token": sealed_token, "obtained_at": now}
        await self._session.execute(
            insert(AppleGrant)
            .values(user_id=user_id, client_id=client_id, **values)
            .on_conflict_do_update(index_elements=[AppleGrant.user_id, AppleGrant.client_id], set_=values)
        )

    async def of(self, user_ids: Sequence[UUID]) -> Sequence[AppleGrant]:
        """Return the grants of these people."""
        return (await self._session.scalars(select(AppleGrant).where(AppleGrant.user_id.in_(user_ids)))).all()

    async def drop(self, grant: AppleGrant) -> None:
        """Delete one grant, unless a newer one has taken its place."""
        await self._session.execute(
            delete(AppleGrant).where(
                AppleGrant.user_id == grant.user_id,
                AppleGrant.client_id == grant.client_id,
                AppleGrant.sealed_token == grant.sealed_token,
            )
        )

    async def drop_all(self, user_id: UUID) -> None:
        """Delete every grant of a person."""
        await self._session.execute(delete(AppleGrant).where(AppleGrant.user_id == user_id))


class SpentTokens(Repository):
    """What may act only once."""

    async def spend(self, kind: str, value: str, *, expires_at: datetime) -> bool:
        """Use the value up; False when it was used before. Of two uses at once the second waits and loses."""
        digest = hashlib.sha256(f"{kind}\x00{value}".encode()).hexdigest()
        statement = insert(SpentToken).values(digest=digest, expires_at=expires_at).on_conflict_do_nothing()
        return await self._session.scalar(statement.returning(SpentToken.digest)) is not None

    async def forget_expired(self, *, now: datetime) -> None:
        """Delete what is refused by its age anyway."""
        await self._session.execute(delete(SpentToken).where(SpentToken.expires_at <= now))
