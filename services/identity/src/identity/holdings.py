"""What identity holds of people: the account and what hangs on it, here and at Apple.

Apple's grants go first, while there is an account to try again for; the other rows go with the account.
"""

from chassis.declarations import About, DataClass, Place, PlaceKind, Purpose
from chassis.holdings import Holding, OnErase
from chassis.inventory import Retained
from identity.limits import COUNTS
from identity.models import (
    AppleGrant,
    DeletionRequest,
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
        in_export=True,
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
        kind="deletion_requests",
        data_class=DataClass.ACCOUNT,
        purpose=Purpose.SERVICE,
        retention="until the deletion begins or is canceled",
        on_erase=OnErase.CASCADE,
        in_export=True,
        person=DeletionRequest.user_id,
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

PLACES = (
    COUNTS,
    Place(
        kind=PlaceKind.MAILBOX,
        name="the person's own mailbox",
        holds="links to confirm an address or to set a password, and notices about the account",
        on_erase="retain: a mail that was handed over belongs to its recipient",
        about=About(
            data_class=DataClass.CONTACT,
            purpose=Purpose.NOTICES,
            retention="as long as the recipient keeps it",
            in_export=False,
        ),
    ),
    Place(
        kind=PlaceKind.RECIPIENT,
        name="the mail server of IDENTITY_SMTP_URL",
        holds="mails on their way",
        on_erase="empties itself: a mail leaves the server when the next one has taken it",
        about=About(
            data_class=DataClass.CONTACT,
            purpose=Purpose.NOTICES,
            retention="until the mail is delivered or given up",
        ),
    ),
    Place(
        kind=PlaceKind.RECIPIENT,
        name="Apple, where people sign in with Apple",
        holds="that the person uses this app; Apple knows it from them",
        on_erase="delete: the grant is revoked at Apple before the account goes",
        held_as="provider_grants",
    ),
    Place(
        kind=PlaceKind.RECIPIENT,
        name="the processors of IDENTITY_PROCESSORS",
        holds="the account's id in requests to erase, and what they hold for us anyway",
        on_erase="delete: each has to report that nothing is left, and the erasure waits for it",
        about=About(
            data_class=DataClass.PSEUDONYM,
            purpose=Purpose.ERASURE,
            retention="until the processor has erased the person",
        ),
    ),
)

RETAINED = (
    Retained(
        kind="erasure_certificates",
        what="the signed certificate of the erasure, which names the account by a keyed hash",
        why="the proof that anybody can check",
        until="kept",
    ),
    Retained(
        kind="erasures",
        what="when the erasure was asked for and complete, and how many of each kind every service erased",
        why="the proof that it was done",
        until="kept; the account's id is emptied when it is complete",
    ),
)
