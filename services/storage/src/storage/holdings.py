"""What storage holds of people, in the database, in the keyring and in the bucket.

The key goes first: from then on no copy can be read. The rows go last: they know what is still to be emptied.
A hold names photos; their objects and the key that opens them stay with them.
"""

from collections.abc import Sequence
from uuid import UUID

from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose
from chassis.holdings import Holding, OnErase
from chassis.holds import Hold
from storage.models import ConsentGate, Destruction, Export, Photo, PhotoRead, StandingHold, UsageCount
from storage.use_cases.erase_person import end_deletions
from storage.use_cases.exports.list_files import list_files
from storage.use_cases.hold_photos import (
    count_held_keys,
    count_held_objects,
    destroy_unneeded_key,
    empty_unheld,
    end_other_deletions,
    held_photos,
    remove_other_photos,
)
from storage.wiring import Service


async def _count_held_photos(opened: Service, user_id: UUID, holds: Sequence[Hold]) -> int:
    return len(await held_photos(opened.database, opened.vault, user_id, holds))


_COPY = About(
    data_class=DataClass.BIOMETRIC,
    purpose=Purpose.SERVICE,
    retention="until it is fetched, 72 hours after it is ready at most",
)

HOLDINGS: tuple[Holding[Service], ...] = (
    Holding(
        kind="data_keys",
        data_class=DataClass.KEY,
        purpose=Purpose.SERVICE,
        retention="until the account is erased",
        on_erase=OnErase.DELETE,
        in_export=False,
        count=lambda opened, user_ids: opened.vault.count_keys(user_ids),
        erase=lambda opened, user_ids: opened.vault.destroy_keys(user_ids),
        kept=lambda opened, user_id, holds: count_held_keys(opened.database, opened.vault, user_id, holds),
        erase_rest=lambda opened, user_id, holds: destroy_unneeded_key(
            opened.database, opened.vault, user_id, holds
        ),
    ),
    # Before the objects: from then on nobody seals another part, and no photo that goes reopens an archive.
    Holding(
        kind="exports",
        data_class=DataClass.CONTENT,
        purpose=Purpose.SERVICE,
        retention="until 30 days after it was fetched or has expired; what is sealed goes with its end",
        on_erase=OnErase.DELETE,
        in_export=True,
        person=Export.user_id,
    ),
    Holding(
        kind="objects",
        data_class=DataClass.BIOMETRIC,
        purpose=Purpose.SERVICE,
        retention="until the photo is deleted, the consent ends or the account is erased",
        on_erase=OnErase.DELETE,
        in_export=True,
        count=lambda opened, user_ids: opened.vault.count_objects(user_ids),
        erase=lambda opened, user_ids: opened.vault.empty_people(user_ids),
        for_found_only=True,
        kept=lambda opened, user_id, holds: count_held_objects(opened.database, opened.vault, user_id, holds),
        erase_rest=lambda opened, user_id, holds: empty_unheld(opened.database, opened.vault, user_id, holds),
        export=lambda opened, user_id: list_files(opened.database, user_id),
        export_adds={
            "photo_id": "The photo.",
            "file": "Where it is, unless a law keeps pictures out.",
        },
    ),
    Holding(
        kind="unfinished_deletions",
        data_class=DataClass.CONTENT,
        purpose=Purpose.SERVICE,
        retention="until the bytes are gone",
        on_erase=OnErase.DELETE,
        in_export=False,
        person=Destruction.user_id,
        erase=lambda opened, user_ids: end_deletions(
            opened.database, opened.vault, user_ids, late_sweeps=opened.late_sweeps
        ),
        erase_rest=lambda opened, user_id, holds: end_other_deletions(
            opened.database, opened.vault, user_id, holds, late_sweeps=opened.late_sweeps
        ),
    ),
    # No announcement names one of the photos: the report counts them, and nothing that leads to the person
    # may wait in the outbox when the erasure is reported.
    Holding(
        kind="photos",
        data_class=DataClass.CONTENT,
        purpose=Purpose.SERVICE,
        retention="until the photo is deleted, the consent ends or the account is erased",
        on_erase=OnErase.DELETE,
        in_export=True,
        person=Photo.user_id,
        holdable=True,
        kept=_count_held_photos,
        erase_rest=lambda opened, user_id, holds: remove_other_photos(
            opened.database, opened.vault, user_id, holds
        ),
    ),
    Holding(
        kind="consents",
        data_class=DataClass.CONSENT,
        purpose=Purpose.SERVICE,
        retention="until the account is erased",
        on_erase=OnErase.DELETE,
        in_export=False,
        person=ConsentGate.user_id,
    ),
    # These go with the row of the consent gate that they hang on.
    Holding(
        kind="usage_counts",
        data_class=DataClass.CONTENT,
        purpose=Purpose.SECURITY,
        retention="until the account is erased",
        on_erase=OnErase.CASCADE,
        in_export=False,
        person=UsageCount.user_id,
    ),
    Holding(
        kind="standing_holds",
        data_class=DataClass.CONTENT,
        purpose=Purpose.ERASURE,
        retention="until 30 days after its end; the request to erase brings the holds that bind it",
        on_erase=OnErase.CASCADE,
        in_export=False,
        person=StandingHold.user_id,
    ),
    Holding(
        kind="photo_reads",
        data_class=DataClass.DEVICE,
        purpose=Purpose.SECURITY,
        retention="for a year, or until the account is erased",
        on_erase=OnErase.CASCADE,
        in_export=True,
        person=PhotoRead.user_id,
    ),
)

PLACES = (
    Place(
        kind=PlaceKind.OBJECT,
        name="irisvue-photos/{person}/{photo}/{attempt}/original",
        holds="a picture, sealed under the person's own key, in a folder named by a keyed hash",
        on_erase="delete: every version, delete marker and unfinished upload",
        held_as="objects",
    ),
    Place(
        kind=PlaceKind.OBJECT,
        name="irisvue-photos/{person}/{photo}/{attempt}/thumbnail",
        holds="its thumbnail, sealed alike",
        on_erase="delete: every version, delete marker and unfinished upload",
        held_as="objects",
    ),
    Place(
        kind=PlaceKind.OBJECT,
        name="irisvue-photos/{person}/{photo}/parts/{part}",
        holds="what has arrived of a picture that comes in pieces, sealed alike; gone with the last piece",
        on_erase="delete: every version, delete marker and unfinished upload",
        held_as="objects",
    ),
    Place(
        kind=PlaceKind.OBJECT,
        name="irisvue-photos/{person}/exports/{export}/archive/{version}/{part}",
        holds="a part of the copy of a person's data, sealed under the person's own key",
        on_erase="delete: every version, delete marker and unfinished upload",
        about=_COPY,
    ),
    Place(
        kind=PlaceKind.OBJECT,
        name="irisvue-photos/{person}/exports/{export}/sections/{service}/{attempt}/{part}",
        holds="what one service has written for that copy, sealed alike",
        on_erase="delete: every version, delete marker and unfinished upload",
        about=_COPY,
    ),
    Place(
        kind=PlaceKind.OBJECT,
        name="irisvue-journal/keyring/{page}",
        holds="the keyring's erasure journal: keyed hashes of whose keys were destroyed",
        on_erase="retain: they keep a destroyed key from coming back with a backup",
        about=About(
            data_class=DataClass.PSEUDONYM, purpose=Purpose.ERASURE, retention="for ever, as keyed hashes"
        ),
    ),
)
