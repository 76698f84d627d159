"""The rows of storage's schema, and those of the keyring's, which is a database of its own."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis.declarations import About, DataClass, Purpose
from chassis.tables import NAMING_CONVENTION, Moment, of_class, on_erase, service_metadata, tables_of

SCHEMA = "storage"
KEYRING_SCHEMA = "keyring"


class Base(DeclarativeBase):
    """The base of storage's rows."""

    metadata = service_metadata(SCHEMA)
    type_annotation_map = {datetime: Moment}  # noqa: RUF012 - SQLAlchemy reads a plain dict


class Photo(Base):
    """A photo, from the request for an upload link on; its bytes are sealed objects in the bucket.

    `sealed_version` is the upload attempt whose objects are valid: one of another attempt does not open.
    `s3_key` is the original's object: in that attempt's folder, or in the photo's own where it is older.
    `closed_at` is since when nobody lists it: the consent was withdrawn that an upload without bytes had been
    begun under, or that a photo rests on which waits for `destroy_at`, or a hold keeps the photo of an erased
    person.
    `released_for` is why a photo that only a hold keeps was let go of: by its owner, or with a consent.
    `upload_digest` knows the same bytes again until the upload link is over; it is keyed, and goes with it.
    An upload that arrives in pieces has an `upload_length`, and lists the parts that are there in
    `upload_parts`; see `storage.parts`.
    `lost_at` is when the bytes were found missing or changed; nobody is given a link to them any more.
    """

    __tablename__ = "photos"
    __table_args__ = (
        CheckConstraint(
            "num_nulls(received_at, received_bytes, content_type, width, height, sealed_version) IN (0, 6)",
            name="received_is_whole",
        ),
        CheckConstraint("confirmed_at IS NULL OR received_at IS NOT NULL", name="confirmed_was_received"),
        Index("ix_photos_user_id_created_at", "user_id", "created_at", "id"),
        CheckConstraint("destroy_at IS NULL OR closed_at IS NOT NULL", name="waits_closed"),
        Index("ix_photos_destroy_at", "destroy_at", postgresql_where=text("destroy_at IS NOT NULL")),
        Index("ix_photos_unconfirmed", "upload_expires_at", postgresql_where=text("confirmed_at IS NULL")),
        Index(
            "ix_photos_upload_digest", "upload_expires_at", postgresql_where=text("upload_digest IS NOT NULL")
        ),
        Index("ix_photos_released_for", "user_id", postgresql_where=text("released_for IS NOT NULL")),
        {"info": on_erase("delete", pruned_by="erasure")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    # By bytes, as the bucket is listed.
    s3_key: Mapped[str] = mapped_column(String(200, collation="C"), index=True)
    declared_type: Mapped[str] = mapped_column(String(20))
    consent_id: Mapped[UUID]
    consent_epoch: Mapped[int] = mapped_column(BigInteger)
    upload_token_hash: Mapped[str] = mapped_column(
        String(64), info=of_class(DataClass.CREDENTIAL, in_export=False)
    )
    upload_expires_at: Mapped[datetime]
    upload_attempts: Mapped[int] = mapped_column(server_default=text("0"))
    upload_lease_until: Mapped[datetime | None]
    upload_digest: Mapped[str | None] = mapped_column(
        String(64), info=of_class(DataClass.BIOMETRIC, in_export=False)
    )
    upload_length: Mapped[int | None] = mapped_column(
        BigInteger, info=of_class(DataClass.CONTENT, in_export=False)
    )
    upload_parts: Mapped[list[int] | None] = mapped_column(
        ARRAY(BigInteger), info=of_class(DataClass.CONTENT, in_export=False)
    )
    address_proved: Mapped[bool] = mapped_column(server_default=text("false"))
    closed_at: Mapped[datetime | None]
    destroy_at: Mapped[datetime | None]
    released_for: Mapped[str | None] = mapped_column(String(20))
    received_at: Mapped[datetime | None]
    received_bytes: Mapped[int | None] = mapped_column(BigInteger)
    content_type: Mapped[str | None] = mapped_column(String(20))
    width: Mapped[int | None]
    height: Mapped[int | None]
    sealed_version: Mapped[int | None]
    confirmed_at: Mapped[datetime | None]
    lost_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def folder(self) -> str:
        """The prefix of everything that belongs to this photo in the bucket."""
        return "/".join(self.s3_key.split("/")[:2]) + "/"

    @property
    def media_type(self) -> str:
        """The type of what is kept, or of what is expected while nothing has arrived."""
        return self.content_type or self.declared_type


class ConsentGate(Base):
    """What storage has heard of a person's biometric consent; good for saying no, never for saying yes."""

    __tablename__ = "consent_gates"
    __table_args__ = (
        CheckConstraint("granted = (consent_id IS NOT NULL)", name="granted_has_consent"),
        Index("ix_consent_gates_checked_at", "checked_at", postgresql_where=text("granted")),
        {"info": on_erase("delete", pruned_by="erasure")},
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)
    granted: Mapped[bool]
    consent_id: Mapped[UUID | None]
    withdrawn_epoch: Mapped[int] = mapped_column(BigInteger)
    checked_at: Mapped[datetime]


_GATE = f"{SCHEMA}.consent_gates.user_id"


class UsageCount(Base):
    """How much of their limits a person uses: uploads begun on `day`, photos and bytes that have arrived.

    What was deleted since is still in `photos` and `bytes`, until a limit seems to be met.
    """

    __tablename__ = "usage_counts"
    __table_args__ = ({"info": on_erase("delete", pruned_by="erasure")},)

    user_id: Mapped[UUID] = mapped_column(ForeignKey(_GATE, ondelete="CASCADE"), primary_key=True)
    day: Mapped[date]
    begun: Mapped[int]
    photos: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)


class PhotoRead(Base):
    """That somebody was given the bytes of a photo: who, in which session, which rendition, why and when.

    It outlives the photo, so that its owner can still ask who has seen it.
    """

    __tablename__ = "photo_reads"
    __table_args__ = (
        Index("ix_photo_reads_user_id_photo_id", "user_id", "photo_id", "read_at", "id"),
        Index("ix_photo_reads_read_at", "read_at"),
        {"info": on_erase("delete", pruned_by="forget-reads")},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_GATE, ondelete="CASCADE"))
    photo_id: Mapped[UUID]
    session_id: Mapped[UUID | None]
    rendition: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(20))
    read_at: Mapped[datetime]


class StandingHold(Base):
    """What identity says that storage must not destroy yet of somebody who has not asked to be erased.

    With the request to be erased it goes: that brings the holds of the erasure.
    """

    __tablename__ = "standing_holds"
    __table_args__ = ({"info": on_erase("delete", pruned_by="release-held-photos")},)

    hold_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey(_GATE, ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    record: Mapped[UUID | None]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    heard_at: Mapped[datetime]


class FeedPosition(Base):
    """How far a feed of another service was followed.

    That of the feed `bucket` is when the bucket was last compared, in seconds of the Unix epoch.
    """

    __tablename__ = "feed_positions"
    __table_args__ = (
        {
            "info": on_erase(
                "retain: a number, of nobody",
                pruned_by="kept: one row for each feed",
                about=About(
                    data_class=DataClass.NOBODY,
                    purpose=Purpose.DELIVERY,
                    retention="for ever, replaced by each later one",
                ),
            )
        },
    )

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)


class Destruction(Base):
    """A folder of the bucket that must be emptied; the row goes when the store lists nothing under it.

    With a person, a photo and a reason it ends in the announcement that the photo is destroyed. Without them
    it is a bare sweep for what an interrupted upload may have left.
    """

    __tablename__ = "destructions"
    __table_args__ = (
        CheckConstraint("num_nulls(user_id, photo_id, reason) IN (0, 3)", name="announced_is_whole"),
        CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease_is_whole"),
        {
            "info": on_erase(
                "delete where it names the person; a bare folder name is a keyed hash and ends itself",
                pruned_by="empties itself",
            )
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    prefix: Mapped[str] = mapped_column(String(200), index=True)
    user_id: Mapped[UUID | None] = mapped_column(index=True)
    photo_id: Mapped[UUID | None]
    reason: Mapped[str | None] = mapped_column(String(20))
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    lease_token: Mapped[UUID | None] = mapped_column(Uuid)
    lease_until: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(200))


class KeyringBase(DeclarativeBase):
    """The base of the keyring's rows."""

    metadata = MetaData(schema=KEYRING_SCHEMA, naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: Moment}  # noqa: RUF012 - SQLAlchemy reads a plain dict


class DataKey(KeyringBase):
    """A person's data key, wrapped; without this row nothing of theirs can be read, wherever a copy lies."""

    __tablename__ = "keys"
    __table_args__ = ({"info": on_erase("delete", pruned_by="erasure", held_as="data_keys")},)

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(200))
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


# The keyring remembers by itself whose keys may never be opened again, and has a journal of that.
for _table in ("tombstones", "journal_head", "journal_pages"):
    getattr(tables_of(KEYRING_SCHEMA), _table).to_metadata(KeyringBase.metadata)
