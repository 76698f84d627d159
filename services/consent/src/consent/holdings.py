"""What consent holds of people."""

from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose
from chassis.holdings import Holding, OnErase
from chassis.inventory import Retained
from consent.models import Activity, Gate, LedgerEntry, Preferences
from consent.receipts import Issuer
from consent.use_cases.erase_person import blank_entries
from consent.use_cases.export_entries import export_entries
from consent.use_cases.hold_entries import blank_other_entries, count_held_entries
from consent.wiring import Service

HOLDINGS: tuple[Holding[Service], ...] = (
    Holding(
        kind="consent_gates",
        data_class=DataClass.CONSENT,
        purpose=Purpose.PROOF_OF_CONSENT,
        retention="until the account is erased",
        on_erase=OnErase.DELETE,
        in_export=True,
        person=Gate.user_id,
    ),
    Holding(
        kind="consent_entries",
        data_class=DataClass.CONSENT,
        purpose=Purpose.PROOF_OF_CONSENT,
        retention="the personal fields until the account is erased, the entry for ever",
        on_erase=OnErase.BLANK,
        in_export=True,
        person=LedgerEntry.user_id,
        erase=lambda opened, user_ids: blank_entries(opened.database, user_ids),
        holdable=True,
        kept=lambda opened, user_id, holds: count_held_entries(opened.database, user_id, holds),
        erase_rest=lambda opened, user_id, holds: blank_other_entries(opened.database, user_id, holds),
        export=lambda opened, user_id: export_entries(
            opened.database,
            user_id=user_id,
            issuer=Issuer(opened.records, opened.rulebook, opened.settings.public_url),
            keys=opened.log_keys,
            now=opened.clock.now(),
        ),
        export_adds={"receipt": "The signed receipt of the entry, a JSON Web Signature."},
    ),
    Holding(
        kind="preferences",
        data_class=DataClass.CONSENT,
        purpose=Purpose.SERVICE,
        retention="until the account is erased",
        on_erase=OnErase.DELETE,
        in_export=True,
        person=Preferences.user_id,
    ),
    Holding(
        kind="last_activity",
        data_class=DataClass.ACCOUNT,
        purpose=Purpose.SERVICE,
        retention="until the account is erased; the day alone, replaced by each later one",
        on_erase=OnErase.DELETE,
        in_export=True,
        person=Activity.user_id,
    ),
)

PLACES = (
    Place(
        kind=PlaceKind.OBJECT,
        name="irisvue-ledger/checkpoints/{tree_size}",
        holds="the size and the root of the log, signed",
        on_erase="retain: hashes of salted commitments, which lead to nobody",
        about=About(
            data_class=DataClass.NOBODY, purpose=Purpose.PROOF_OF_CONSENT, retention="for ever, every version"
        ),
    ),
    Place(
        kind=PlaceKind.RECIPIENT,
        name="the witnesses of CONSENT_WITNESSES",
        holds="the size and the root of the log, signed",
        on_erase="retain: hashes of salted commitments, which lead to nobody",
        about=About(
            data_class=DataClass.NOBODY, purpose=Purpose.PROOF_OF_CONSENT, retention="as the witness likes"
        ),
    ),
)

RETAINED = (
    Retained(
        kind="consent_entries",
        what="which consents were given, refused and ended, and when, without what leads to a person",
        why="the duty to prove what was agreed to, and that the log of all entries stays whole",
        until="for ever",
    ),
)
