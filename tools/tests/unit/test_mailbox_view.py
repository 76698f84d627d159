import mailbox
import os
from email.message import EmailMessage
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from native import mailbox_view


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    box = mailbox.Maildir(tmp_path / "Maildir")
    for second, subject in enumerate(("Welcome", "Ihr Löschzertifikat")):
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "us@example.com", "ada@example.com", subject
        mail["Date"] = "Thu, 26 Nov 2026 12:00:00 +0000"
        mail.set_content(f"Text of {subject}.")
        mail.add_alternative(f"<p>{subject}</p>", subtype="html")
        key = box.add(mail)
        file = next((tmp_path / "Maildir").glob(f"*/{key}*"))
        os.utime(file, (second, second))
    return tmp_path / "Maildir"


def test_list_begins_with_the_newest_mail(maildir: Path) -> None:
    lines = mailbox_view.listing(maildir).splitlines()

    assert "Ihr Löschzertifikat" in lines[-2]
    assert "Welcome" in lines[-1]


def test_mail_is_printed_as_text(maildir: Path) -> None:
    shown = mailbox_view.text_of(maildir, 1)

    assert "to: ada@example.com" in shown
    assert "Text of Ihr Löschzertifikat." in shown


def test_missing_mail_and_empty_box_are_said_so(maildir: Path, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="there are 2"):
        mailbox_view.text_of(maildir, 3)
    assert mailbox_view.listing(tmp_path / "none") == "The mailbox is empty."
