"""Random values for the first `.env`, by the markers of `.env.example`."""

import base64
import datetime as dt
import ipaddress
import json
import secrets
import string
from collections.abc import Callable, Mapping

COORDINATE_BYTES = 32
PUBLIC_KEYS_MARKER = "<public keys>"


def password() -> str:
    """Make 192 random bits that need no escaping in a URL."""
    return secrets.token_hex(24)


def key_256() -> str:
    """Make 256 random bits as 64 hexadecimal digits."""
    return secrets.token_hex(32)


def access_key() -> str:
    """Return an access key of S3: 20 capital letters and digits, as those of AWS."""
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(20))


def signing_key() -> str:
    r"""Make an EC P-256 private key: PKCS#8 PEM on one line, line ends written as \n."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow, and rarely needed
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode().replace("\n", "\\n")


def own_certificate() -> str:
    r"""Make a certificate that is its own authority and its key: PEM on one line, line ends written as \n.

    It has no well-defined end (RFC 5280, 4.1.2.5), because nothing but our own processes trusts it.
    """
    from cryptography import x509  # noqa: PLC0415 - slow, and rarely needed
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "irisvue object store")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode().replace("\n", "\\n")


def key_encryption_keys() -> str:
    """Make the keyring that wraps the data keys of people: one key, in use."""
    return json.dumps({"active": "k1", "keys": {"k1": key_256()}}, separators=(",", ":"))


def public_jwk(pem: str) -> dict[str, str]:
    """Return the public half of a key made by signing_key, as a JWK (RFC 7518, 6.2)."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow, and rarely needed
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = serialization.load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("A service key must be an EC P-256 key.")
    point = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "use": "sig",
        "x": _coordinate(point.x),
        "y": _coordinate(point.y),
    }


def public_keys(private_keys: Mapping[str, str]) -> str:
    """Return a JSON object from service to public JWK, in the order of the services' names."""
    keys = {service: public_jwk(private_keys[service]) for service in sorted(private_keys)}
    return json.dumps(keys, separators=(",", ":"))


def _coordinate(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(COORDINATE_BYTES, "big")).rstrip(b"=").decode()


GENERATORS: dict[str, Callable[[], str]] = {
    "<password>": password,
    "<access key>": access_key,
    "<256-bit key>": key_256,
    "<signing key>": signing_key,
    "<certificate>": own_certificate,
    "<key-encryption keys>": key_encryption_keys,
    # They follow from the signing keys of the services.
    PUBLIC_KEYS_MARKER: str,
}
