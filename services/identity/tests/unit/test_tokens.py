import base64
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chassis.auth import AccessTokens, KeySet
from chassis.problems import Unauthorized
from identity.models import Session
from identity.settings import IdentitySettings
from identity.tokens import (
    AuthorizedSession,
    TokenIssuer,
    UnreadableRefreshToken,
    capability_hash,
    new_capability,
)


def pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer(
        IdentitySettings(
            service_key=pem(),
            service_public_keys={},
            signing_key=pem(),
            refresh_token_key="0123456789abcdef" * 4,
            tombstone_key="0123456789abcdef" * 4,
            journal_endpoint_url="http://127.0.0.1:1",
            journal_access_key="none",
            journal_secret_key="none",
            database_url="postgresql+asyncpg://nobody@127.0.0.1/none",
            broker_url="amqp://127.0.0.1/",
            smtp_url="smtp://127.0.0.1:1",
            redis_url="redis://127.0.0.1:1/0",
        )
    )


def session(generation: int = 1) -> Session:
    now = datetime.now(UTC)
    return Session(id=uuid4(), user_id=uuid4(), generation=generation, authenticated_at=now, rotated_at=now)


def authorized(generation: int = 1, *, email_verified: bool = False) -> AuthorizedSession:
    return AuthorizedSession(session(generation), email_verified=email_verified)


def test_a_refresh_token_is_the_same_each_time_and_differs_by_generation(issuer):
    one = session()
    assert issuer.refresh_token(one) == issuer.refresh_token(one)
    first = issuer.refresh_token(one)
    one.generation = 2
    assert issuer.refresh_token(one) != first
    assert issuer.read_refresh_token(issuer.refresh_token(one)).generation == 2


def test_no_changed_byte_of_a_refresh_token_is_accepted(issuer):
    token = issuer.refresh_token(session())
    raw = bytearray(base64.urlsafe_b64decode(token + "=="))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(UnreadableRefreshToken):
            issuer.read_refresh_token(base64.urlsafe_b64encode(bytes(changed)).rstrip(b"=").decode())


@pytest.mark.parametrize("token", ["", "a", "é", "a.b.c", "A" * 500, "!" * 70])
def test_what_is_no_refresh_token_is_refused(issuer, token):
    with pytest.raises(UnreadableRefreshToken):
        issuer.read_refresh_token(token)


async def test_an_access_token_verifies_with_the_published_keys(issuer):
    async def keys():
        return issuer.jwks(datetime.now(UTC))

    tokens = AccessTokens(KeySet(keys), issuer="http://localhost:8000", audience="irisvue-api")
    one = authorized(generation=3, email_verified=True)
    now = datetime.now(UTC)
    token, good_for = issuer.access_token(one, now=now)
    principal = await tokens.verify(token)
    assert good_for == 1800
    assert (principal.user_id, principal.session_id) == (one.session.user_id, one.session.id)
    assert (principal.generation, principal.email_verified) == (3, True)


async def test_the_time_of_issue_is_whole_seconds(issuer):
    one = authorized()
    now = datetime.now(UTC).replace(microsecond=999_999)
    token, _ = issuer.access_token(one, now=now)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iat"] == int(now.timestamp())
    assert isinstance(claims["iat"], int)
    assert claims["exp"] - claims["iat"] == 1800


def test_an_access_token_is_the_same_for_ten_seconds_of_a_rotation_and_differs_by_generation(issuer):
    one = authorized()

    def made(seconds: float) -> tuple[str, int]:
        return issuer.access_token(one, now=one.session.rotated_at + timedelta(seconds=seconds))

    first, _ = made(0)
    assert made(9.5) == (first, 1791)
    assert made(11)[0] != first
    assert made(11)[1] == 1800
    assert made(-1)[0] != first
    one.session.generation = 2
    assert made(0)[0] != first


def test_an_access_token_differs_once_the_address_is_proved(issuer):
    one = session()
    made = {
        issuer.access_token(AuthorizedSession(one, email_verified=verified), now=one.rotated_at)[0]
        for verified in (False, True)
    }
    assert len({jwt.decode(token, options={"verify_signature": False})["jti"] for token in made}) == 2


async def test_another_audience_or_issuer_is_refused(issuer):
    async def keys():
        return issuer.jwks(datetime.now(UTC))

    token, _ = issuer.access_token(authorized(), now=datetime.now(UTC))
    for expected in (("http://localhost:8000", "other"), ("https://other", "irisvue-api")):
        with pytest.raises(Unauthorized):
            await AccessTokens(KeySet(keys), issuer=expected[0], audience=expected[1]).verify(token)


def test_capabilities_are_long_and_stored_hashed():
    one, other = new_capability(), new_capability()
    assert one != other
    assert len(base64.urlsafe_b64decode(one + "==")) == 32
    assert len(capability_hash(one)) == 64
