"""What identity holds of people: the account and what hangs on it, here and at Apple.

Apple's grants go first, while there is an account to try again for; the other rows go with the account.
"""

from chassis.holdings import DataClass, Holding, OnErase, Purpose
from identity.models import (
    AppleGrant,
    Mail,
    MailToken,
    Passkey,
    PasskeyChallenge,
    ProviderIdentity,
    Session,
    User,
)
from identity.use_cases.erasure.erase_person import destroy_accounts
from identity.use_cases.providers.revoke_grants import revoke_grants
from identity.wiring import Service

HOLDINGS: tuple[Holding[Service], ...] = (
    Holding(
        kind="provider_grants",
        data_class=DataClass.CREDENTIAL,
        purpose=Purpose.SIGN_IN,
        retention="until it is revoked at Apple",
        on_erase=OnErase.DELETE,
        in_export=False,
        person=AppleGrant.user_id,
        erase=lambda opened, user_ids: revoke_grants(
            opened.database, opened.providers.apple_grants, user_ids=user_ids
        ),
    ),
    Holding(
        kind="accounts",
        data_class=DataClass.ACCOUNT,
        purpose=Purpose.SIGN_IN,
        retention="until the account is erased",
        on_erase=OnErase.DELETE,
        in_export=True,
        person=User.id,
        erase=lambda opened, user_ids: destroy_accounts(opened.database, user_ids),
    ),
    Holding(
        kind="sessions",
        data_class=DataClass.ACCOUNT,
        purpose=Purpose.SIGN_IN,
        retention="until 72 hours after its end",
        on_erase=OnErase.CASCADE,
        in_export=True,
        person=Session.user_id,
    ),
    Holding(
        kind="mails",
        data_class=DataClass.CONTACT,
        purpose=Purpose.NOTICES,
        retention="for a week",
        on_erase=OnErase.CASCADE,
        in_export=False,
        person=Mail.user_id,
    ),
    Holding(
        kind="mail_tokens",
        data_class=DataClass.CREDENTIAL,
        purpose=Purpose.SIGN_IN,
        retention="until the link has expired",
        on_erase=OnErase.CASCADE,
        in_export=False,
        person=MailToken.user_id,
    ),
    Holding(
        kind="passkeys",
        data_class=DataClass.CREDENTIAL,
        purpose=Purpose.SIGN_IN,
        retention="until the person removes it",
        on_erase=OnErase.CASCADE,
        in_export=True,
        person=Passkey.user_id,
    ),
    Holding(
        kind="passkey_challenges",
        data_class=DataClass.CREDENTIAL,
        purpose=Purpose.SIGN_IN,
        retention="five minutes",
        on_erase=OnErase.CASCADE,
        in_export=False,
        person=PasskeyChallenge.user_id,
    ),
    Holding(
        kind="provider_identities",
        data_class=DataClass.CREDENTIAL,
        purpose=Purpose.SIGN_IN,
        retention="until the person removes it",
        on_erase=OnErase.CASCADE,
        in_export=True,
        person=ProviderIdentity.user_id,
    ),
)
