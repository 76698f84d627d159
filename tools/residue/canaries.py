"""What leads to a person, in every spelling in which it may have been written down."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus
from uuid import UUID

SHORTEST = 8
"""Fewer bytes stand in files by chance."""
FOLDER = "folder"
SESSION = "session"
PHOTO = "photo"
_ALIGNMENTS = (0, 1, 2)
_HASHES = ("md5", "sha1", "sha256", "sha512")


@dataclass(frozen=True)
class Canaries:
    """Spellings, each with the label of what it is of; all are compared in lower case."""

    spellings: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(
        cls,
        *,
        ids: Iterable[str] = (),
        words: Iterable[str] | Mapping[str, str] = (),
        secrets: Iterable[str] = (),
        object_keys: Iterable[str] = (),
        sessions: Iterable[str] = (),
        photos: Iterable[str] = (),
        pictures: Iterable[bytes] = (),
    ) -> "Canaries":
        """Build the spellings of ids, words, the first folder of object keys, sessions, photos and pictures.

        Words may have names. Of `secrets`, which nobody can guess, a hash may stay.
        """
        named = words if isinstance(words, Mapping) else {f"word {n}": text for n, text in enumerate(words)}
        found: list[tuple[str, bytes]] = []
        found += [(f"id {text}", it) for text in ids for it in spellings_of_id(text)]
        found += [(SESSION, it) for text in sessions for it in spellings_of_id(text)]
        found += [(PHOTO, it) for text in photos for it in spellings_of_id(text)]
        found += [(name, it) for name, text in named.items() for it in spellings_of(text)]
        found += [("a secret", it) for text in secrets for it in spellings_of_secret(text)]
        folders = (key.split("/", 1)[0] for key in object_keys)
        found += [(FOLDER, it) for text in folders for it in spellings_of(text)]
        found += [
            (f"picture {number}", it)
            for number, picture in enumerate(pictures)
            for it in spellings_of_picture(picture)
        ]
        whole = ((label, spelling.lower()) for label, spelling in found if len(spelling) >= SHORTEST)
        return cls(tuple(dict.fromkeys(whole)))

    def labels_in(self, data: bytes) -> frozenset[str]:
        """Return the labels of those that stand in the data."""
        lowered = data.lower()
        return frozenset(label for label, spelling in self.spellings if spelling in lowered)


def spellings_of(text: str) -> Iterator[bytes]:
    """Yield a word as whoever writes it down may write it, and hashed by those who keep no key."""
    yield from spellings_of_secret(text)
    for spelt in dict.fromkeys((text.encode(), text.lower().encode())):
        for name in _HASHES:
            yield from _digest(name, spelt)


def spellings_of_secret(text: str) -> Iterator[bytes]:
    """Yield a text as it is, as forms and JSON write it, in base64, in hexadecimal digits and in UTF-16."""
    plain = text.encode()
    yield plain
    yield quote(text, safe="").encode()
    yield quote_plus(text).encode()
    escaped = json.dumps(text)[1:-1].encode()
    yield escaped
    # A dump doubles what escapes.
    yield escaped.replace(b"\\", b"\\\\")
    for spelt in dict.fromkeys((plain, text.lower().encode())):
        yield from _binary(spelt)
    for encoding in ("utf-16-le", "utf-16-be"):
        yield text.encode(encoding)
        yield text.encode(encoding).hex().encode()


def spellings_of_id(text: str) -> Iterator[bytes]:
    """Yield a UUID as text, without hyphens, as its sixteen bytes, and whatever a word can be."""
    identifier = UUID(text)
    yield from spellings_of(str(identifier))
    yield identifier.hex.encode()
    yield str(identifier.int).encode()
    yield from _binary(identifier.hex.encode())
    yield identifier.bytes
    yield identifier.bytes_le
    yield from _binary(identifier.bytes)
    for name in _HASHES:
        yield from _digest(name, identifier.bytes)


def spellings_of_picture(picture: bytes) -> Iterator[bytes]:
    """Yield pieces of a picture's bytes, and what anyone who has the picture can compute of it."""
    middle = len(picture) // 2
    piece = picture[middle : middle + 48]
    yield piece
    yield from _binary(piece)
    for name in _HASHES:
        yield from _digest(name, picture)


def _binary(data: bytes) -> Iterator[bytes]:
    """Yield bytes in hexadecimal digits and in base64, wherever in a longer text they begin."""
    yield data.hex().encode()
    for before in _ALIGNMENTS:
        # Characters that also hold bits of what stands before or behind are left out.
        encoded = base64.b64encode(bytes(before) + data)
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        inner = encoded[first:last]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def _digest(name: str, data: bytes) -> Iterator[bytes]:
    digest = hashlib.new(name, data, usedforsecurity=False).digest()
    yield digest
    yield digest.hex().encode()
    yield base64.b64encode(digest).rstrip(b"=")
    yield base64.urlsafe_b64encode(digest).rstrip(b"=")
