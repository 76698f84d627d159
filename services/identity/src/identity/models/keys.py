"""The keys that sign access tokens, beside the first one, which the settings hold."""

from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import on_erase
from identity.models.base import Base


class StoredSigningKey(Base):
    """A key made by rotation: published at once, used from `active_from` on, sealed at rest."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: keys of the platform, not of people",
                pruned_by="forget-what-expired",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.SECURITY,
                    retention="until no token that it signed is good",
                ),
            )
        },
    )

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    public_jwk: Mapped[dict[str, Any]] = mapped_column(JSONB)
    sealed_private_key: Mapped[bytes] = mapped_column(LargeBinary)
    active_from: Mapped[datetime]
    created_at: Mapped[datetime]
