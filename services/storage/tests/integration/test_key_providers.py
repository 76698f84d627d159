"""S20: data keys under AWS KMS and Vault; a key service that is away is 503, an erased person is 410."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiohttp import web
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy import select

from chassis.erasure import OpenErasure
from chassis.problems import PersonErased
from chassis.transactions import NetworkInsideTransaction
from contracts.key_providers import AWS_KMS, VAULT_TRANSIT
from storage.key_providers.aws_kms import KmsSettings, open_kms
from storage.key_providers.vault_transit import TRIES, VaultSettings, open_vault
from storage.main import STORAGE
from storage.sealing import (
    KeyEncryption,
    KeyOwner,
    KeyServiceRefused,
    KeyServiceUnavailable,
    KeyUnusable,
    UnknownKeyEncryptionKey,
    UnwrapFailed,
    WrappedKey,
    new_data_key,
)
from storage.wiring import open_service
from support.erasures import work_on_erasures
from support.gateway import through_gateway
from support.kms import ACCESS_KEY, REGION, SECRET_KEY, KmsServer, kms_server
from support.proxy import FaultyProxy
from support.vault_transit_fake import VaultTransitFake

SECONDS = 1.0
ADA, GRACE = KeyOwner("a" * 64), KeyOwner("b" * 64)


@dataclass
class KeyService:
    """A key service in a test: how it is asked, settings of storage for it, and a road to it that is cut."""

    encryption: KeyEncryption
    settings: dict[str, Any]
    road: FaultyProxy


@pytest.fixture(scope="session")
def kms():
    with kms_server() as server:
        yield server


@pytest.fixture
async def vault() -> AsyncIterator[VaultTransitFake]:
    fake = VaultTransitFake()
    async with fake.serving():
        yield fake


def kms_settings(server: KmsServer, key: str, **changes: Any) -> KmsSettings:
    settings = KmsSettings(
        key=key,
        region=REGION,
        seconds=SECONDS,
        endpoint_url=server.url,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )
    return replace(settings, **changes)


def vault_settings(fake: VaultTransitFake, **changes: Any) -> VaultSettings:
    settings = VaultSettings(url=fake.url, mount=fake.mount, key=fake.key, seconds=SECONDS, token=fake.token)
    return replace(settings, **changes)


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[tuple[FaultyProxy, str]]:
    target = urlsplit(url)
    async with FaultyProxy(target.hostname, target.port) as road:
        yield road, f"http://127.0.0.1:{road.port}"


@asynccontextmanager
async def kms_as_service(kms: KmsServer) -> AsyncIterator[KeyService]:
    key = await kms.create_key()
    async with proxy_to(kms.url) as (road, url), open_kms(kms_settings(kms, key)) as encryption:
        yield KeyService(
            encryption,
            {
                "key_provider": AWS_KMS,
                "key_service_seconds": SECONDS,
                "aws_kms_key": key,
                "aws_kms_endpoint_url": url,
                "aws_kms_access_key": SecretStr(ACCESS_KEY),
                "aws_kms_secret_key": SecretStr(SECRET_KEY),
            },
            road,
        )


@asynccontextmanager
async def vault_as_service(vault: VaultTransitFake) -> AsyncIterator[KeyService]:
    async with proxy_to(vault.url) as (road, url), open_vault(vault_settings(vault)) as encryption:
        yield KeyService(
            encryption,
            {
                "key_provider": VAULT_TRANSIT,
                "key_service_seconds": SECONDS,
                "vault_url": url,
                "vault_token": SecretStr(vault.token),
            },
            road,
        )


@pytest.fixture(params=[AWS_KMS, VAULT_TRANSIT])
async def key_service(request, kms, vault) -> AsyncIterator[KeyService]:
    opened = kms_as_service(kms) if request.param == AWS_KMS else vault_as_service(vault)
    async with opened as found:
        yield found


async def test_a_wrapped_key_unwraps_for_its_owner_only(key_service) -> None:
    ring, key = key_service.encryption, new_data_key()
    wrapped = await ring.wrap(key, owner=ADA)
    assert await ring.unwrap(wrapped, owner=ADA) == key
    assert key not in wrapped.blob
    assert len(wrapped.key_id) <= 200
    with pytest.raises(UnwrapFailed):
        await ring.unwrap(wrapped, owner=GRACE)


async def test_a_changed_wrapped_key_is_noticed(key_service) -> None:
    ring = key_service.encryption
    wrapped = await ring.wrap(new_data_key(), owner=ADA)
    for position in (0, len(wrapped.blob) // 2, len(wrapped.blob) - 1):
        blob = bytearray(wrapped.blob)
        blob[position] ^= 1
        with pytest.raises(KeyUnusable):
            await ring.unwrap(replace(wrapped, blob=bytes(blob)), owner=ADA)


async def test_a_key_service_is_never_asked_inside_a_transaction(key_service, service) -> None:
    with pytest.raises(NetworkInsideTransaction):
        async with service.unit_of_work():
            await key_service.encryption.wrap(new_data_key(), owner=ADA)


async def test_kms_learns_a_keyed_hash_and_no_id(kms) -> None:
    key = await kms.create_key()
    async with open_kms(kms_settings(kms, key)) as ring:
        wrapped = await ring.wrap(new_data_key(), owner=KeyOwner("a" * 64, uuid4()))
    context = {"purpose": "irisvue/data-key", "owner": "a" * 64}
    assert await kms.call("decrypt", CiphertextBlob=wrapped.blob, EncryptionContext=context)


async def test_vault_learns_a_keyed_hash_and_no_id(vault) -> None:
    user_id = uuid4()
    async with open_vault(vault_settings(vault)) as ring:
        await ring.wrap(new_data_key(), owner=KeyOwner("a" * 64, user_id))
    (seen,) = vault.seen
    bound = base64.b64decode(seen["associated_data"])
    assert b"a" * 64 in bound
    assert str(user_id).encode() not in bound
    assert user_id.bytes not in bound


async def test_kms_names_its_key_by_arn_whichever_alias_leads_to_it(kms) -> None:
    key, alias = await kms.create_key(), f"alias/irisvue-{uuid4()}"
    await kms.call("create_alias", AliasName=alias, TargetKeyId=key)
    async with open_kms(kms_settings(kms, alias)) as ring:
        wrapped = await ring.wrap(new_data_key(), owner=ADA)
        assert wrapped.key_id == f"aws-kms:{key}"
        assert await ring.unwrap(wrapped, owner=ADA)


async def test_vault_names_the_version_of_its_key(vault) -> None:
    async with open_vault(vault_settings(vault)) as ring:
        first = await ring.wrap(new_data_key(), owner=ADA)
        vault.rotate()
        second = await ring.wrap(new_data_key(), owner=ADA)
        assert [first.key_id, second.key_id] == [f"vault-transit:transit/irisvue:v{it}" for it in (1, 2)]
        assert await ring.unwrap(first, owner=ADA)
        vault.least_version = 2
        with pytest.raises(UnwrapFailed):
            await ring.unwrap(first, owner=ADA)


KMS_ANSWERS = {
    "DisabledException": (400, KeyServiceRefused),
    "AccessDeniedException": (400, KeyServiceRefused),
    "KMSInvalidStateException": (400, KeyServiceRefused),
    "NotFoundException": (400, UnknownKeyEncryptionKey),
    "InvalidCiphertextException": (400, UnwrapFailed),
    "ThrottlingException": (400, KeyServiceUnavailable),
    "DependencyTimeoutException": (500, KeyServiceUnavailable),
    "AnotherError": (503, KeyServiceUnavailable),
}


@pytest.mark.parametrize("code", KMS_ANSWERS)
async def test_what_kms_refuses_is_no_outage_and_what_passes_is_one(kms, code) -> None:
    status, expected = KMS_ANSWERS[code]

    async def refuse(_: web.Request) -> web.Response:
        body = {"__type": code, "message": "canary"}
        return web.json_response(body, status=status, content_type="application/x-amz-json-1.1")

    app = web.Application()
    app.router.add_post("/", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with open_kms(kms_settings(kms, "k", endpoint_url=url)) as ring:
            with pytest.raises(expected) as refusal:
                await ring.unwrap(WrappedKey("aws-kms:k", b"x"), owner=ADA)
    finally:
        await runner.cleanup()
    assert "canary" not in str(refusal.value)


async def test_a_key_that_kms_does_not_have_is_named_as_such(kms) -> None:
    async with open_kms(kms_settings(kms, str(uuid4()))) as ring:
        with pytest.raises(UnknownKeyEncryptionKey):
            await ring.wrap(new_data_key(), owner=ADA)


async def test_what_vault_refuses_is_no_outage(vault) -> None:
    async with open_vault(vault_settings(vault, token="another")) as ring:
        with pytest.raises(KeyServiceRefused):
            await ring.wrap(new_data_key(), owner=ADA)
    async with open_vault(vault_settings(vault)) as ring:
        wrapped = await ring.wrap(new_data_key(), owner=ADA)
    for name in ("vault-transit:transit/../sys:v1", "vault-transit:", "vault-transit:transit/irisvue"):
        async with open_vault(vault_settings(vault)) as ring:
            with pytest.raises(UnknownKeyEncryptionKey):
                await ring.unwrap(replace(wrapped, key_id=name), owner=ADA)
    async with open_vault(vault_settings(vault, key="another")) as ring:
        # It names its key, whichever one wraps now.
        assert await ring.unwrap(wrapped, owner=ADA)
        with pytest.raises(UnknownKeyEncryptionKey):
            await ring.wrap(new_data_key(), owner=ADA)


async def test_a_vault_that_fails_for_a_moment_is_asked_again_and_not_for_ever(vault) -> None:
    async with open_vault(vault_settings(vault)) as ring:
        vault.failures = TRIES - 1
        assert await ring.wrap(new_data_key(), owner=ADA)
        vault.calls, vault.failures = 0, 100
        with pytest.raises(KeyServiceUnavailable):
            await ring.wrap(new_data_key(), owner=ADA)
        assert vault.calls == TRIES
        vault.failures, vault.sealed = 0, True
        with pytest.raises(KeyServiceUnavailable):
            await ring.wrap(new_data_key(), owner=ADA)


@pytest.fixture
async def behind(settings, clock, platform, issuer, key_service, service):
    """Storage and its API with that key service as provider; ada and her app speak to it."""
    del service
    changed = settings.model_copy(update=key_service.settings)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_service(changed, clock))
        app = STORAGE.create_api(changed)
        STORAGE.install(app, opened)
        app.state.access_tokens = issuer.verifier
        client = AsyncClient(
            transport=ASGITransport(app),
            base_url="http://storage",
            event_hooks=through_gateway(platform.gateway_proof("storage")),
        )
        await stack.enter_async_context(client)
        yield opened, client


@pytest.fixture
def eve(behind, ada):
    """Ada, whose app speaks with the storage that has the key service."""
    ada._client = behind[1]
    return ada


async def test_photos_are_taken_and_read_under_it(eve, pictures) -> None:
    photo = await eve.upload(pictures.jpeg())
    assert (await eve.read(photo["original_url"])).status_code == 200


@pytest.mark.parametrize(
    "break_road",
    [lambda road: road.cut(refusing=True), FaultyProxy.blackhole],
    ids=["refusing", "silent"],
)
async def test_whatever_needs_a_key_is_503_while_the_key_service_is_away(
    behind, eve, grace, pictures, key_service, break_road
) -> None:
    opened, client = behind
    photo = await eve.upload(pictures.jpeg())
    ticket = await eve.ticket()
    grace._client = client
    first = await grace.ticket()
    break_road(key_service.road)
    # A link and a list need no key.
    assert (await eve.call("GET")).status_code == 200
    assert await eve.ticket()
    refused = await asyncio.gather(
        eve.read(photo["original_url"]),
        eve.read(photo["thumbnail_url"]),
        client.head(photo["original_url"]),
        eve.put(ticket, pictures.jpeg()),
        # Of whom there is no key yet.
        grace.put(first, pictures.jpeg()),
    )
    assert [(it.status_code, it.headers["Retry-After"]) for it in refused] == [(503, "5")] * 5
    assert await opened.vault.count_keys([grace.id]) == {grace.id: 0}
    key_service.road.heal()
    assert (await eve.read(photo["original_url"])).status_code == 200
    assert (await eve.put(ticket, pictures.jpeg())).status_code == 200
    assert (await grace.put(first, pictures.jpeg())).status_code == 200


async def test_somebody_erased_is_410_while_the_key_service_is_away(
    behind, eve, pictures, key_service, clock
) -> None:
    opened, client = behind
    photo = await eve.upload(pictures.jpeg())
    ticket = await eve.ticket()
    key_service.road.cut(refusing=True)
    participation = STORAGE.participation(opened)
    now = clock.now()

    async def asked():
        return [OpenErasure(uuid4(), eve.id, now, now + timedelta(days=30))]

    await participation.reconcile(asked)
    assert await work_on_erasures(participation, opened.database) == 1
    assert await opened.vault.count_keys([eve.id]) == {eve.id: 0}
    gone = [
        await eve.read(photo["original_url"]),
        await eve.read(photo["thumbnail_url"]),
        await client.head(photo["original_url"]),
        await eve.put(ticket, pictures.jpeg()),
    ]
    assert [it.status_code for it in gone] == [410] * 4
    async with opened.database.read_only() as session:
        outbox = opened.database.tables.outbox
        bodies = (await session.scalars(select(outbox.c.body))).all()
    (reported,) = [json.loads(body)["data"] for body in bodies if b"erasure.reported" in body]
    assert reported["key_providers"] == [key_service.settings["key_provider"], "file"]


async def test_nobody_gets_a_key_who_is_erased_while_it_is_wrapped(
    behind, eve, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, _ = behind
    wrap = opened.key_providers.wrap

    async def wrap_and_erase(data_key, *, owner):
        wrapped = await wrap(data_key, owner=owner)
        await opened.vault.destroy_keys([eve.id])
        return wrapped

    monkeypatch.setattr(opened.key_providers, "wrap", wrap_and_erase)
    with pytest.raises(PersonErased):
        await opened.vault.open_key(eve.id)
    monkeypatch.undo()
    with pytest.raises(PersonErased):
        await opened.vault.open_key(eve.id)
    assert await opened.vault.count_keys([eve.id]) == {eve.id: 0}


async def test_a_copy_of_a_wrapped_key_is_what_a_certificate_says_of_it(key_service) -> None:
    key = new_data_key()
    wrapped = await key_service.encryption.wrap(key, owner=ADA)
    assert await key_service.encryption.unwrap(wrapped, owner=ADA) == key
