"""People as Apple and Google name them, and what Apple granted us for them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import on_erase
from identity.models.base import Base


class ProviderIdentity(Base):
    """A way into an account: somebody whom a provider vouches for, under the provider's name for them."""

    __tablename__ = "provider_identities"
    __table_args__ = (
        # The provider's number is the key, never an address: addresses change hands (OIDC Core §5.7).
        UniqueConstraint("issuer", "subject"),
        {"info": on_erase("delete", pruned_by="erasure")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("identity.users.id", ondelete="CASCADE"), index=True)
    provider: Mapped[str] = mapped_column(String(20))
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    private_relay: Mapped[bool]
    mail_disabled_at: Mapped[datetime | None]
    asserted_at: Mapped[datetime]
    linked_at: Mapped[datetime]


class AppleGrant(Base):
    """A refresh token of Apple, sealed; it exists to be revoked when the person is erased.

    No cascade deletes it: an account with a grant that was not revoked can't be deleted.
    """

    __tablename__ = "apple_grants"
    __table_args__ = ({"info": on_erase("delete, after it was revoked at Apple", pruned_by="erasure")},)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("identity.users.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    sealed_token: Mapped[bytes] = mapped_column(LargeBinary)
    obtained_at: Mapped[datetime]


class SpentToken(Base):
    """Something of a provider's token that may act only once: the nonce of a sign-in, the id of a notice."""

    __tablename__ = "spent_tokens"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: a digest of a random value, until its token has expired",
                pruned_by="forget-what-expired",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.SECURITY,
                    retention="until the token that it is of has expired",
                ),
            )
        },
    )

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
