"""A person with a passkey, and another one without."""

import pytest

from services.identity.tests.passkey_ceremonies import add
from services.identity.tests.virtual_authenticator import ANDROID, IOS, RP_ID, WEB, VirtualAuthenticator


@pytest.fixture(scope="session")
def settings(settings):
    """Return the settings of a domain with a page and two apps."""
    return settings.model_copy(update={"passkey_rp_id": RP_ID, "passkey_origins": (WEB, IOS, ANDROID)})


@pytest.fixture
async def phone(ada):
    """Return the phone with Ada's passkey."""
    phone = VirtualAuthenticator()
    assert (await add(ada, phone)).status_code == 200
    return phone


@pytest.fixture
async def bob(ada):
    """Return somebody else who has signed in."""
    person = await type(ada)(ada.client, "bob@example.org").register()
    await person.log_in()
    return person
