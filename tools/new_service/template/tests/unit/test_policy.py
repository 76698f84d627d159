import pytest

from sample.policy import MOST_ENTRIES, TooManyEntries, require_room


def test_there_is_room_until_there_are_as_many_as_anybody_may_have() -> None:
    require_room(MOST_ENTRIES - 1)
    with pytest.raises(TooManyEntries):
        require_room(MOST_ENTRIES)
