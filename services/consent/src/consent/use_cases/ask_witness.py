"""Have a witness cosign the newest checkpoint (C2SP tlog-witness), outside the way of the sealer."""

import aiohttp
import structlog

from chassis.db import Database
from chassis.faults import TransientFault
from chassis.transactions import outside_transactions
from consent.repositories.transparency_log import SealedCheckpoint, TransparencyLog
from consent.transparency.note import (
    LARGEST_NOTE,
    MalformedNote,
    Note,
    UntrustedNote,
    Verifier,
    signatures_in,
)
from consent.transparency.witness import Submission
from consent.use_cases.prove_inclusion import prove_consistency

CONNECT_SECONDS = 1.0
TOTAL_SECONDS = 5.0
_OK, _CONFLICT = 200, 409

log = structlog.get_logger(__name__)


class WitnessAway(TransientFault):
    """The witness did not answer, or not with a cosignature of its own."""


class Witnessing:
    """What one witness has seen of the log."""

    def __init__(self, database: Database, url: str, verifier: Verifier) -> None:
        """`url` is the submission prefix of the witness."""
        self._database = database
        self._url = url
        self._verifier = verifier

    async def ask(self) -> None:
        """Have the newest checkpoint cosigned unless it is; raises `WitnessAway`."""
        async with self._database.unit_of_work() as uow:
            rows = TransparencyLog(uow.session)
            newest, known = await rows.latest(), await rows.cosigned_by(self._verifier.name)
        if newest is None or known >= newest.size:
            return
        status, said = await self._submit(newest, known)
        if status == _CONFLICT and said.strip().isdecimal():
            known = int(said)
            if known > newest.size:
                # Either the log has lost leaves, as after a restored backup, or the witness is not ours.
                log.critical(
                    "witness_knows_a_larger_tree", witness=self._verifier.name, knows=known, has=newest.size
                )
                raise WitnessAway("the witness knows a larger tree")
            status, said = await self._submit(newest, known)
        if status != _OK:
            raise WitnessAway(f"answered {status}")
        await self._keep(newest, said)

    async def _submit(self, newest: SealedCheckpoint, known: int) -> tuple[int, str]:
        proof = await prove_consistency(self._database, known, newest.size)
        body = str(Submission(known, proof, Note.parse(newest.note)))
        outside_transactions("witness")
        timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    f"{self._url}/add-checkpoint", data=body.encode(), allow_redirects=False
                ) as answer,
            ):
                said = await answer.content.read(LARGEST_NOTE)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise WitnessAway(type(error).__name__) from error
        return answer.status, said.decode("utf-8", "replace")

    async def _keep(self, newest: SealedCheckpoint, lines: str) -> None:
        text = Note.parse(newest.note).text
        try:
            signature = self._verifier.verify(Note(text, signatures_in(lines)))
        except (MalformedNote, UntrustedNote) as error:
            raise WitnessAway(f"no cosignature: {type(error).__name__}") from error
        async with self._database.unit_of_work() as uow:
            rows = TransparencyLog(uow.session)
            await rows.add_cosignature(newest.size, self._verifier.name, signature.line)
