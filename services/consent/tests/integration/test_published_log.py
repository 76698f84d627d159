"""K35: a stranger reads checkpoints and tiles, and makes every proof out of them without us."""

import base64

import jwt
import pytest

from consent.transparency.checkpoint import Checkpoint
from consent.transparency.merkle import inclusion_ranges, verify_inclusion
from consent.transparency.note import Note, verify_any
from consent.transparency.tiles import Tile, hashes_of, root_from, tiles_of, width_at
from consent.use_cases.seal_log import seal_log

LEDGER = "/api/v1/privacy/ledger"
ENTRIES = 300


@pytest.fixture
async def sealed(person, service, admin):
    """A log of 300 entries under one checkpoint."""
    await person().agree()
    await admin.execute(
        "INSERT INTO consent.log_anchors (kind, digest)"
        " SELECT 'test', lpad(number::text, 64, '0') FROM generate_series(2, $1) AS number",
        ENTRIES,
    )
    assert await seal_log(service.database, keys=service.log_keys, clock=service.clock) == ENTRIES
    return service


async def test_k35_checkpoint_is_a_signed_note_for_everybody(sealed, client) -> None:
    answer = await client.get(f"{LEDGER}/checkpoint")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=1"
    note = Note.parse(answer.text)
    assert verify_any(note, sealed.log_keys.verifiers)
    assert Checkpoint.parse(note.text).size == ENTRIES


async def test_k35_checkpoint_is_a_jws_too(sealed, client) -> None:
    answer = await client.get(f"{LEDGER}/checkpoint.jws")

    assert answer.headers["Content-Type"] == "application/jose"
    key = next(jwk for jwk in sealed.log_keys.published if jwk["kty"] == "EC")
    claims = jwt.decode(answer.text, jwt.PyJWK(key), algorithms=["ES256"], options={"verify_iat": False})
    note = Checkpoint.parse(Note.parse((await client.get(f"{LEDGER}/checkpoint")).text).text)
    assert (claims["origin"], claims["tree_size"]) == (note.origin, note.size)
    assert base64.b64decode(claims["root_hash"]) == note.root


async def test_k35_tree_and_proofs_are_made_of_published_tiles(sealed, client, admin) -> None:
    checkpoint = Checkpoint.parse(Note.parse((await client.get(f"{LEDGER}/checkpoint")).text).text)
    tiles = {}
    for level, index in ((0, 0), (0, 1), (1, 0)):
        tile = Tile(level, index, width_at(level, index, checkpoint.size))
        answer = await client.get(f"{LEDGER}/tile/{tile.path}")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert len(answer.content) == 32 * tile.width
        tiles[level, index] = answer.content

    assert root_from(checkpoint.size, tiles) == checkpoint.root
    row = await admin.fetchrow("SELECT leaf_index, leaf_hash FROM consent.log_leaves WHERE source = 'entry'")
    ranges = inclusion_ranges(row["leaf_index"], checkpoint.size)
    assert {(tile.level, tile.index) for tile in tiles_of(ranges, checkpoint.size)} <= set(tiles)
    proof = hashes_of(ranges, tiles)
    verify_inclusion(row["leaf_hash"], row["leaf_index"], checkpoint.size, proof, checkpoint.root)


@pytest.mark.parametrize("path", ["0/000.p/7", "0/001.p/1"])
async def test_k35_partial_tile_of_an_earlier_tree_stays(sealed, client, path) -> None:
    whole = {"0/000.p/7": "0/000", "0/001.p/1": "0/001.p/44"}[path]
    part = await client.get(f"{LEDGER}/tile/{path}")
    assert part.status_code == 200
    assert (await client.get(f"{LEDGER}/tile/{whole}")).content.startswith(part.content)


@pytest.mark.parametrize(
    "path",
    [
        "0/001",
        "0/001.p/45",
        "0/002",
        "1/000",
        "1/000.p/2",
        "2/000.p/1",
        "0/x001/000",
        "0/1",
        "x/000",
        "64/000",
    ],
)
async def test_k35_stale_or_unknown_tile_is_404(sealed, client, path) -> None:
    answer = await client.get(f"{LEDGER}/tile/{path}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "immutable" not in answer.headers.get("Cache-Control", "")


@pytest.mark.parametrize("path", ["entries/000", "entries/000.p/1"])
async def test_k35_no_bodies_of_entries_are_published(sealed, client, path) -> None:
    assert (await client.get(f"{LEDGER}/tile/{path}")).status_code == 404


@pytest.mark.parametrize("path", ["checkpoint", "checkpoint.jws", "tile/0/000.p/1"])
async def test_k35_before_the_first_entry_there_is_nothing(client, path) -> None:
    assert (await client.get(f"{LEDGER}/{path}")).status_code == 404


async def test_k35_only_the_gateway_collects_the_keys(sealed, client) -> None:
    assert (await client.get("/internal/published-keys")).status_code == 401
