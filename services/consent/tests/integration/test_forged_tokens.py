"""S3: forged access tokens against consent's own API."""

import pytest

from support.forged_tokens import statuses_of_forged_tokens


@pytest.mark.parametrize("row", ["S3-consent"])
async def test_of_all_forged_tokens_none_is_accepted_and_none_breaks_anything(
    app, client, settings, row: str
) -> None:
    answers = await statuses_of_forged_tokens(app, client, settings, "/api/v1/privacy/consent")
    assert answers.pop("good") == 200, row
    assert len(answers) >= 60
    assert {wrong: found for wrong, found in answers.items() if found != 401} == {}
