"""RFC 9110 §12.5.4 and RFC 4647 §3.4, by example."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.languages import preferred_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("DE", "de"),
        ("de-CH", "de"),
        ("de-Latn-DE-1996", "de"),
        ("fr-FR, de;q=0.7, en;q=0.3", "de"),
        ("fr-FR, en;q=0.9, de;q=0.7", "en"),
        ("en;q=0.1, de;q=0.2", "de"),
        ("de;q=0", "en"),
        ("de;q=0, *", "en"),
        ("*;q=0.5, de;q=0.4", "en"),
        ("fr", "en"),
        ("*", "en"),
        ("en;q=0, *", "de"),
        ("de;q=2", "en"),
        (";;;, ,de ; q=0.5,", "de"),
        ("\x00" * 5000, "en"),
    ],
)
def test_the_language_that_is_liked_best_is_shown(header: str | None, language: str) -> None:
    assert preferred_language(header, ["de", "en"], default="en") == language


@given(header=st.text(max_size=60))
def test_every_header_has_an_answer(header: str) -> None:
    assert preferred_language(header, ["de", "en"], default="en") in {"de", "en"}
