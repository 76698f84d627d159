import runpy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import create_async_engine

from chassis import migrations
from identity.models import User
from identity.settings import IdentitySettings
from support.platform import Platform

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def test_the_models_are_the_migrated_schema(platform: Platform, settings: IdentitySettings) -> None:
    migrations.check(MIGRATIONS, settings.owner_database_url.get_secret_value())


def test_migrating_again_is_harmless(platform: Platform, settings: IdentitySettings) -> None:
    migrations.upgrade(MIGRATIONS, settings.owner_database_url.get_secret_value())


@pytest.fixture
async def rekeyed(service, settings):
    """Return a function that stores accounts as they were keyed before, and keys them anew."""
    revision = runpy.run_path(str(MIGRATIONS / "versions" / "0009_mailboxes_are_keys.py"))
    engine = create_async_engine(settings.owner_database_url.get_secret_value())

    async def run(*accounts: dict[str, Any], back: bool = False) -> list[tuple[UUID, UUID]]:
        old = "lower(normalize(CAST(:email AS varchar), NFKC))"
        async with engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO identity.users (id, email, email_key, auth_provider, is_active, is_verified,"
                    f" created_at, updated_at) VALUES (:id, :email, {old}, 'email', true, :is_verified,"
                    " :created_at, :created_at)"
                ),
                accounts,
            )
            written = revision["_written_before" if back else "_written"]
            return await connection.run_sync(revision["rekey"], written)

    yield run
    await engine.dispose()


def account(number: int, email: str, *, verified: bool = False) -> dict[str, Any]:
    created = datetime(2026, 1, number, tzinfo=UTC)
    return {"id": UUID(int=number), "email": email, "is_verified": verified, "created_at": created}


async def test_accounts_of_one_mailbox_are_reported_and_both_stay(rekeyed, service, caplog):
    collisions = await rekeyed(
        account(1, "x@müller.de"),
        account(2, "X@xn--mller-kva.de", verified=True),
        account(3, "y@bücher.example"),
        account(4, "y@xn--bcher-kva.example"),
        account(5, "Ada@Example.ORG"),
    )
    assert collisions == [(UUID(int=2), UUID(int=1)), (UUID(int=3), UUID(int=4))]
    assert "müller" not in caplog.text
    assert "xn--" not in caplog.text
    async with service.unit_of_work() as uow:
        rows = {
            row.id.int: (row.email, row.email_key) for row in (await uow.session.scalars(select(User))).all()
        }
    assert rows == {
        1: ("x@xn--mller-kva.de", f" {UUID(int=1)}"),
        2: ("X@xn--mller-kva.de", "x@xn--mller-kva.de"),
        3: ("y@xn--bcher-kva.example", "y@xn--bcher-kva.example"),
        4: ("y@xn--bcher-kva.example", f" {UUID(int=4)}"),
        5: ("Ada@example.org", "ada@example.org"),
    }


async def test_who_lost_the_address_signs_in_with_the_id_of_the_account(rekeyed, service, client):
    await rekeyed(account(1, "x@müller.de", verified=True), account(2, "x@xn--mller-kva.de"))
    hashed = await service.hasher.hash("correct horse battery staple")
    async with service.unit_of_work() as uow:
        await uow.session.execute(update(User).values(password_hash=hashed))
    owners = {}
    for name in ("x@MÜLLER.de", str(UUID(int=2))):
        body = {"email": name, "password": "correct horse battery staple"}
        tokens = (await client.post("/api/v1/auth/login/json", json=body)).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        owners[name] = (await client.get("/api/v1/users/me", headers=bearer)).json()["id"]
    assert owners == {"x@MÜLLER.de": str(UUID(int=1)), str(UUID(int=2)): str(UUID(int=2))}


async def test_way_back_gives_the_earlier_keys_and_keeps_apart_what_they_do_not_tell_apart(rekeyed, service):
    # Two mailboxes by their domain's rules, one account by the earlier rule.
    collisions = await rekeyed(
        account(1, "STRASSE@example.com"),
        account(2, "straße@example.com"),
        account(3, "eve@example.com"),
        back=True,
    )
    assert collisions == [(UUID(int=1), UUID(int=2))]
    async with service.unit_of_work() as uow:
        keys = {row.id.int: row.email_key for row in (await uow.session.scalars(select(User))).all()}
    assert keys == {1: "strasse@example.com", 2: f" {UUID(int=2)}", 3: "eve@example.com"}
