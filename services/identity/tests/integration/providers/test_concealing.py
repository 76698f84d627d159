"""Where addresses are concealed, a provider that does not prove one tells nothing about it."""

from dataclasses import replace

import pytest

from identity.main import IDENTITY

PROVIDERS = pytest.mark.parametrize("provider", ["apple", "google"])


@pytest.fixture
async def concealing(service, phone):
    """Return the app on a phone, at an API that conceals."""
    settings = service.settings.model_copy(update={"registration_disclosure": "conceal"})
    app = IDENTITY.create_api(settings)
    IDENTITY.install(app, replace(service, settings=settings))
    transport = type(phone.client._transport)(app)
    async with type(phone.client)(
        transport=transport, base_url="http://identity", event_hooks=phone.client.event_hooks
    ) as client:
        yield type(phone)(client, phone.fakes["apple"], phone.fakes["google"])


@PROVIDERS
async def test_an_unproved_address_is_answered_alike_free_or_taken(concealing, ada, provider):
    seen = []
    for number, email in enumerate((ada.email, "free@example.org")):
        answer = await concealing.sign_in(provider, sub=f"s.{number}", email=email, email_verified=False)
        told = {name: value for name, value in answer.json().items() if name != "instance"}
        seen.append((answer.status_code, told))
    assert seen[0] == seen[1]
    assert (seen[0][0], seen[0][1]["type"]) == (403, "urn:irisvue:problem:address-unproved")


@PROVIDERS
async def test_who_confirms_signs_in_with_the_provider(concealing, mailbox, post_office, provider):
    first = await concealing.sign_in(provider, email_verified=False)
    assert first.status_code == 403
    await post_office()
    await concealing.client.post("/api/v1/auth/verify-email", json={"token": mailbox.token()})
    assert (await concealing.signed_in(provider, email_verified=False))["is_verified"] is True
