from pathlib import Path

from identity.main import IDENTITY


def test_the_api_is_the_committed_one(settings, assert_openapi_snapshot):
    assert_openapi_snapshot(IDENTITY.create_api(settings), Path(__file__).parents[2] / "openapi.json")
