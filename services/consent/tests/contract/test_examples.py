import pytest

from consent import examples, law_schemas, preference_schemas, schemas
from consent.main import CONSENT
from consent.requests import GrantRequest


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (schemas.ConsentRead, examples.CONSENT),
        (schemas.ConsentRead, examples.WITHDRAWN),
        (schemas.ConsentList, examples.CONSENTS),
        (schemas.BiometricStatus, examples.BIOMETRIC_STATUS),
        (law_schemas.JurisdictionRead, examples.JURISDICTION),
        (law_schemas.ConsentTextsRead, examples.CONSENT_TEXTS),
        (law_schemas.RetentionSchedule, examples.RETENTION_SCHEDULE),
        (schemas.ConsentAnswer, examples.ANSWER),
        (schemas.ChangePage, examples.CHANGES),
        (preference_schemas.PreferencesRead, examples.PREFERENCES),
    ],
)
def test_an_example_is_what_its_operation_gives(model, shown) -> None:
    assert model.model_validate(shown).model_dump(mode="json") == shown


def test_the_example_of_a_grant_is_one() -> None:
    for shown in GrantRequest.model_json_schema()["examples"]:
        GrantRequest.model_validate(shown)


def test_every_operation_of_the_service_shows_an_example_of_what_it_gives(settings) -> None:
    document = CONSENT.create_api(settings).openapi()
    without = [
        f"{method} {path}"
        for path, operations in document["paths"].items()
        if not path.startswith("/health")
        for method, operation in operations.items()
        for status, response in operation["responses"].items()
        if status.startswith("2") and not all("example" in it for it in response["content"].values())
    ]
    assert without == []
