"""What Apple granted: obtained at sign-in, kept sealed, revoked when the person is erased."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from chassis.erasure import ErasureParticipation, OpenErasure
from chassis.faults import TransientFault
from chassis.holdings import Holdings
from chassis.sealing import SealBroken
from chassis.settings import all_key_bytes
from contracts.participation import ErasureReported
from identity.holdings import HOLDINGS
from identity.models import AppleGrant, User
from identity.providers.seal import TokenSeal
from identity.use_cases.erasure.erase_person import destroy_accounts
from support.erasures import work_on_erasures

OTHER = "001234.subject.0002"
DEBUG_BUNDLE_ID = "org.irisvue.app.debug"


@pytest.fixture
def grant_of(service):
    """Return a function that reads the grants of an account."""

    async def _grants(account) -> list[AppleGrant]:
        async with service.unit_of_work() as uow:
            owned = select(AppleGrant).where(AppleGrant.user_id == UUID(account["id"]))
            return list((await uow.session.scalars(owned.order_by(AppleGrant.client_id))).all())

    return _grants


@pytest.fixture
async def granted(phone, apple):
    """Return an account whose sign-in brought an authorization code along."""
    return await phone.signed_in("apple", fields={"authorization_code": apple.grant_code("code-1")})


async def test_the_code_is_exchanged_and_the_token_kept_sealed(service, granted, grant_of):
    (grant,) = await grant_of(granted)
    assert grant.client_id == "org.irisvue.app"
    assert b"refresh-of" not in grant.sealed_token
    seal = TokenSeal(all_key_bytes(service.settings.provider_token_key))
    owner = {"user_id": grant.user_id, "provider": "apple", "client_id": grant.client_id}
    assert seal.open(grant.sealed_token, **owner) == "refresh-of-code-1"
    for foreign in ({"user_id": uuid4()}, {"provider": "google"}, {"client_id": DEBUG_BUNDLE_ID}):
        with pytest.raises(SealBroken):
            seal.open(grant.sealed_token, **{**owner, **foreign})
    for broken in (b"", grant.sealed_token[:-1], b"\x03" + grant.sealed_token[1:]):
        with pytest.raises(SealBroken):
            seal.open(broken, **owner)


async def test_a_newer_grant_takes_the_place_of_an_older_one(phone, apple, granted, grant_of):
    before = (await grant_of(granted))[0].sealed_token
    await phone.signed_in("apple", fields={"authorization_code": apple.grant_code("code-2")})
    (grant,) = await grant_of(granted)
    assert grant.sealed_token != before


async def test_each_build_of_the_app_has_a_grant_of_its_own(phone, apple, granted, grant_of):
    code = apple.grant_code("code-2", aud=DEBUG_BUNDLE_ID)
    await phone.signed_in("apple", aud=DEBUG_BUNDLE_ID, fields={"authorization_code": code})
    assert [grant.client_id for grant in await grant_of(granted)] == ["org.irisvue.app", DEBUG_BUNDLE_ID]


async def test_a_code_that_apple_does_not_know_is_refused(phone, rows):
    answer = await phone.sign_in("apple", fields={"authorization_code": "made up"})
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:irisvue:problem:identity-token-refused"
    assert await rows(User) == 0


@pytest.mark.parametrize(
    "change", [{"sub": OTHER}, {"aud": DEBUG_BUNDLE_ID}, {"iss": "https://evil.example"}]
)
async def test_somebody_else_s_code_is_refused(phone, apple, rows, change):
    code = apple.grant_code("code-of-somebody-else", **change)
    answer = await phone.sign_in("apple", fields={"authorization_code": code})
    assert answer.status_code == 401
    assert await rows(User) == await rows(AppleGrant) == 0


@pytest.mark.parametrize("trouble", ["slow", "redirect", "oversize", "not json", 500, 503, "invalid_client"])
async def test_trouble_with_the_exchange_keeps_nobody_out(phone, apple, grant_of, trouble):
    apple.trouble["token"] = trouble
    account = await phone.signed_in("apple", fields={"authorization_code": apple.grant_code("code-1")})
    assert await grant_of(account) == []
    assert apple.asked.count("token") == 1


async def test_without_apple_s_credentials_the_code_is_not_exchanged(phone, apple, service, grant_of):
    service.providers.apple_grants._credentials = None
    account = await phone.signed_in("apple", fields={"authorization_code": apple.grant_code("code-1")})
    assert await grant_of(account) == []
    assert "token" not in apple.asked


async def test_erasing_revokes_first_and_counts_what_was_revoked(apple, granted, holdings):
    user_id = UUID(granted["id"])
    counts = (await holdings.count([user_id]))[user_id]
    assert (counts["provider_grants"], counts["provider_identities"]) == (1, 1)
    await holdings.erase([user_id])
    assert apple.revoked == ["refresh-of-code-1"]
    assert not any((await holdings.count([user_id]))[user_id].values())
    await holdings.erase([user_id])
    assert apple.revoked == ["refresh-of-code-1"]


@pytest.mark.parametrize("trouble", ["slow", "redirect", 500, 503, 429, 401, "invalid_client"])
async def test_the_erasure_waits_while_apple_does_not_revoke(apple, granted, holdings, trouble):
    user_id = UUID(granted["id"])
    apple.trouble["revoke"] = trouble
    for _ in range(2):
        with pytest.raises(TransientFault):
            await holdings.erase([user_id])
    counts = (await holdings.count([user_id]))[user_id]
    assert (counts["accounts"], counts["provider_grants"]) == (1, 1)
    apple.trouble.clear()
    await holdings.erase([user_id])
    assert apple.revoked == ["refresh-of-code-1"]
    assert not any((await holdings.count([user_id]))[user_id].values())


async def test_a_grant_that_apple_has_forgotten_counts_as_revoked(apple, granted, holdings):
    apple.trouble["revoke"] = "invalid_grant"
    await holdings.erase([UUID(granted["id"])])
    assert not any((await holdings.count([UUID(granted["id"])]))[UUID(granted["id"])].values())


async def test_without_credentials_a_grant_keeps_the_erasure_open(service, granted, holdings):
    service.providers.apple_grants._credentials = None
    with pytest.raises(TransientFault):
        await holdings.erase([UUID(granted["id"])])
    assert (await holdings.count([UUID(granted["id"])]))[UUID(granted["id"])]["provider_grants"] == 1


async def test_no_deletion_of_an_account_forgets_a_grant(service, granted, holdings):
    user_id = UUID(granted["id"])
    with pytest.raises(Exception, match="fk_apple_grants_user_id_users"):
        await destroy_accounts(service.database, [user_id])
    assert (await holdings.count([user_id]))[user_id]["accounts"] == 1


async def test_of_two_grants_the_revoked_one_is_not_revoked_again(service, phone, apple, granted, holdings):
    code = apple.grant_code("code-2", aud=DEBUG_BUNDLE_ID)
    await phone.signed_in("apple", aud=DEBUG_BUNDLE_ID, fields={"authorization_code": code})
    user_id = UUID(granted["id"])

    class BreaksAfterOne:
        """Apple goes away after the first revocation."""

        async def revoke(self, grant):
            if apple.revoked:
                raise TransientFault
            await service.providers.apple_grants.revoke(grant)

    providers = replace(service.providers, apple_grants=BreaksAfterOne())
    with pytest.raises(TransientFault):
        await Holdings(replace(service, providers=providers), HOLDINGS).erase([user_id])
    assert (await holdings.count([user_id]))[user_id]["provider_grants"] == 1
    await holdings.erase([user_id])
    assert sorted(apple.revoked) == ["refresh-of-code-1", "refresh-of-code-2"]


async def test_an_outage_of_apple_delays_the_report_and_the_report_tells_the_count(
    service, client, apple, granted, holdings
):
    answer = await client.request(
        "DELETE", "/api/v1/users/me", json={"confirm": True}, headers=granted["bearer"]
    )
    deletion = answer.json()
    now = service.clock.now()
    participation = ErasureParticipation(service.database, holdings, reported=ErasureReported.by("identity"))
    async with service.unit_of_work() as uow:
        erasure = OpenErasure(UUID(deletion["erasure_id"]), UUID(granted["id"]), now, now)
        await participation.accept(uow, erasure)
    tasks = service.database.tables.erasure_tasks
    apple.trouble["revoke"] = 503
    assert await work_on_erasures(participation, service.database) == 1
    async with service.unit_of_work() as uow:
        (task,) = (await uow.session.execute(select(tasks))).all()
        assert task.completed_at is None
        assert task.last_error.startswith("ProviderUnavailable")
        await uow.session.execute(text("UPDATE identity.erasure_tasks SET next_attempt_at = now()"))
    apple.trouble.clear()
    assert await work_on_erasures(participation, service.database) == 1
    async with service.unit_of_work() as uow:
        (task,) = (await uow.session.execute(select(tasks))).all()
    assert task.completed_at is not None
    assert (task.erased["provider_grants"], task.erased["provider_identities"]) == (1, 1)
    assert apple.revoked == ["refresh-of-code-1"]
