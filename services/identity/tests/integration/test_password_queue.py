"""Sign-ins that come at once wait their turn."""

import asyncio
from collections import Counter

from aiohttp import ClientSession, TCPConnector

from chassis.service_auth import GATEWAY_TOKEN_HEADER
from identity.main import IDENTITY
from support.api_process import api_process
from support.people import create_accounts

AT_ONCE = 200
PASSWORD = "seven blue irises"


async def test_two_hundred_sign_ins_in_the_same_instant_all_get_their_turn(platform, service):
    emails = await create_accounts(platform, AT_ONCE, password_hash=await service.hasher.hash(PASSWORD))
    async with (
        # However busy the machine is, what is asked is whether each has its turn.
        api_process(platform, IDENTITY.name, IDENTITY_ARGON2_WAIT_SECONDS="300") as identity,
        ClientSession(connector=TCPConnector(limit=0)) as http,
    ):

        async def log_in(email: str) -> str:
            async with http.post(
                f"{identity.url}/api/v1/auth/login/json",
                json={"email": email, "password": PASSWORD},
                headers={GATEWAY_TOKEN_HEADER: identity.proof()},
            ) as answer:
                return f"{answer.status} {(await answer.text())[:200] if not answer.ok else ''}".strip()

        answers = await asyncio.gather(*map(log_in, emails))
    assert Counter(answers) == {"200": AT_ONCE}
