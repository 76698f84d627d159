"""Shows what the development mailbox of native mode has received."""

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

from cluster import table
from cluster.errors import ClusterError

SHOWN = 20


def listing(maildir: Path) -> str:
    """Return a table of the last mails, the newest first, with the number that opens each."""
    rows = [
        (str(number), str(mail["date"]), str(mail["to"]), str(mail["subject"]))
        for number, mail in enumerate(_newest(maildir)[:SHOWN], start=1)
    ]
    return table.render(rows, headings=("n", "date", "to", "subject")) if rows else "The mailbox is empty."


def text_of(maildir: Path, number: int) -> str:
    """Return the headers and the text of one mail; 1 is the newest."""
    mails = _newest(maildir)
    if not 1 <= number <= len(mails):
        raise ClusterError(f"There is no mail {number}; there are {len(mails)}.")
    mail = mails[number - 1]
    body = mail.get_body(preferencelist=("plain", "html"))
    head = "\n".join(f"{name}: {mail[name]}" for name in ("from", "to", "date", "subject"))
    return f"{head}\n\n{body.get_content() if body is not None else ''}"


def _newest(maildir: Path) -> list[EmailMessage]:
    files = [file for folder in ("new", "cur") for file in (maildir / folder).glob("*") if file.is_file()]
    files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    return [_parsed(file) for file in files]


def _parsed(file: Path) -> EmailMessage:
    return email.message_from_bytes(file.read_bytes(), EmailMessage, policy=email.policy.default)
