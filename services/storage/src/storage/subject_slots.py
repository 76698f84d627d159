"""The format of sealed objects that have room for several data subjects: a wrapped content key for each.

Bytes, in order: `IVS` and 2 (4 bytes); how many slots follow (1); the slots, 68 bytes each; a nonce (12); the
ciphertext; its tag (16). A slot is: a mark by which its subject finds it (8), a nonce (12), and the content
key, encrypted (32) with its tag (16). Everything is AES-256-GCM with keys of HKDF-SHA-256.

The content is encrypted once, under a random key. A slot's key and mark are derived from its subject's data
key, so who has lost that key opens the object no more, and every other subject does. The content is bound to
the object, its version and class, and to no slot: one can be taken out without touching it. A slot is bound
to its subject and to the object. `unit/test_subject_slots.py` has frozen vectors.
"""

import hmac
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.sealing import KEY_BYTES, SEAL_OVERHEAD, SealBroken, derived_key, joined
from storage.sealing import ObjectLabel, unseal

MAGIC: Final = b"IVS\x02"
_MEDIA_TYPE: Final = "application/vnd.irisvue.sealed;subjects="
_HEAD_BYTES: Final = len(MAGIC) + 1
_MARK_BYTES, _NONCE_BYTES, _TAG_BYTES = 8, 12, 16
SLOT_BYTES: Final = _MARK_BYTES + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES
MOST_SUBJECTS: Final = 255
LARGEST_OVERHEAD: Final = _HEAD_BYTES + MOST_SUBJECTS * SLOT_BYTES + _NONCE_BYTES + _TAG_BYTES


def seal_for(plain: bytes, *, data_keys: Mapping[UUID, bytes], label: ObjectLabel) -> bytes:
    """Encrypt one object for each of these people, by their data keys; the label's owner need not be one.

    Raises ValueError for nobody, or more than 255 people.
    """
    if not 1 <= len(data_keys) <= MOST_SUBJECTS:
        raise ValueError(f"an object has 1 to {MOST_SUBJECTS} subjects")
    content_key, nonce = os.urandom(KEY_BYTES), os.urandom(_NONCE_BYTES)
    slots = [
        _slot(content_key, data_key=data_key, label=replace(label, owner=subject))
        for subject, data_key in data_keys.items()
    ]
    head = b"".join([MAGIC, len(slots).to_bytes(), *slots, nonce])
    sealed = bytearray(len(head) + len(plain) + _TAG_BYTES)
    sealed[: len(head)] = head
    # Written in place: a photo is sealed without another copy of it.
    AESGCM(content_key).encrypt_into(nonce, plain, _content_context(label), memoryview(sealed)[len(head) :])
    return bytes(sealed)


def open_sealed(sealed: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
    """Decrypt one object for its label's owner, in whichever format it is; raises `SealBroken`."""
    if not sealed.startswith(MAGIC):
        return unseal(sealed, data_key=data_key, label=label)
    content_key = _content_key(sealed, data_key=data_key, label=label)
    behind = memoryview(sealed)[_end_of_slots(sealed) :]
    return _decrypt(content_key, behind, _content_context(label))


def content_type_of(sealed: bytes) -> str:
    """Return the media type under which an object is kept; it says in which format, and for how many."""
    return f"{_MEDIA_TYPE}{sealed[len(MAGIC)]}" if sealed.startswith(MAGIC) else "application/octet-stream"


def overhead_of(content_type: str) -> int:
    """Return by how much an object that is kept under this media type is longer than its content."""
    kind, found, subjects = content_type.partition(_MEDIA_TYPE)
    if kind or not found or not subjects.isdecimal():
        return SEAL_OVERHEAD
    return _HEAD_BYTES + int(subjects) * SLOT_BYTES + _NONCE_BYTES + _TAG_BYTES


def _end_of_slots(sealed: bytes) -> int:
    if len(sealed) < _HEAD_BYTES:
        raise SealBroken("The sealed bytes end within their head.")
    return _HEAD_BYTES + sealed[len(MAGIC)] * SLOT_BYTES


def _slot(content_key: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    wrapped = AESGCM(_wrapping_key(data_key, label)).encrypt(nonce, content_key, _slot_context(label))
    return _mark(data_key, label) + nonce + wrapped


def _content_key(sealed: bytes, *, data_key: bytes, label: ObjectLabel) -> bytes:
    mark = _mark(data_key, label)
    for slot in _slots(sealed):
        if hmac.compare_digest(slot[:_MARK_BYTES], mark):
            return _decrypt(_wrapping_key(data_key, label), slot[_MARK_BYTES:], _slot_context(label))
    raise SealBroken("The object has no content key for this person.")


def _slots(sealed: bytes) -> Iterator[memoryview]:
    end, view = _end_of_slots(sealed), memoryview(sealed)
    for begin in range(_HEAD_BYTES, min(end, len(sealed)), SLOT_BYTES):
        yield view[begin : begin + SLOT_BYTES]


def _decrypt(key: bytes, behind: memoryview, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(behind[:_NONCE_BYTES], behind[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise SealBroken("The sealed bytes were changed or are not what they are taken for.") from None


def _mark(data_key: bytes, label: ObjectLabel) -> bytes:
    # Of this object alone: nobody can tell by it which objects are of the same person.
    return derived_key(data_key, _bound(b"irisvue/subject-mark/1", label))[:_MARK_BYTES]


def _wrapping_key(data_key: bytes, label: ObjectLabel) -> bytes:
    return derived_key(data_key, _bound(b"irisvue/subject-key/1", label))


def _slot_context(label: ObjectLabel) -> bytes:
    return joined(_bound(b"irisvue/subject-slot/1", label), str(label.owner))


def _content_context(label: ObjectLabel) -> bytes:
    return _bound(b"irisvue/object/3", label)


def _bound(kind: bytes, label: ObjectLabel) -> bytes:
    return joined(kind, label.object_id, str(label.version), label.data_class)
