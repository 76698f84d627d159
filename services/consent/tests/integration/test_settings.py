from datetime import date

import pytest
from pydantic import ValidationError

from consent.settings import ConsentSettings
from consent.wiring import open_service


@pytest.mark.parametrize(
    ("said", "filings"), [("", {}), (" ", {}), ('{"ca_qc": "2026-10-01"}', {"ca_qc": date(2026, 10, 1)})]
)
def test_filings_are_read_from_json_and_nothing_is_none(
    platform, settings, monkeypatch, said, filings
) -> None:
    with platform.variables_of("consent"):
        monkeypatch.setenv("CONSENT_REGULATOR_FILINGS", said)
        assert ConsentSettings().regulator_filings == filings


@pytest.mark.parametrize("said", ["soon", '{"ca_qc": "soon"}', "[]"])
def test_filings_that_can_not_be_read_stop_the_start(platform, settings, monkeypatch, said) -> None:
    with platform.variables_of("consent"):
        monkeypatch.setenv("CONSENT_REGULATOR_FILINGS", said)
        with pytest.raises(ValidationError, match="regulator_filings"):
            ConsentSettings()


async def test_a_filing_for_a_place_that_there_is_not_stops_the_start(settings) -> None:
    changed = settings.model_copy(update={"regulator_filings": {"quebec": date(2026, 10, 1)}})
    with pytest.raises(ValueError, match="names no jurisdiction: quebec"):
        async with open_service(changed):
            pass
