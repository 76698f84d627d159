"""Record that a person was asked and said no; a yes that is live ends with it."""

from dataclasses import replace
from uuid import UUID

from chassis.clock import Clock
from chassis.db import UnitOfWork
from consent.policy import Consent, EntryKind, consent_of, refusal_of
from consent.repositories import HeldGates, Ledger
from consent.rulebook import Rulebook
from consent.use_cases.expire_consents import close_lapsed_gate
from consent.use_cases.grant_consent import GrantLimits, refuse_too_many_changes
from consent.use_cases.what_was_shown import Agreement, find_what_was_refused, terms_of
from consent.use_cases.withdraw_consent import close_withdrawn_gate


async def refuse_consent(
    uow: UnitOfWork,
    agreement: Agreement,
    *,
    user_id: UUID,
    limits: GrantLimits,
    rulebook: Rulebook,
    clock: Clock,
) -> Consent:
    """Append a refusal; the same no said again is the one there is.

    A consent of that type that is live is withdrawn first, by an entry and an event of its own, so that no
    yes stays open behind a no. Raises what `find_what_was_refused` raises, `TooManyChanges` when nothing is
    live that the no would end, and `PersonErased`.
    """
    shown = find_what_was_refused(rulebook, agreement)
    held = await HeldGates(uow).hold(
        user_id, agreement.consent_type, now=clock.now(), changes=limits.changes_per_hour
    )
    gate, ledger, now = held.gate, Ledger(uow.session), clock.now()
    if held.granted is None:
        last = await ledger.last(gate)
        said = (EntryKind.REFUSAL, shown.regime.code, shown.text.version)
        if last is not None and (last.kind, last.jurisdiction, last.consent_text_version) == said:
            return refusal_of(last)
        refuse_too_many_changes(held)
    elif consent_of(held.granted).has_lapsed(now):
        gate = await close_lapsed_gate(uow, gate, held.granted)
    else:
        await close_withdrawn_gate(uow, gate, held.granted)
        gate = replace(gate, epoch=gate.epoch + 1, ended_epoch=gate.epoch + 1)
    terms = terms_of(EntryKind.REFUSAL, rulebook, agreement, shown, now)
    return refusal_of(await ledger.append_refusal(gate, terms))
