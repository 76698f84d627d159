"""What mails say: in text and in HTML alike, for every kind, and true."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from identity.mail.policy import MailKind
from identity.mail.templates import TEMPLATES, render, with_ascii_domain

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MAIL_ID = UUID("01970000-0000-7000-8000-000000000001")
LINK = "https://app.example/reset-password#token=a&b"


def written(kind, *, good_for=timedelta(minutes=15)):
    return render(
        kind,
        mail_id=MAIL_ID,
        sender="IrisVue <no-reply@irisvue.example>",
        recipient="ada@example.org",
        link=LINK if TEMPLATES[kind].path else None,
        good_for=good_for,
        now=NOW,
    )


def parts(message):
    return [message.get_body((kind,)).get_content() for kind in ("plain", "html")]


@pytest.mark.parametrize("kind", MailKind)
def test_every_kind_of_mail_is_written_in_text_and_in_html(kind):
    message = written(kind)
    text, html = parts(message)
    assert (message["To"], message["Auto-Submitted"]) == ("ada@example.org", "auto-generated")
    assert message["Message-ID"] == f"<{MAIL_ID}@irisvue.example>"
    assert (LINK in text) is bool(TEMPLATES[kind].path)
    assert ("#token=a&amp;b" in html) is bool(TEMPLATES[kind].path)
    for sentence in TEMPLATES[kind].sentences:
        begin = sentence.partition("{")[0].partition("'")[0]
        assert begin in text.replace("\n", " ")
        assert begin in html
    assert "ada@example.org" not in text + html
    assert "{" not in text + html


@pytest.mark.parametrize(
    ("good_for", "said"),
    [
        (timedelta(minutes=15), "15 minutes"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=24), "24 hours"),
        (timedelta(minutes=90), "90 minutes"),
    ],
)
def test_a_mail_says_how_long_its_link_is_good(good_for, said):
    for part in parts(written(MailKind.RESET_PASSWORD, good_for=good_for)):
        assert f"The link works once, for {said}." in part


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("ada@example.org", "ada@example.org"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("jöran@example.org", "jöran@example.org"),
    ],
)
def test_domains_go_over_the_wire_in_a_labels(address, wire):
    assert with_ascii_domain(address) == wire
