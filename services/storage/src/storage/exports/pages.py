"""The two files of an archive that people read: a README, and a page that works without a network."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Final

from storage.exports.archive import ArchivedFile

README: Final = "README.md"
INDEX: Final = "index.html"
NOT_INCLUDED: Final = "photos/NOT-INCLUDED.txt"

_README: Final = """\
# A copy of your data

This is everything that IrisVue held of you when you asked for it, on {day}.

- `index.html` shows what is here; open it in any browser. It asks no server for anything.
- `photos/` has your pictures, as they are kept: without place, time and camera, each pixel as you sent it.
  HEIC pictures are kept as JPEG.
- `data/` has one file for each of our services: your account, sessions and mails (`identity`), what you
  agreed to, with signed receipts (`consent`), and what belongs to your pictures (`storage`). Each says for
  what purpose and for how long every kind of data is held, what an erasure does to it, who else gets some,
  and what is held that is not in here: secrets and keys, which would be of use only to a thief.
- `schemas/` describes those files for programs (JSON Schema).
- `manifest.json` has the size and the SHA-256 of every file, so that a program can tell whether all is whole.

A receipt is a JSON Web Signature. Anybody can check it with the keys that we publish at
`/.well-known/jwks.json`.

You can have what is wrong corrected, have all of it erased, or complain to a supervisory authority: the app
says how.
"""
_NOT_INCLUDED: Final = """\
Your pictures are not in this copy. We hold iris image data of you: each picture is listed in
data/storage.json, and the app shows all of them to you. The law that holds for you lets no biometric data
into such a copy:
{clause}.
"""
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A copy of your data</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }} td, th {{ padding: .2rem 1rem .2rem 0; text-align: left }}
img {{ width: 10rem; height: 10rem; object-fit: cover; margin: .2rem }}
</style>
</head>
<body>
<h1>A copy of your data</h1>
<p>Everything that IrisVue held of you on {day}. <a href="README.md">README.md</a> says what is what.</p>
<h2>Data</h2>
<table><tr><th>file</th><th>bytes</th></tr>
{data}</table>
<h2>Photos: {count}</h2>
<p>{photos}</p>
</body>
</html>
"""
_MOST_SHOWN: Final = 1000
"""A browser takes no more pictures on one page; the others are in the folder."""


def readme(requested_at: datetime) -> bytes:
    """Return the README, as Markdown."""
    return _README.format(day=requested_at.date().isoformat()).encode()


def not_included(clause: str) -> bytes:
    """Return what says, with particularity, what is held and not in the archive."""
    return _NOT_INCLUDED.format(clause=clause).encode()


def index_page(files: Sequence[ArchivedFile], requested_at: datetime) -> bytes:
    """Return the page that shows what is in the archive."""
    photos = [file for file in files if file.photo_id is not None]
    data = [file for file in files if file.photo_id is None]
    page = _PAGE.format(
        day=requested_at.date().isoformat(),
        data="".join(_row(file) for file in data),
        count=len(photos),
        photos="\n".join(_shown(photos[:_MOST_SHOWN])),
    )
    return page.encode()


def _row(file: ArchivedFile) -> str:
    name = escape(file.name)
    return f'<tr><td><a href="{name}">{name}</a></td><td>{file.bytes}</td></tr>\n'


def _shown(photos: Sequence[ArchivedFile]) -> Iterator[str]:
    for photo in photos:
        name = escape(photo.name)
        yield f'<a href="{name}"><img loading="lazy" alt="a photo" src="{name}"></a>'
