"""Signed certificates of erasures, and the keys that anybody can check them with."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import on_erase
from identity.models.base import Base


class CertificateKey(Base):
    """The public half (JWK) of a key that has signed certificates; published as long as they are kept."""

    __tablename__ = "certificate_keys"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: keys of the platform, not of people",
                pruned_by="kept: a certificate must stay good when its key signs nothing any more",
                about=About(
                    data_class=DataClass.NOBODY, purpose=Purpose.ERASURE, retention="for ever: public keys"
                ),
            )
        },
    )

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    public_jwk: Mapped[str] = mapped_column(Text)
    first_signed_at: Mapped[datetime]


class ErasureCertificate(Base):
    """What was signed about an erasure, to the letter, and its SHA-256; written once."""

    __tablename__ = "erasure_certificates"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: the proof; it names the person by a keyed hash only",
                pruned_by="kept: the proof of the erasure",
                about=About(
                    data_class=DataClass.PSEUDONYM,
                    purpose=Purpose.ERASURE,
                    retention="for ever: the proof of the erasure",
                ),
            )
        },
    )

    erasure_id: Mapped[UUID] = mapped_column(ForeignKey("identity.erasures.id"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kid: Mapped[str] = mapped_column(ForeignKey("identity.certificate_keys.kid"))
    token: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[datetime]
