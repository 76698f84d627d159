"""The route of anchored digests: whoever has a document can show that it stands in the log."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import JSONResponse

from chassis.openapi import problems
from chassis.problems import NotFound
from consent.api.dependencies import CurrentService
from consent.transparency.leaf_proof import LeafProof
from consent.use_cases.anchor_digest import ERASURE_CERTIFICATE
from consent.use_cases.prove_anchor import prove_anchor

RETRY_SECONDS = 2
_NOT_SEALED = {"message": "The digest is not sealed in the log yet. Ask again in two seconds."}
_SAYS = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
_DIGEST = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
_EXAMPLE = {
    "origin": "irisvue.example/api/v1/privacy/ledger",
    "leaf": f'{{"anchored_at":"2026-11-27T06:48:11.343008Z","digest":"{_DIGEST}",'
    '"kind":"erasure-certificate","leaf":"anchor/1"}',
    "leaf_index": 1066,
    "proof": ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="],
    "checkpoint": "irisvue.example/api/v1/privacy/ledger\n1067\n"
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"
    "\u2014 irisvue.example/api/v1/privacy/ledger Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7\n",
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": _EXAMPLE}}},
    202: {
        "description": "The digest is not sealed yet; `Retry-After` says when to ask again.",
        "content": {"application/json": {"schema": _SAYS, "example": _NOT_SEALED}},
    },
}

router = APIRouter(prefix="/api/v1/privacy/ledger", tags=["consent"])


@router.get(
    "/anchors/{digest}",
    summary="Where the digest of an erasure certificate stands in the log",
    response_model=LeafProof,
    responses=_ANSWERS | problems(NotFound),
)
async def get_anchor(
    digest: Annotated[
        str,
        Path(
            pattern="^[0-9a-f]{64}$",
            description="SHA-256, in hex, of the certificate's letters.",
            examples=[_DIGEST],
        ),
    ],
    service: CurrentService,
) -> LeafProof | Response:
    """Show the leaf of a digest, the proof that it is in the tree (RFC 6962 §2.1.1), and the tree's head."""
    leaf, inclusion = await prove_anchor(service.database, kind=ERASURE_CERTIFICATE, digest=digest)
    if inclusion is None:
        return JSONResponse(_NOT_SEALED, 202, headers={"Retry-After": str(RETRY_SECONDS)})
    return LeafProof(
        origin=service.log_keys.origin,
        leaf=leaf.decode(),
        leaf_index=inclusion.leaf_index,
        proof=[base64.b64encode(node).decode() for node in inclusion.proof],
        checkpoint=inclusion.checkpoint.note,
    )
