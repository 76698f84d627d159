"""How a person of the benchmark takes a picture."""

from typing import Any
from urllib.parse import urlsplit

from benchmarks.client import Connection, request
from benchmarks.load import expect
from benchmarks.subject import API, Person


async def take_picture(connection: Connection, person: Person, picture: bytes) -> dict[str, Any]:
    """Upload and confirm a picture; return what the API shows of it."""
    ask = request("POST", f"{API}/photos/upload", person.headers, body={"content_type": "image/jpeg"})
    asked = await connection.send(ask)
    expect(asked, 201)
    expect(await connection.send(upload(str(asked.document["upload_url"]), picture)), 200)
    body = {"file_size": len(picture), "width": 1, "height": 1}
    confirm = f"{API}/photos/{asked.document['photo_id']}/confirm"
    shown = await connection.send(request("POST", confirm, person.headers, body=body))
    expect(shown, 200)
    return shown.document


def upload(url: str, picture: bytes) -> bytes:
    """Return the request that uploads a picture to a link."""
    return request("PUT", target(url), body=picture, content_type="image/jpeg")


def target(url: str) -> str:
    """Return what of a link stands in the first line of a request."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
