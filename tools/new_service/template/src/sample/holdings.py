"""What this service holds of people, and where else it writes; erasure, export and data map follow."""

from chassis.declarations import DataClass, Place, Purpose
from chassis.holdings import Holding, OnErase
from sample.models import Entry
from sample.wiring import Service

HOLDINGS: tuple[Holding[Service], ...] = (
    Holding(
        kind="entries",
        data_class=DataClass.CONTENT,
        purpose=Purpose.SERVICE,
        retention="until the account is erased",
        on_erase=OnErase.DELETE,
        in_export=True,
        person=Entry.user_id,
    ),
)
PLACES: tuple[Place, ...] = ()
