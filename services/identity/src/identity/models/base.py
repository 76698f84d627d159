"""The base of identity's rows."""

from datetime import datetime

from sqlalchemy.orm import DeclarativeBase

from chassis.tables import Moment, service_metadata

SCHEMA = "identity"


class Base(DeclarativeBase):
    """The base of identity's rows."""

    metadata = service_metadata(SCHEMA)
    type_annotation_map = {datetime: Moment}  # noqa: RUF012 - SQLAlchemy reads a plain dict
