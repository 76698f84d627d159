"""A phone with passkeys, in software: what `navigator.credentials` and its native sisters answer."""

import base64
import copy
import hashlib
import json
import secrets

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

RP_ID = "irisvue.example"
WEB, IOS = f"https://app.{RP_ID}", f"https://{RP_ID}"
ANDROID = "android:apk-key-hash:" + base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
USER_PRESENT, USER_VERIFIED, CAN_BE_BACKED_UP, BACKED_UP, HAS_CREDENTIAL = 0x01, 0x04, 0x08, 0x10, 0x40


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


class VirtualAuthenticator:
    """Holds one passkey. Its fields are what a test bends: `rp_id` None means the one that was asked for."""

    def __init__(self, origin: str = WEB) -> None:
        self.origin, self.rp_id = origin, None
        self.flags = USER_PRESENT | USER_VERIFIED
        self.counts, self.sign_count = False, 0
        self.aaguid = bytes(16)
        self.credential_id = secrets.token_bytes(32)
        self.user_handle = b""
        self._key = ec.generate_private_key(ec.SECP256R1())

    def copy(self) -> "VirtualAuthenticator":
        """Return what a thief has who could read the key."""
        return copy.copy(self)

    def create(self, options: dict) -> dict:
        """Make the passkey: RegistrationResponseJSON, attestation "none"."""
        self.user_handle = decode(options["user"]["id"])
        point = self._key.public_key().public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        made = self.aaguid + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        made += cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        data = self._data(options["rp"]["id"], HAS_CREDENTIAL) + made
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {"attestationObject": encode(attestation), "transports": ["internal", "hybrid"]}
        return self._answer("webauthn.create", options["challenge"], response)

    def get(self, options: dict) -> dict:
        """Sign the challenge: AuthenticationResponseJSON."""
        data = self._data(options["rpId"])
        answer = self._answer("webauthn.get", options["challenge"], {"authenticatorData": encode(data)})
        signed = data + hashlib.sha256(decode(answer["response"]["clientDataJSON"])).digest()
        answer["response"]["signature"] = encode(self._key.sign(signed, ec.ECDSA(SHA256())))
        answer["response"]["userHandle"] = encode(self.user_handle)
        return answer

    def _data(self, asked_rp_id: str, more_flags: int = 0) -> bytes:
        self.sign_count += self.counts
        rp_id = self.rp_id or asked_rp_id
        flags = (self.flags | more_flags).to_bytes(1, "big")
        return hashlib.sha256(rp_id.encode()).digest() + flags + self.sign_count.to_bytes(4, "big")

    def _answer(self, kind: str, challenge: str, response: dict) -> dict:
        client_data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return {
            "id": encode(self.credential_id),
            "rawId": encode(self.credential_id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {"clientDataJSON": encode(json.dumps(client_data).encode()), **response},
        }
