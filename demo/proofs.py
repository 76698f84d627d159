"""What a person takes along, checked as a stranger would: with the published keys and nothing else."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from consent.transparency.anchors import verify_anchor
from consent.transparency.receipts import InvalidReceipt, verify_receipt
from demo.client import App
from demo.narrator import Narrator, StoryBroken
from identity.erasure.certificate import InvalidCertificate, certificate_digest, verify_certificate

SEAL_SECONDS = 10.0
POLL_SECONDS = 0.1
FOUND, NOT_SEALED = 200, 202


class Proofs:
    """Fetches them and tells what they show; one that does not hold ends the story."""

    def __init__(self, app: App, silent: App, narrator: Narrator) -> None:
        """`silent` is a second client whose requests are not told: for polling."""
        self._app = app
        self._silent = silent
        self._tell = narrator

    async def of_consent(self, consent_id: str) -> None:
        """Fetch the receipt of a consent, and check it."""
        tell, app = self._tell, self._app
        deadline = time.monotonic() + SEAL_SECONDS
        while (answer := await app.receipt(consent_id)).status == NOT_SEALED:
            if time.monotonic() > deadline:
                raise StoryBroken(f"the consent was not in the log after {SEAL_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
        receipt = tell.expect(answer, 200).body.decode()
        jwks = tell.expect(await app.published_keys(), 200).body.decode()
        verified = verify_receipt(receipt, jwks)
        tell.fact("its leaf in the log", f"{verified.leaf_index} of {verified.checkpoint.size}")
        tell.prove(
            verified.leaf["kind"] == "grant", "her receipt holds: signature, commitment, place in the log"
        )
        try:
            verify_receipt(_forged(receipt), jwks)
        except InvalidReceipt as error:
            tell.proven(f"with one letter changed it does not hold: {error}")
        else:
            raise StoryBroken("a forged receipt was taken for a real one")

    async def of_erasure(self, erasure: Mapping[str, Any], user_id: str) -> None:
        """Fetch the certificate of an erasure, and check it and its place in the log."""
        tell, app = self._tell, self._app
        answer = await app.certificate(erasure["erasure_id"], erasure["status_token"])
        certificate = tell.expect(answer, 200).body.decode()
        jwks = tell.expect(await app.published_keys(), 200).body.decode()
        claims = verify_certificate(certificate, jwks)
        tell.fact("its steps", ", ".join(f"{it['step']} {it['at'][11:23]}" for it in claims["steps"]))
        tell.fact("whose it is", f"{claims['sub'][:16]}…, a keyed hash")
        tell.fact("backups hold ciphertext until", claims["backups"]["ciphertext_until"])
        tell.prove(user_id not in str(claims), "it holds: signature, counts; and it does not name her")
        try:
            verify_certificate(_forged(certificate), jwks)
        except InvalidCertificate as error:
            tell.proven(f"with one letter changed it does not hold: {error}")
        else:
            raise StoryBroken("a forged certificate was taken for a real one")
        proof = await self._anchor(certificate_digest(certificate))
        anchor = verify_anchor(certificate, proof, jwks)
        tell.proven(
            f"its digest is leaf {anchor.leaf_index} of {anchor.checkpoint.size} in the log of consents"
        )

    async def _anchor(self, digest: str) -> str:
        deadline = time.monotonic() + SEAL_SECONDS
        while (answer := await self._silent.anchor(digest)).status != FOUND:
            if time.monotonic() > deadline:
                raise StoryBroken(f"the certificate was not in the log after {SEAL_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
        return answer.body.decode()


def _forged(token: str) -> str:
    """Return a token with one letter of its claims changed."""
    head, claims, signature = token.split(".")
    return f"{head}.{claims[:-9]}{'A' if claims[-9] != 'A' else 'B'}{claims[-8:]}.{signature}"
