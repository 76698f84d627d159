"""Do what Apple says a person did with Apple's part of the account."""

import structlog

from chassis.db import UnitOfWork
from contracts.fields import RevocationReason
from identity.account_rules import AccountRules
from identity.models import ProviderIdentity, User
from identity.providers.apple_notices import AppleNotice, NoticeKind
from identity.repositories import AppleGrants, ProviderIdentities, SpentTokens
from identity.use_cases.accounts.count_sign_in_methods import count_sign_in_methods
from identity.use_cases.erasure.delete_account import delete_account
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere

log = structlog.get_logger(__name__)


async def follow_apple_notice(uow: UnitOfWork, notice: AppleNotice, *, rules: AccountRules) -> None:
    """Act on the notice, once however often it comes; about a stranger there is nothing to do."""
    fresh = await SpentTokens(uow.session).spend("apple notice", notice.jti, expires_at=notice.expires_at)
    found = await ProviderIdentities(uow.session).lock(notice.issuer, notice.subject) if fresh else None
    if found is None or found[0].erasure_id is not None:
        return
    user, link = found
    log.info("apple_notice", kind=notice.kind.value)
    if notice.kind is NoticeKind.EMAIL_DISABLED:
        link.mail_disabled_at = uow.now()
    elif notice.kind is NoticeKind.EMAIL_ENABLED:
        link.mail_disabled_at = None
    # Notices may come late and out of order: who has signed in since has consented again.
    elif notice.happened_at >= link.asserted_at:
        await _disconnect(uow, notice.kind, user, link, rules)


async def _disconnect(
    uow: UnitOfWork, kind: NoticeKind, user: User, link: ProviderIdentity, rules: AccountRules
) -> None:
    identities = ProviderIdentities(uow.session)
    if kind is NoticeKind.ACCOUNT_DELETE and await count_sign_in_methods(uow, user) == 1:
        await delete_account(uow, user_id=user.id, rules=rules)
    elif kind in {NoticeKind.CONSENT_REVOKED, NoticeKind.ACCOUNT_DELETE}:
        # Apple has ended the grants itself. Somebody who only closed the account at Apple, and can still
        # come in by another way, has not asked for the photos here to be destroyed.
        await identities.unlink(link)
        await AppleGrants(uow.session).drop_all(user.id)
        await log_out_everywhere(uow, user_id=user.id, reason=RevocationReason.SECURITY, rules=rules)
