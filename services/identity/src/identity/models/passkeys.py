"""Passkeys, and the challenges of ceremonies that have begun."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from chassis.tables import on_erase
from identity.models.base import Base


class Passkey(Base):
    """A credential that signs its owner in; only its public half is here."""

    __tablename__ = "passkeys"
    __table_args__ = ({"info": on_erase("delete", pruned_by="erasure")},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("identity.users.id", ondelete="CASCADE"), index=True)
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]] = mapped_column(ARRAY(String(20)))
    aaguid: Mapped[UUID]
    name: Mapped[str] = mapped_column(String(64))
    backed_up: Mapped[bool]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class PasskeyChallenge(Base):
    """A challenge that waits for its answer; taking it deletes the row, so it serves once."""

    __tablename__ = "passkey_challenges"
    __table_args__ = ({"info": on_erase("delete", pruned_by="forget-what-expired")},)

    challenge_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("identity.users.id", ondelete="CASCADE"), index=True
    )
    purpose: Mapped[str] = mapped_column(String(20))
    expires_at: Mapped[datetime] = mapped_column(index=True)
