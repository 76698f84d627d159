"""What a phone does all day asks the database no more often than it must."""


async def test_signing_in_refreshing_and_reading_take_few_statements(client, ada, statements):
    async def asked(what) -> int:
        statements.clear()
        await what
        return len(statements)

    async def me() -> None:
        assert (await client.get("/api/v1/users/me", headers=ada.bearer)).status_code == 200

    async def refresh() -> None:
        ada.tokens = (await ada.refresh(ada.tokens["refresh_token"])).json()

    assert await asked(ada.log_in()) == 3
    assert await asked(me()) == 1
    assert await asked(refresh()) == 3
    # The first use of the access token of a generation is noted, once.
    assert await asked(me()) == 2
    assert await asked(me()) == 1
