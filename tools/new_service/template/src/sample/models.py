"""The rows of the schema `sample`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis.tables import Moment, on_erase, service_metadata

SCHEMA = "sample"


class Base(DeclarativeBase):
    """The tables of this service, those of the chassis among them."""

    metadata = service_metadata(SCHEMA)


class Entry(Base):
    """What a person wrote down."""

    __tablename__ = "entries"
    __table_args__ = ({"info": on_erase("delete", pruned_by="erasure")},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(index=True)
    words: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment)
