"""What encrypts, signs and hashes is on one list, and the list is what the page on security says."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
LIBRARIES = {"cryptography", "hashlib", "hmac", "pwdlib", "Crypto", "nacl", "tink"}
# What may be taken from those libraries, and the word for it on the page.
ALGORITHMS = {
    "AESGCM": "AES-256-GCM",
    "HKDF": "HKDF-SHA-256",
    "SHA256": "HKDF-SHA-256",
    "sha256": "SHA-256",
    "sha1": "SHA-1",
    "ec": "ES256",
    "ECDSA": "ES256",
    "SECP256R1": "ES256",
    "Ed25519PrivateKey": "Ed25519",
    "Ed25519PublicKey": "Ed25519",
    "Argon2Hasher": "Argon2id",
    "hmac": "HMAC-SHA-256",
    "hashlib": "SHA-256",
    "streaming_aead": "AES256_GCM_HKDF_1MB",
}
# Names without an algorithm of their own: encodings, types and errors.
PLAIN = {
    "Encoding", "NoEncryption", "PrivateFormat", "PublicFormat", "load_der_private_key",
    "load_pem_private_key", "EllipticCurvePrivateKey", "EllipticCurvePublicKey", "RSAPublicKey",
    "InvalidTag", "InvalidSignature", "PasswordHash", "UnknownHashError", "UnsupportedAlgorithm",
    "tink", "proto_keyset_format", "secret_key_access", "aes_gcm_hkdf_streaming_pb2", "common_pb2",
    "tink_pb2",
}  # fmt: skip


def taken(source: str) -> set[str]:
    """Return what a file imports of cryptography, and the algorithms of `hashlib` that it calls."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] in LIBRARIES}
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "hashlib"
        ):
            found.add(node.attr)
    return found


SOURCES = sorted(
    file
    for pattern in ("libs/chassis/src", "services/*/src")
    for folder in ROOT.glob(pattern)
    for file in folder.rglob("*.py")
    if "testing" not in file.parts
)


def test_only_listed_algorithms_are_used() -> None:
    used = {name: str(file.relative_to(ROOT)) for file in SOURCES for name in taken(file.read_text())}
    assert {name: file for name, file in used.items() if name not in ALGORITHMS.keys() | PLAIN} == {}


@pytest.mark.parametrize("word", sorted(set(ALGORITHMS.values())))
def test_listed_algorithm_stands_on_the_page(word: str) -> None:
    assert word in PAGE.partition("## Algorithms")[2].partition("\n## ")[0]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from cryptography.hazmat.primitives.ciphers import modes", {"modes"}),
        ("import hashlib\nhashlib.md5(b'')", {"hashlib", "md5"}),
        ("from hashlib import sha1", {"sha1"}),
    ],
)
def test_what_a_file_takes_is_found(source: str, found: set[str]) -> None:
    assert taken(source) == found
