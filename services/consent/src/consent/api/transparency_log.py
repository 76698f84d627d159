"""The routes of the transparency log: static resources in the forms of C2SP tlog-tiles, for everybody."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response

from chassis.callers import require_service
from chassis.openapi import example, problems
from chassis.problems import Forbidden, NotFound
from consent.api.dependencies import CurrentService
from consent.repositories.transparency_log import SealedCheckpoint
from consent.transparency.tiles import MalformedTilePath, Tile
from consent.use_cases.read_log import read_checkpoint, read_tile
from consent.wiring import Service

CHECKPOINT_SECONDS = 1
_CHECKPOINT_CACHE = f"public, max-age={CHECKPOINT_SECONDS}"
_TILE_CACHE = "public, max-age=31536000, immutable"
_NOTE, _JWS, _BYTES = "text/plain; charset=utf-8", "application/jose", "application/octet-stream"
_NOTE_EXAMPLE = (
    "irisvue.example/api/v1/privacy/ledger\n1067\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"
    "\u2014 irisvue.example/api/v1/privacy/ledger Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7"
    "u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
_JWS_EXAMPLE = "eyJhbGciOiJFUzI1NiJ9.eyJ0cmVlX3NpemUiOjEwNjd9.AQID"
_KEYS_EXAMPLE = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AQID", "kid": "log+01020304+AQID"}]}

public = APIRouter(prefix="/api/v1/privacy/ledger", tags=["consent"])
internal = APIRouter(prefix="/internal", tags=["internal"])


def _answers(media_type: str, schema: dict[str, Any], shown: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", **schema}, "example": shown}}}}


async def _newest(service: Service) -> SealedCheckpoint:
    found = await read_checkpoint(service.database)
    if found is None:
        raise NotFound("Nothing has been sealed yet: there is no checkpoint before the first entry.")
    return found


@public.get(
    "/checkpoint",
    summary="The newest checkpoint of the consent log, as a signed note",
    response_class=Response,
    responses=_answers("text/plain", {}, _NOTE_EXAMPLE) | problems(NotFound),
)
async def get_checkpoint(service: CurrentService) -> Response:
    """Show origin, size and root of the tree, signed, and cosigned by witnesses (C2SP tlog-checkpoint)."""
    newest = await _newest(service)
    return Response(newest.note, media_type=_NOTE, headers={"Cache-Control": _CHECKPOINT_CACHE})


@public.get(
    "/checkpoint.jws",
    summary="The newest checkpoint of the consent log, as a JWS",
    response_class=Response,
    responses=_answers(_JWS, {}, _JWS_EXAMPLE) | problems(NotFound),
)
async def get_checkpoint_jws(service: CurrentService) -> Response:
    """Show the same as claims under ES256; its key is in `/.well-known/jwks.json`."""
    newest = await _newest(service)
    return Response(newest.jws, media_type=_JWS, headers={"Cache-Control": _CHECKPOINT_CACHE})


@public.get(
    "/tile/{level}/{tile_number:path}",
    summary="Hashes of the consent log",
    response_class=Response,
    responses=_answers(_BYTES, {"format": "binary"}, "the hashes") | problems(NotFound),
)
async def get_tile(
    service: CurrentService,
    level: Annotated[str, Path(examples=["0"], description="0 for the hashes of leaves.")],
    tile_number: Annotated[
        str, Path(examples=["x001/067.p/16"], description="Index and, of a partial tile, width.")
    ],
) -> Response:
    """Show up to 256 neighbouring hashes (C2SP tlog-tiles); what is beyond the newest checkpoint is 404."""
    try:
        tile = Tile.at(level, tile_number)
    except MalformedTilePath:
        raise NotFound("No tile has this address.") from None
    found = await read_tile(service.database, tile)
    if found is None:
        raise NotFound("The log has no such tile yet.")
    return Response(found, media_type=_BYTES, headers={"Cache-Control": _TILE_CACHE})


@internal.get(
    "/published-keys",
    dependencies=[Depends(require_service("gateway"))],
    summary="The public keys of receipts and checkpoints",
    responses=example(_KEYS_EXAMPLE) | problems(Forbidden),
)
async def get_published_keys(service: CurrentService) -> dict[str, Any]:
    """Give a JWKS (RFC 7517 §5) of what has ever signed receipts and checkpoints."""
    return {"keys": service.log_keys.published}
