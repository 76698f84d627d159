from pathlib import Path

from storage.main import STORAGE


def test_the_api_is_the_committed_one(settings, assert_openapi_snapshot) -> None:
    assert_openapi_snapshot(STORAGE.create_api(settings), Path(__file__).parents[2] / "openapi.json")
