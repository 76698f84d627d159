"""RFC 9110 §12.5.1: the form of an answer is the one that is named and weighs most."""

import pytest

from chassis.negotiation import preferred_form

FORMS = ("application/jwt", "application/json", "text/html")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "application/jwt"),
        ("", "application/jwt"),
        ("*/*", "application/jwt"),
        ("application/json", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html, application/json", "application/json"),
        ("text/html;q=0.5, application/json;q=0.4", "text/html"),
        ("TEXT/HTML; charset=utf-8 ; q=0.5", "text/html"),
        ("text/html;q=0", "application/jwt"),
        ("image/png", "application/jwt"),
        ("application/json;q=0.9, " + "x/y, " * 500 + "text/html", "application/json"),
    ],
)
def test_form_is_the_one_that_is_preferred(accept: str | None, form: str) -> None:
    assert preferred_form(accept, FORMS) == form
