"""Signed notes (C2SP signed-note) by Ed25519 keys, and cosignatures of checkpoints (tlog-cosignature)."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04
MOST_SIGNATURES = 64
LARGEST_NOTE = 64 * 1024
_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\n")


class MalformedNote(ValueError):
    """The text is no signed note."""


class UntrustedNote(ValueError):
    """No known key has signed the note, or one of them did not sign these words."""


@dataclass(frozen=True)
class Signature:
    """One line below a note: who signed, with which key, and the bytes."""

    name: str
    key_id: bytes
    value: bytes

    @property
    def encoded(self) -> str:
        """The base64 of the id of the key and the signature, as the line has it."""
        return base64.b64encode(self.key_id + self.value).decode()

    @property
    def line(self) -> str:
        """The line, with its end."""
        return f"\u2014 {self.name} {self.encoded}\n"


@dataclass(frozen=True)
class Note:
    """A text that ends with a line end, and who signed it."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    @classmethod
    def parse(cls, note: str) -> "Note":
        """Read a signed note; raises `MalformedNote`."""
        text, separator, lines = note.rpartition("\n\n")
        if not separator or any(character < " " and character != "\n" for character in note):
            raise MalformedNote("a signed note is text, an empty line, and signatures")
        return cls(text + "\n", signatures_in(lines))


def signatures_in(lines: str) -> tuple[Signature, ...]:
    """Read signature lines; raises `MalformedNote` for none, too many, and for anything else."""
    found, at = [], 0
    while match := _SIGNATURE.match(lines, at):
        try:
            raw = base64.b64decode(match[2], validate=True)
        except ValueError:
            raise MalformedNote("a signature is not base64") from None
        if len(raw) <= _KEY_ID_BYTES:
            raise MalformedNote("a signature is too short")
        found.append(Signature(match[1], raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:]))
        at = match.end()
    if at != len(lines) or not 0 < len(found) <= MOST_SIGNATURES:
        raise MalformedNote("below a note stand signature lines and nothing else")
    return tuple(found)


@dataclass(frozen=True)
class Verifier:
    """A public key by name, as a `vkey`: `<name>+<key id in hex>+<base64 of kind and key>`."""

    name: str
    public_key: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """The four bytes that signatures name the key by."""
        named = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(named).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read a vkey; raises ValueError for what is none, or of another kind of key."""
        name, _, rest = vkey.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            raw = b""
        if not _NAME.fullmatch(name) or len(raw) != 1 + _KEY_BYTES or raw[0] not in (ED25519, COSIGNATURE):
            raise ValueError("is no verifier key `name+id+key` of an Ed25519 key")
        found = cls(name, raw[1:], raw[0])
        if found.key_id.hex() != key_id:
            raise ValueError("is a verifier key whose id does not fit its name and key")
        return found

    def verify(self, note: Note) -> Signature:
        """Return this key's signature of the note; raises `UntrustedNote` for none, or a wrong one."""
        for signature in note.signatures:
            if (signature.name, signature.key_id) == (self.name, self.key_id):
                self._check(signature, note.text)
                return signature
        raise UntrustedNote(f"{self.name} has not signed this")

    def _check(self, signature: Signature, text: str) -> None:
        value, message = signature.value, text
        if self.kind == COSIGNATURE:
            time, value = int.from_bytes(value[:_TIME_BYTES], "big"), value[_TIME_BYTES:]
            message = _cosigned(text, time)
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(value, message.encode())
        except (InvalidSignature, ValueError):
            raise UntrustedNote(f"the signature of {self.name} is not right") from None


class Signer:
    """An Ed25519 key that signs notes, or, as a witness, cosigns checkpoints."""

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        """Take a name without spaces and plus signs, and the 32 bytes of the key; raises ValueError."""
        if not _NAME.fullmatch(name):
            raise ValueError("the name of a key has no spaces and no plus signs")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw(), kind)

    def sign(self, text: str) -> Signature:
        """Return the signature of a note's text, which ends with a line end."""
        return self._signature(self._key.sign(text.encode()))

    def cosign(self, text: str, time: int) -> Signature:
        """Return the cosignature of a checkpoint's text at a moment in POSIX seconds."""
        value = self._key.sign(_cosigned(text, time).encode())
        return self._signature(time.to_bytes(_TIME_BYTES, "big") + value)

    def _signature(self, value: bytes) -> Signature:
        return Signature(self.verifier.name, self.verifier.key_id, value)


def _cosigned(text: str, time: int) -> str:
    return f"cosignature/v1\ntime {time}\n{text}"


def verify_any(note: Note, verifiers: Iterable[Verifier]) -> Verifier:
    """Return the first of these keys that has signed the note; raises `UntrustedNote`."""
    for verifier in verifiers:
        if any((it.name, it.key_id) == (verifier.name, verifier.key_id) for it in note.signatures):
            verifier.verify(note)
            return verifier
    raise UntrustedNote("no known key has signed this")
