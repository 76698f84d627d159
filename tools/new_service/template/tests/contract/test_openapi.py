from pathlib import Path

from sample.main import SAMPLE


def test_the_api_is_the_committed_one(settings, assert_openapi_snapshot) -> None:
    assert_openapi_snapshot(SAMPLE.create_api(settings), Path(__file__).parents[2] / "openapi.json")
