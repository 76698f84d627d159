"""Say what an erasure would take, and what would stay, before anybody asks for one."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from chassis.holds import Hold
from chassis.inventory import Inventory, TakeInventory
from contracts.key_providers import key_terms
from contracts.registry import COORDINATOR
from contracts.topology import erasure_participants
from identity.erasure.inventories import Inventories
from identity.erasure.policy import BackupTerms
from identity.erasure.schemas import BackupsRead, ErasurePreview, HoldRead, KeyTermsRead
from identity.repositories import Holds, Mails, Participants, terms_of_hold


async def preview_erasure(
    database: Database,
    inventories: Inventories,
    take_own: TakeInventory,
    *,
    user_id: UUID,
    backups: BackupTerms,
    processors: Sequence[str],
    grace: timedelta,
) -> ErasurePreview:
    """Return what every participant holds of the person, what each would keep, and what is held by law.

    The counts are those that the reports of an erasure opened now would have. Raises `ParticipantSilent`
    when one does not answer.
    """
    async with database.read_only() as session:
        services = await Participants(session).of_erasures(erasure_participants())
        open_links = await Mails(session).count_open_links(user_id)
        held = await Holds(session).in_force_about(user_id)
    holds: dict[str, list[Hold]] = {}
    for it in held:
        holds.setdefault(it.service, []).append(Hold(it.id, it.kind, it.record, it.expires_at))
    others = await inventories.of(user_id, [it for it in services if it != COORDINATOR], holds=holds)
    # Who is held of has no grace.
    last_mails = 2 if grace and not held else 1
    own = as_deletion_leaves_it(await take_own(user_id, ()), open_links=open_links, last_mails=last_mails)
    told = sorted([own, *others], key=lambda it: it.service)
    return ErasurePreview(
        counted_at=database.clock.now(),
        participants=told,
        holds=[HoldRead.model_validate(terms_of_hold(hold)) for hold in held],
        processors=list(processors),
        backups=BackupsRead(days=backups.data.days, keyring_days=backups.keyring.days),
        keys=[
            KeyTermsRead.model_validate(terms)
            for terms in key_terms(provider for it in told for provider in it.key_providers)
        ],
    )


def as_deletion_leaves_it(own: Inventory, *, open_links: int, last_mails: int) -> Inventory:
    """Return identity's inventory as its erasure will find it.

    The deletion itself makes mailed links useless, drops the mails that would bring one, and asks for a last
    mail; before a grace for one more, with the link that cancels.
    """
    differently = {"mail_tokens": 0, "mails": last_mails - open_links + _count(own, "mails")}
    erased = [it.model_copy(update={"count": differently.get(it.kind, it.count)}) for it in own.erased]
    return own.model_copy(update={"erased": erased})


def _count(own: Inventory, kind: str) -> int:
    return sum(it.count for it in own.erased if it.kind == kind)
