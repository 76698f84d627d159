"""K35: checkpoints, notes and cosignatures have the bytes of their specifications; others read them."""

import base64
import hashlib
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sigstore._internal.rekor.checkpoint import SignedCheckpoint
from sigstore._internal.trust import Keyring
from sigstore._utils import KeyID
from sigstore.errors import VerificationError
from sigstore.models import common_v1

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.keys import LogKeys, verifiers_in
from consent.transparency.merkle import EMPTY_ROOT
from consent.transparency.note import (
    COSIGNATURE,
    MalformedNote,
    Note,
    Signature,
    Signer,
    UntrustedNote,
    Verifier,
    signatures_in,
    verify_any,
)
from support import FrozenClock

ORIGIN = "irisvue.example/api/v1/privacy/ledger"
SEED = hashlib.sha256(b"seed").digest()
CHECKPOINT = Checkpoint(ORIGIN, 20_852_163, EMPTY_ROOT)


@pytest.fixture
def keys() -> LogKeys:
    retired = LogKeys(ORIGIN, [SEED], ec.generate_private_key(ec.SECP256R1()), issuer="x").published[0]
    seeds = [SEED, hashlib.sha256(b"older").digest()]
    return LogKeys(
        ORIGIN,
        seeds,
        ec.generate_private_key(ec.SECP256R1()),
        issuer="https://irisvue.example",
        retired={"r": retired},
    )


def test_k35_checkpoint_is_three_lines_and_a_signature(keys: LogKeys) -> None:
    text, signature = str(keys.sign_note(CHECKPOINT)).split("\n\n")

    assert text.split("\n") == [ORIGIN, "20852163", base64.b64encode(EMPTY_ROOT).decode()]
    assert signature.startswith(f"\u2014 {ORIGIN} ")
    raw = base64.b64decode(signature.split(" ")[2])
    public = keys.verifiers[0].public_key
    assert raw[:4] == hashlib.sha256(f"{ORIGIN}\n\x01".encode() + public).digest()[:4]
    Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], (text + "\n").encode())


def test_k35_checkpoint_verifies_with_an_implementation_that_is_not_ours(keys: LogKeys) -> None:
    verifier = keys.verifiers[0]
    der = Ed25519PublicKey.from_public_bytes(verifier.public_key).public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    keyring = Keyring(
        [
            common_v1.PublicKey(
                raw_bytes=base64.b64encode(der), key_details=common_v1.PublicKeyDetails.PKIX_ED25519
            )
        ]
    )
    note = str(keys.sign_note(CHECKPOINT))

    read = SignedCheckpoint.from_text(note)
    read.signed_note.verify(keyring, KeyID(verifier.key_id))
    assert read.checkpoint.origin == ORIGIN
    assert read.checkpoint.log_size == CHECKPOINT.size
    assert read.checkpoint.log_hash == EMPTY_ROOT.hex()

    with pytest.raises(VerificationError):
        SignedCheckpoint.from_text(note.replace("20852163", "20852164")).signed_note.verify(
            keyring, KeyID(verifier.key_id)
        )


def test_k35_checkpoint_is_signed_as_json_too(keys: LogKeys, clock: FrozenClock) -> None:
    token = keys.sign_checkpoint(CHECKPOINT, sealed_at=clock.now())
    public = keys.published[0]

    assert jwt.get_unverified_header(token) == {
        "alg": "ES256",
        "typ": "consent-checkpoint+jwt",
        "kid": public["kid"],
    }
    claims = jwt.decode(token, jwt.PyJWK(public), algorithms=["ES256"], options={"verify_iat": False})
    assert claims == {
        "iss": "https://irisvue.example",
        "iat": int(clock.now().timestamp()),
        "origin": ORIGIN,
        "tree_size": 20_852_163,
        "root_hash": base64.b64encode(EMPTY_ROOT).decode(),
    }


@pytest.mark.parametrize("token_type", ["at+jwt", "JWT", "service+jwt"])
def test_k35_nothing_that_could_be_a_token_is_signed(keys: LogKeys, token_type: str) -> None:
    with pytest.raises(ValueError, match="type of its own"):
        keys.sign({"sub": "somebody"}, token_type=token_type)


def test_k35_published_keys_are_all_that_ever_signed(keys: LogKeys) -> None:
    assert [jwk["kty"] for jwk in keys.published] == ["EC", "EC", "OKP", "OKP"]
    assert not any("d" in jwk for jwk in keys.published)
    assert verifiers_in(json.dumps({"keys": keys.published})) == list(keys.verifiers)


@pytest.mark.parametrize("document", ["[]", '"x"', '{"keys": 1}', "{}", "x"])
def test_k35_document_without_keys_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        verifiers_in(document)


def test_k35_verifier_key_says_name_id_and_key(keys: LogKeys) -> None:
    verifier = keys.verifiers[0]
    assert Verifier.parse(str(verifier)) == verifier
    name, key_id, key = str(verifier).split("+", 2)
    assert (name, key_id) == (ORIGIN, verifier.key_id.hex())
    assert base64.b64decode(key) == b"\x01" + verifier.public_key


@pytest.mark.parametrize("vkey", ["", "a+b", "a+00000000+AQ==", "a b+00000000+" + "A" * 44, "x+1+y+z"])
def test_k35_anything_else_is_no_verifier_key(vkey: str) -> None:
    with pytest.raises(ValueError, match="verifier key"):
        Verifier.parse(vkey)


def test_k35_verifier_key_under_another_name_is_refused(keys: LogKeys) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Verifier.parse(str(keys.verifiers[0]).replace("irisvue", "another"))


def test_k35_cosignature_is_over_time_and_text() -> None:
    witness = Signer("witness.example/w1", SEED, COSIGNATURE)
    signature = witness.cosign(CHECKPOINT.text, 1_679_315_147)

    assert (
        signature.key_id
        == hashlib.sha256(b"witness.example/w1\n\x04" + witness.verifier.public_key).digest()[:4]
    )
    assert int.from_bytes(signature.value[:8], "big") == 1_679_315_147
    message = f"cosignature/v1\ntime 1679315147\n{CHECKPOINT.text}".encode()
    Ed25519PublicKey.from_public_bytes(witness.verifier.public_key).verify(signature.value[8:], message)
    assert witness.verifier.verify(Note(CHECKPOINT.text, (signature,))) == signature


def test_k35_note_is_trusted_for_a_known_key_only(keys: LogKeys) -> None:
    note = Note.parse(str(keys.sign_note(CHECKPOINT)))
    stranger = Signer("stranger.example", hashlib.sha256(b"x").digest()).verifier

    assert verify_any(note, [stranger, *keys.verifiers]) == keys.verifiers[0]
    with pytest.raises(UntrustedNote):
        verify_any(note, [stranger, keys.verifiers[1]])
    with pytest.raises(UntrustedNote):
        stranger.verify(note)
    forged = Note(note.text.replace("20852163", "20852164"), note.signatures)
    with pytest.raises(UntrustedNote):
        verify_any(forged, keys.verifiers)
    short = Note(note.text, (Signature(ORIGIN, keys.verifiers[0].key_id, b"x"),))
    with pytest.raises(UntrustedNote):
        verify_any(short, keys.verifiers)


GOOD = "a\n\n\u2014 n AAAAAAA=\n"


@pytest.mark.parametrize(
    "note",
    [
        *("", "a\n", "a\n\n", "a\r\n\n\u2014 n AAAAAAA=\n", "a\n\n- n AAAAAAA=\n", "a\n\n\u2014 n AAAAAAA="),
        *(
            GOOD + "x",
            "a\n\n\u2014 n AAAA\n",
            "a\n\n\u2014 n AAAAAAA\n",
            "a\n\n" + "\u2014 n AAAAAAA=\n" * 65,
        ),
    ],
)
def test_k35_malformed_notes_are_refused(note: str) -> None:
    with pytest.raises(MalformedNote):
        Note.parse(note)


def test_k35_note_is_read_as_it_was_written(keys: LogKeys) -> None:
    note = str(keys.sign_note(CHECKPOINT))
    assert str(Note.parse(note)) == note
    assert signatures_in(note.split("\n\n")[1]) == Note.parse(note).signatures
    assert Checkpoint.parse(Note.parse(note).text) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        *("a\n1\n", "a\n01\n" + "A" * 43 + "=\n", "a\n1\nAAAA\n", "a\n1\n!\n", "\n1\n" + "A" * 43 + "=\n"),
        *("a\n-1\n" + "A" * 43 + "=\n", "a\n1\n" + "A" * 43 + "="),
    ],
)
def test_k35_malformed_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(MalformedNote):
        Checkpoint.parse(text)
