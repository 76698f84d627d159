"""R28: a canary is found in whichever spelling it was written down, wherever in a longer text it stands."""

import base64
import hashlib
import json
import random
from email.message import EmailMessage
from urllib.parse import quote
from uuid import UUID

import pytest

from residue import Canaries, Searched
from residue.written import search_logs, search_mailbox

pytestmark = pytest.mark.unit

ID = "019ab0c4-1000-7001-8001-0000316edc57"
WORD = 'Anna.Müller+"iris"\\7@example.com'
UTF8 = WORD.encode()
SPELT = {
    "text": UTF8,
    "lower case": WORD.lower().encode(),
    "upper case": 'ANNA.Müller+"IRIS"\\7@EXAMPLE.COM'.encode(),
    "form": quote(WORD, safe="").encode(),
    "JSON": json.dumps({"e": WORD}).encode(),
    "JSON, dumped": json.dumps({"e": WORD}).replace("\\", "\\\\").encode(),
    "hexadecimal": b"\\x" + UTF8.hex().upper().encode(),
    "UTF-16": WORD.encode("utf-16"),
    "UTF-16, big end first": WORD.encode("utf-16-be"),
    "base64": base64.b64encode(UTF8),
    "base64 from the second byte": base64.b64encode(b"x" + UTF8 + b"yz"),
    "base64 from the third byte": base64.b64encode(b"xy" + UTF8 + b"z"),
    "base64 for addresses": base64.urlsafe_b64encode(b"xy" + UTF8 + b"z"),
    "SHA-256": hashlib.sha256(UTF8).hexdigest().encode(),
    "SHA-256 of lower case": hashlib.sha256(WORD.lower().encode()).digest(),
    "MD5": hashlib.md5(UTF8, usedforsecurity=False).hexdigest().upper().encode(),
    "SHA-1 in base64": base64.b64encode(hashlib.sha1(UTF8, usedforsecurity=False).digest()),
}
SPELT_ID = {
    "text": ID.encode(),
    "upper case": ID.upper().encode(),
    "without hyphens": UUID(ID).hex.encode(),
    "sixteen bytes": UUID(ID).bytes,
    "bytea in a dump": b"\\\\x" + UUID(ID).hex.encode(),
    "base64 of its bytes": base64.b64encode(b"x" + UUID(ID).bytes),
    "base64 of its text": base64.b64encode(b"xy" + ID.encode()),
    "hash of its bytes": hashlib.sha256(UUID(ID).bytes).hexdigest().encode(),
    "number": str(UUID(ID).int).encode(),
}


@pytest.mark.parametrize("spelt", SPELT.values(), ids=SPELT)
def test_r28_word_is_found_in_every_spelling(spelt: bytes) -> None:
    assert Canaries.of(words={"address": WORD}).labels_in(b"\x00 before " + spelt + b" behind") == {"address"}


@pytest.mark.parametrize("spelt", SPELT_ID.values(), ids=SPELT_ID)
def test_r28_id_is_found_in_every_spelling(spelt: bytes) -> None:
    assert Canaries.of(ids=[ID]).labels_in(b"\xff" + spelt + b"\xff") == {f"id {ID}"}


def test_r28_picture_is_found_by_a_piece_of_it_and_by_its_hash() -> None:
    picture = random.Random(1).randbytes(2048)
    canaries = Canaries.of(pictures=[picture])
    middle = len(picture) // 2
    for trace in (picture[100:], base64.b64encode(picture), hashlib.sha256(picture).digest()):
        assert canaries.labels_in(b"x" + trace) == {"picture 0"}
    assert not canaries.labels_in(picture[: middle - 300] + bytes(48))


def test_hash_of_a_secret_leads_to_nobody_and_the_secret_itself_does() -> None:
    canaries = Canaries.of(secrets=["0123456789abcdef-token"])
    assert canaries.labels_in(b"0123456789abcdef-token") == {"a secret"}
    assert not canaries.labels_in(hashlib.sha256(b"0123456789abcdef-token").hexdigest().encode())


def test_others_are_not_found() -> None:
    canaries = Canaries.of(ids=[ID], words=[WORD], pictures=[bytes(range(256))])
    assert not canaries.labels_in(b"019ab0c4-1000-7001-8001-0000316edc58 bert@example.com " + bytes(4096))


def test_row_is_kept_only_where_the_data_map_says_so_and_bears_nothing_else() -> None:
    canaries = Canaries.of(sessions=[ID], words={"address": WORD})
    declared = Searched("table", "irisvue.identity.session_revocations")
    declared.look_at_lines(canaries, f"{ID}\t7\n{ID}\t{WORD}\nnobody\n".encode())
    assert (declared.looked_at, declared.kept, declared.found) == (3, 1, 1)
    elsewhere = Searched("table", "irisvue.identity.sessions")
    elsewhere.look_at_lines(canaries, ID.encode())
    assert (elsewhere.kept, elsewhere.found) == (0, 1)


def test_what_passes_by_itself_is_counted_apart() -> None:
    samples = Searched("table", "irisvue, samples of the planner", passing=True)
    samples.look_at_lines(Canaries.of(words=[WORD]), UTF8)
    assert (samples.kept, samples.found) == (1, 0)


def test_log_is_searched_line_by_line() -> None:
    (place,) = search_logs([("gateway.log", b"one\n" + UTF8 + b"\nthree\n")], Canaries.of(words=[WORD]))
    assert (place.name, place.looked_at, place.found) == ("gateway.log", 3, 1)


@pytest.mark.parametrize(
    ("recipient", "kept", "found"), [("anna@example.com", 1, 0), ("b@example.com", 0, 1)]
)
async def test_mail_is_its_recipients_and_nobody_elses(recipient: str, kept: int, found: int) -> None:
    mail = EmailMessage()
    mail["To"], mail["Subject"] = recipient, "Hello"
    mail.set_content(WORD, cte="base64")

    async def mails():
        yield mail.as_bytes()

    place = await search_mailbox(mails(), Canaries.of(words=[WORD]), recipients=["Anna@example.com"])
    assert (place.looked_at, place.kept, place.found) == (1, kept, found)
