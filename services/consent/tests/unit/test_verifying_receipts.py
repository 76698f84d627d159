"""K35, G-7.1: a receipt shows by itself that a consent was given, and that it stands in the log."""

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from consent.operator import run_alone
from consent.transparency.checkpoint import Checkpoint
from consent.transparency.keys import LogKeys
from consent.transparency.leaves import commitment_to, entry_leaf
from consent.transparency.merkle import CompactRange, leaf_hash, root_of
from consent.transparency.receipts import RECEIPT_TYPE, InvalidReceipt, verify_receipt

ORIGIN = "irisvue.example/ledger"
SALT = bytes(range(32))
COMMITTED: dict[str, str | None] = {
    "user_id": "01a21bc2-eea7-75a1-9841-9a5d25e5d13e",
    "consent_id": "01a21bc2-f53e-72b8-bf4a-10cf1bbbf095",
    "metadata": '{"signature": "Änne"}',
}
LEAF = entry_leaf(
    {
        "kind": "grant",
        "consent_type": "biometric_capture",
        "jurisdiction": "gdpr",
        "consent_text_version": "2026-01",
        "occurred_at": "2026-11-27T06:48:11.343008Z",
        "commitment": commitment_to(COMMITTED, SALT),
    }
)
OTHER = leaf_hash(b"another")


def keys(seed: int = 1, origin: str = ORIGIN) -> LogKeys:
    private_key = ec.generate_private_key(ec.SECP256R1())
    return LogKeys(origin, [bytes([seed]) * 32], private_key, issuer="https://irisvue.example")


KEYS = keys()
JWKS = json.dumps({"keys": KEYS.published})


def proof_of(log_keys: LogKeys = KEYS) -> dict[str, Any]:
    tree = CompactRange()
    for leaf in (OTHER, leaf_hash(LEAF), OTHER):
        tree.append(leaf)
    checkpoint = Checkpoint(log_keys.origin, tree.size, tree.root())
    return {
        "origin": ORIGIN,
        "leaf": LEAF.decode(),
        "leaf_index": 1,
        "proof": [base64.b64encode(each).decode() for each in (OTHER, OTHER)],
        "checkpoint": str(log_keys.sign_note(checkpoint)),
        "salt": SALT.hex(),
        "committed": COMMITTED,
    }


def receipt(log: dict[str, Any], *, signed_by: LogKeys = KEYS, token_type: str = RECEIPT_TYPE) -> str:
    return signed_by.sign({"iat": 1, "log": log}, token_type=token_type)


def test_a_receipt_holds_with_the_published_keys_alone() -> None:
    verified = verify_receipt(receipt(proof_of()) + "\n", JWKS)
    assert (verified.leaf["kind"], verified.leaf_index, verified.checkpoint.size) == ("grant", 1, 3)


def test_a_changed_byte_anywhere_is_refused() -> None:
    token = receipt(proof_of())
    for at in range(0, len(token), 29):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        with pytest.raises(InvalidReceipt):
            verify_receipt(changed, JWKS)


def _changed(name: str, value: Any) -> Callable[[], str]:
    return lambda: receipt(proof_of() | {name: value})


RESTAMPED = LEAF.decode().replace("2026-11-27", "2025-11-27")
FORGED = {
    "what it is the leaf of is another time": _changed("leaf", RESTAMPED),
    "another place in the log": _changed("leaf_index", 0),
    "a place that is not in the log": _changed("leaf_index", 3),
    "no place": _changed("leaf_index", "1"),
    "a proof that is too short": _changed("proof", []),
    "a proof that is none": _changed("proof", ["?", "?"]),
    "another person": _changed("committed", COMMITTED | {"user_id": "01a21bc2-0000-75a1-9841-9a5d25e5d13e"}),
    "another salt": _changed("salt", "00"),
    "a salt that is none": _changed("salt", "zz"),
    "another log": _changed("origin", "elsewhere.example/ledger"),
    "no checkpoint": _changed("checkpoint", "3 leaves"),
    "a leaf that is none": _changed("leaf", "[]"),
    "nothing": lambda: KEYS.sign({"iat": 1}, token_type=RECEIPT_TYPE),
    "a checkpoint of a stranger": lambda: receipt(proof_of(keys(2))),
    "a checkpoint for another tree": lambda: receipt(
        proof_of() | {"checkpoint": str(KEYS.sign_note(Checkpoint(ORIGIN, 3, root_of([OTHER] * 3))))}
    ),
    "a stranger's signature": lambda: receipt(proof_of(), signed_by=keys()),
    "a checkpoint instead of a receipt": lambda: receipt(proof_of(), token_type="consent-checkpoint+jwt"),
    "no signature": lambda: jwt.encode({"log": proof_of()}, None, "none", {"typ": RECEIPT_TYPE}),
    "no token": lambda: "receipt",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_what_shows_less_than_a_receipt_is_refused(forged) -> None:
    with pytest.raises(InvalidReceipt):
        verify_receipt(forged(), JWKS)


def test_an_officer_checks_a_file(tmp_path, monkeypatch, capsys) -> None:
    kept, published = tmp_path / "receipt.jwt", tmp_path / "jwks.json"
    published.write_text(JWKS)

    def check(token: str) -> object:
        kept.write_text(token)
        monkeypatch.setattr("sys.argv", ["consent", "verify", str(kept), "--keys", str(published)])
        with pytest.raises(SystemExit) as ended:
            run_alone()
        return ended.value.code

    assert check(receipt(proof_of())) == 0
    assert "is leaf 1 of the 3 in the log irisvue.example/ledger" in capsys.readouterr().out
    assert check(receipt(proof_of() | {"leaf_index": 0})) == 1
    assert "does not hold: its entry is not in the log" in capsys.readouterr().out
    published.write_text("{}")
    assert check(receipt(proof_of())) == 1
    assert "is no JWKS document" in capsys.readouterr().out
