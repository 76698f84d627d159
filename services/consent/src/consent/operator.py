"""What needs no service: verifying the log, and being a witness of logs; `python -m consent COMMAND`."""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chassis.database_url import read_database_url
from chassis.entry import load_settings
from chassis.signing_keys import ec_keys_in
from consent.repositories.log_reader import LogReader
from consent.settings import ArchiveSettings, LogSettings
from consent.transparency.anchors import verify_anchor
from consent.transparency.audit import Finding
from consent.transparency.keys import verifiers_in
from consent.transparency.note import COSIGNATURE, ED25519, Signer, Verifier
from consent.transparency.receipts import verify_receipt
from consent.transparency.witness import Witness
from consent.use_cases.verify_log import Verified, find_lost_checkpoints, verify_log

if TYPE_CHECKING:
    from consent.archive import CheckpointArchive


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the service's command line."""
    ledger = commands.add_parser("ledger", help="verify the transparency log of the ledger")
    verify = ledger.add_subparsers(dest="action", required=True).add_parser(
        "verify", help="go through every leaf, the tree and every checkpoint of CONSENT_DATABASE_URL"
    )
    verify.add_argument("--keys", type=Path, required=True, help="the JWKS that the gateway publishes")
    verify.add_argument(
        "--checkpoint", type=Path, action="append", default=[], help="a checkpoint that was kept; repeatable"
    )
    verify.add_argument(
        "--stored", action="store_true", help="hold the log against the checkpoints in the object store too"
    )
    receipt = commands.add_parser("verify", help="check a consent receipt with nothing but published keys")
    receipt.add_argument("file", type=Path, help="the receipt, as the API gave it")
    receipt.add_argument("--keys", type=Path, required=True, help="the JWKS that the gateway publishes")
    anchor = commands.add_parser(
        "verify-anchor", help="check that a document's digest is in the log with nothing but published keys"
    )
    anchor.add_argument("file", type=Path, help="the document, such as an erasure certificate")
    anchor.add_argument("--proof", type=Path, required=True, help="what /privacy/ledger/anchors/DIGEST gave")
    anchor.add_argument("--keys", type=Path, required=True, help="the JWKS that the gateway publishes")
    witness = commands.add_parser("witness", help="cosign the checkpoints of logs (C2SP tlog-witness)")
    witness.add_argument("--name", required=True, help="the name of the witness, such as witness.example/w1")
    witness.add_argument(
        "--log", action="append", default=[], type=_log_key, help="vkey of a log; repeatable"
    )
    witness.add_argument("--key", type=Path, required=True, help="its key: 64 hex digits; made when missing")
    witness.add_argument("--state", type=Path, required=True, help="where it remembers what it has cosigned")
    witness.add_argument("--host", default="127.0.0.1")
    witness.add_argument("--port", type=int, default=18119)


def _log_key(vkey: str) -> Verifier:
    verifier = Verifier.parse(vkey)
    if verifier.kind != ED25519:
        raise ValueError("is no key of a log")
    return verifier


def run_alone() -> None:
    """End the process with the status of the command, if the command line names one of these."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "ledger": _verify_ledger,
        "verify": _verify_receipt,
        "verify-anchor": _verify_anchor,
        "witness": _witness,
    }
    if sys.argv[1:2] and sys.argv[1] in commands:
        parser = argparse.ArgumentParser(prog="python -m consent")
        add_commands(parser.add_subparsers(dest="process", required=True))
        arguments = parser.parse_args()
        raise SystemExit(commands[arguments.process](arguments))


def _verify_ledger(arguments: argparse.Namespace) -> int:
    settings = load_settings(LogSettings)
    jwks = arguments.keys.read_text()
    kept = {str(path): path.read_text() for path in arguments.checkpoint}

    async def run() -> tuple[Verified, list[Finding]]:
        async with _archive(arguments.stored) as archive:
            if archive is not None:
                kept.update({name: note async for name, note in archive.notes()})
            async with LogReader.open(read_database_url(settings.database_url).dsn) as reader:
                verified = await verify_log(
                    reader, verifiers=verifiers_in(jwks), public_keys=ec_keys_in(jwks), kept=kept
                )
                lost = [] if archive is None else await find_lost_checkpoints(reader, archive.sizes)
                return verified, lost

    verified, lost = asyncio.run(run())
    findings = [*verified.findings, *lost]
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    said = "do not hold" if findings else "hold"
    sys.stdout.write(f"{verified.leaves} leaves and {verified.checkpoints} checkpoints {said}\n")
    return 1 if findings else 0


@asynccontextmanager
async def _archive(wanted: bool) -> AsyncIterator["CheckpointArchive | None"]:
    if not wanted:
        yield None
        return
    from consent.archive import CheckpointArchive  # noqa: PLC0415 - nothing else here needs its library

    async with CheckpointArchive.open(load_settings(ArchiveSettings)) as archive:
        yield archive


def _verify_receipt(arguments: argparse.Namespace) -> int:
    try:
        verified = verify_receipt(arguments.file.read_text(), arguments.keys.read_text())
    except ValueError as error:
        sys.stdout.write(f"this receipt does not hold: {error}\n")
        return 1
    leaf, checkpoint = verified.leaf, verified.checkpoint
    sys.stdout.write(
        f"this receipt holds: a {leaf['kind']} of {leaf['consent_type']} under {leaf['jurisdiction']}, text "
        f"{leaf['consent_text_version']}, of {leaf['occurred_at']}, is leaf {verified.leaf_index} of the "
        f"{checkpoint.size} in the log {checkpoint.origin}\n"
    )
    return 0


def _verify_anchor(arguments: argparse.Namespace) -> int:
    document = arguments.file.read_text().strip()
    try:
        anchor = verify_anchor(document, arguments.proof.read_text(), arguments.keys.read_text())
    except ValueError as error:
        sys.stdout.write(f"this proof does not hold: {error}\n")
        return 1
    sys.stdout.write(
        f"this proof holds: the {anchor.kind}, anchored {anchor.anchored_at}, is leaf {anchor.leaf_index} of "
        f"the {anchor.checkpoint.size} in the log {anchor.checkpoint.origin}\n"
    )
    return 0


def _witness(arguments: argparse.Namespace) -> int:
    from chassis.process import Part, Process, run_process  # noqa: PLC0415 - verifying needs no server
    from chassis.server import new_event_loop, serve  # noqa: PLC0415
    from consent.witness_api import create_app  # noqa: PLC0415

    if not arguments.key.exists():
        arguments.key.touch(mode=0o600)
        arguments.key.write_text(secrets.token_hex(32) + "\n")
    signer = Signer(arguments.name, bytes.fromhex(arguments.key.read_text().strip()), COSIGNATURE)
    logs = {log.name: log for log in arguments.log}
    witness = Witness(signer, logs, arguments.state, now=lambda: int(time.time()))
    sys.stdout.write(f"{signer.verifier}\n")
    sys.stdout.flush()

    @asynccontextmanager
    async def parts(_: Process) -> AsyncIterator[list[Part]]:
        yield [serve(create_app(witness), host=arguments.host, port=arguments.port).part("http")]

    run_process(parts, loop_factory=new_event_loop)
    return 0
