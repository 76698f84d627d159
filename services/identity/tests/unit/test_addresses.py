"""Which spellings are one mailbox, and which addresses are taken at all."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from identity.addresses import checked_email, email_key, is_mailable


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (" Ada@Example.ORG ", "ada@example.org"),
        ("x@müller.de", "x@xn--mller-kva.de"),
        ("x@MÜLLER.de", "x@XN--MLLER-KVA.DE"),
        ("x@ｅxample.org", "x@example.org"),
        ("jose\u0301@example.org", "josé@example.org"),
    ],
)
def test_spellings_of_one_mailbox_are_one_account(one, other):
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna@straße-x.example", "anna@strasse-x.example"),
        ("ｂob@example.org", "bob@example.org"),
        ("groß@example.org", "gross@example.org"),
        ("x@σίγμας.example", "x@σίγμασ.example"),
    ],
)
def test_two_mailboxes_are_two_accounts(one, other):
    assert email_key(one) != email_key(other)


def test_what_is_stored_is_what_is_mailed_to():
    assert checked_email(" Anna.B@Straße-X.example ") == "Anna.B@xn--strae-x-3va.example"
    assert checked_email("Ada@Example.ORG") == "Ada@example.org"


@pytest.mark.parametrize(
    "local", ["ｂob", "\N{KELVIN SIGN}arl", "groß", "ﬁn", "É", "Ⅷ", "ª", "x\N{ANGSTROM SIGN}"]
)
def test_letters_that_others_stand_for_are_refused(local):
    with pytest.raises(ValueError, match=r"^The part before the @ has letters that others stand for\."):
        checked_email(f"{local}@example.org")


@pytest.mark.parametrize(
    "typed", ["josé@example.org", "jose\u0301@example.org", "漢字@example.org", "ñ@bücher.example"]
)
def test_plain_letters_of_every_script_are_taken(typed):
    stored = checked_email(typed)
    assert stored.partition("@")[0] == unicodedata.normalize("NFC", typed.partition("@")[0])
    assert stored.rpartition("@")[2].isascii()
    assert (is_mailable(stored, smtp_utf8=False), is_mailable(stored, smtp_utf8=True)) == (False, True)


@pytest.mark.parametrize("typed", ["", "ada", "ada@", "@example.org", "ada@exa mple.org", "a\nb@example.org"])
def test_what_is_no_address_is_refused_without_being_repeated(typed):
    with pytest.raises(ValueError, match=r"^This is not an e-mail address\.$"):
        checked_email(typed)


LETTER = st.characters(categories=["Ll", "Lu", "Lo", "Nd"]) | st.sampled_from(
    "aAbßKéÉ\N{KELVIN SIGN}ｂσςﬁ\u0301"
)
TEMPLATES = st.text(LETTER, min_size=1, max_size=6)


@given(local=TEMPLATES, label=TEMPLATES)
@example(local="ada", label="straße")
@example(local="\N{KELVIN SIGN}arl", label="x")
def test_a_checked_address_is_its_own_spelling_and_keeps_its_key(local, label):
    typed = f"{local}@{label}.example.org"
    try:
        stored = checked_email(typed)
    except ValueError:
        return
    assert checked_email(stored) == stored
    assert email_key(stored) == email_key(typed)
    assert email_key(stored).rpartition("@")[2] == stored.rpartition("@")[2]


@given(one=TEMPLATES, other=TEMPLATES)
def test_two_checked_local_parts_share_a_key_only_by_ascii_case(one, other):
    try:
        left, right = (checked_email(f"{local}@example.org") for local in (one, other))
    except ValueError:
        return
    same = left.partition("@")[0].lower() == right.partition("@")[0].lower()
    assert (email_key(left) == email_key(right)) is same


@given(typed=st.text(max_size=40))
def test_any_text_has_a_key_that_the_database_takes(typed):
    key = email_key(typed)
    assert "\0" not in key
    assert email_key(key) == key or key.startswith(" ")


def test_text_that_is_no_address_is_no_address_s_key():
    assert email_key("019AB-id") == " 019ab-id"
    assert email_key("@example.org").startswith(" ")
