"""Say what an erasure would take, and what would stay, before anybody asks for one."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import Database
from chassis.inventory import Inventory, TakeInventory
from contracts.key_providers import key_terms
from contracts.registry import COORDINATOR
from contracts.topology import erasure_participants
from identity.erasure.inventories import Inventories
from identity.erasure.policy import BackupTerms
from identity.erasure.schemas import BackupsRead, ErasurePreview, KeyTermsRead
from identity.repositories import Mails, Participants


async def preview_erasure(
    database: Database,
    inventories: Inventories,
    take_own: TakeInventory,
    *,
    user_id: UUID,
    backups: BackupTerms,
    processors: Sequence[str],
) -> ErasurePreview:
    """Return what every participant holds of the person, and what each would keep.

    The counts are those that the reports of an erasure opened now would have. Raises `ParticipantSilent`
    when one does not answer.
    """
    async with database.read_only() as session:
        services = await Participants(session).of_erasures(erasure_participants())
        open_links = await Mails(session).count_open_links(user_id)
    others = await inventories.of(user_id, [it for it in services if it != COORDINATOR])
    own = as_deletion_leaves_it(await take_own(user_id), open_links=open_links)
    told = sorted([own, *others], key=lambda it: it.service)
    return ErasurePreview(
        counted_at=database.clock.now(),
        participants=told,
        processors=list(processors),
        backups=BackupsRead(days=backups.data.days, keyring_days=backups.keyring.days),
        keys=[
            KeyTermsRead.model_validate(terms)
            for terms in key_terms(provider for it in told for provider in it.key_providers)
        ],
    )


def as_deletion_leaves_it(own: Inventory, *, open_links: int) -> Inventory:
    """Return identity's inventory as its erasure will find it.

    The deletion itself makes mailed links useless, drops the mails that would bring one, and asks for a last
    mail.
    """
    differently = {"mail_tokens": 0, "mails": 1 - open_links + _count(own, "mails")}
    erased = [it.model_copy(update={"count": differently.get(it.kind, it.count)}) for it in own.erased]
    return own.model_copy(update={"erased": erased})


def _count(own: Inventory, kind: str) -> int:
    return sum(it.count for it in own.erased if it.kind == kind)
