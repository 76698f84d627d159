"""The two ceremonies, step by step, as an app goes through them."""

from sqlalchemy import text

BASE = "/api/v1/auth/passkeys"


async def creation_options(person):
    answer = await person.client.post(f"{BASE}/registration/options", headers=person.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add(person, phone, **extra):
    made = phone.create(await creation_options(person)) | extra
    return await person.client.post(f"{BASE}/registration/verify", json=made, headers=person.bearer)


async def request_options(client):
    answer = await client.post(f"{BASE}/authentication/options")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def sign_in(client, phone):
    signed = phone.get(await request_options(client))
    return await client.post(f"{BASE}/authentication/verify", json=signed)


def slug(answer):
    return answer.json()["type"].removeprefix("urn:irisvue:problem:")


async def rows(service, table):
    async with service.unit_of_work() as uow:
        return await uow.session.scalar(text(f"SELECT count(*) FROM identity.{table}"))
