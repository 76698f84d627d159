"""What makes a secret strong enough to start with; each check names what mends it and quotes nothing.

Development stays easy: what only guards against guessing is asked for in production.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt import PyJWK, PyJWTError
from jwt.algorithms import ECAlgorithm
from pydantic import SecretStr, ValidationInfo

MINIMUM_PASSWORD_LENGTH = 16
MINIMUM_DISTINCT_CHARACTERS = 8
MINIMUM_DISTINCT_HEX_DIGITS = 8
MINIMUM_DISTINCT_BYTES = 20
MOST_EQUAL_STEPS = 8
_KEY_BYTES = 32
_HEX_KEY = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_MENDS = "`make env` generates one"


def in_production(info: ValidationInfo) -> bool:
    """Tell whether the settings that are being read are those of production."""
    return info.data.get("environment") == "production"


def check_password(value: SecretStr, info: ValidationInfo) -> SecretStr:
    """Refuse a password that can be guessed."""
    _require_strong_password(value.get_secret_value(), info, "a password")
    return value


def check_server_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    """Refuse the address of a server that anybody could use, or whose password can be guessed."""
    _require_strong_password(_password_of(value.get_secret_value()), info, "an address with a password")
    return value


def _require_strong_password(password: str, info: ValidationInfo, what: str) -> None:
    if not in_production(info):
        return
    if len(password) < MINIMUM_PASSWORD_LENGTH or len(set(password)) < MINIMUM_DISTINCT_CHARACTERS:
        raise ValueError(
            f"needs {what} of at least {MINIMUM_PASSWORD_LENGTH} characters, "
            f"{MINIMUM_DISTINCT_CHARACTERS} of them different, in production; {_MENDS}"
        )


def check_hex_key(value: SecretStr, info: ValidationInfo) -> SecretStr:
    """Refuse what is no 256-bit key in hexadecimal digits, or one that nobody drew at random."""
    text = value.get_secret_value()
    if not _HEX_KEY.fullmatch(text):
        raise ValueError(f"must be 64 hexadecimal digits; {_MENDS}")
    if is_regular(text, strictly=in_production(info)):
        raise ValueError(f"is too regular to be random; {_MENDS}")
    return value


def check_hex_keys(value: SecretStr, info: ValidationInfo) -> SecretStr:
    """Refuse keys, separated by commas, of which one is none, or one that nobody drew at random."""
    for key in value.get_secret_value().split(","):
        check_hex_key(SecretStr(key.strip()), info)
    return value


def is_regular(hex_key: str, *, strictly: bool) -> bool:
    """Tell whether 64 hexadecimal digits have an order that random ones have not once in a million lives.

    Strictly: few different bytes (a repeated pattern), equal steps (a sequence), or the letters of a text.
    """
    if len(set(hex_key.lower())) < MINIMUM_DISTINCT_HEX_DIGITS:
        return True
    key = bytes.fromhex(hex_key)
    steps = Counter((after - before) % 256 for before, after in pairwise(key))
    ordered = len(set(key)) < MINIMUM_DISTINCT_BYTES or max(steps.values()) > MOST_EQUAL_STEPS
    return strictly and (ordered or all(0x20 <= byte < 0x7F for byte in key))  # noqa: PLR2004 - ASCII


def check_named_keys(text: str, info: ValidationInfo) -> None:
    """Refuse a JSON object of keys by name when one of them is regular; `text` has been read before."""
    if any(is_regular(key, strictly=in_production(info)) for key in json.loads(text)["keys"].values()):
        raise ValueError(f"has a key that is too regular to be random; {_MENDS}")


def check_signing_key(value: SecretStr) -> SecretStr:
    """Refuse what is no private key for ES256."""
    if _p256(value.get_secret_value()) is None:
        raise ValueError(f"must be the PEM of an EC P-256 private key; {_MENDS}")
    return value


def check_public_keys(value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Refuse what is no object of public keys for ES256, by service."""
    for service, jwk in value.items():
        try:
            PyJWK(jwk, algorithm="ES256")
        except PyJWTError:
            raise ValueError(f"the key of {service} is no public EC P-256 JWK") from None
        if "d" in jwk:
            raise ValueError(f"the key of {service} is a private one; only its public half belongs here")
    return value


def check_own_public_key(service: str, private: SecretStr, public: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a service whose key is another one than its neighbours know, or is somebody else's too."""
    key = _p256(private.get_secret_value())
    own = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) if key is not None else {}
    known = {name: (jwk.get("x"), jwk.get("y")) for name, jwk in public.items()}
    if known.get(service) != (own.get("x"), own.get("y")):
        raise ValueError(f"the key of {service} does not match its private one; `make env` rewrites them")
    for (one, its_key), (another, other_key) in combinations(known.items(), 2):
        if its_key == other_key:
            raise ValueError(f"{one} and {another} have the same key; give each its own, {_MENDS}")


def shared_secrets(secrets: Mapping[str, SecretStr]) -> list[str]:
    """List the settings that hold the same secret as another one: one key, one purpose."""
    owners: dict[str, set[str]] = {}
    for name, value in secrets.items():
        for part in _parts(value.get_secret_value()):
            owners.setdefault(part, set()).add(name)
    return sorted({name for names in owners.values() if len(names) > 1 for name in names})


def _parts(secret: str) -> Iterator[str]:
    keys = _HEX_KEY.findall(secret)
    if "://" in secret:
        password = _password_of(secret)
        yield from [password] if password else []
    elif keys:
        yield from (key.lower() for key in keys)
    elif secret:
        yield "".join(secret.split())


def _password_of(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""


def _p256(pem: str) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    return None
