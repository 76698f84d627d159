"""What operators do at the command line: `python -m identity COMMAND`."""

import argparse
import asyncio
import getpass
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from contracts.fields import AuthProvider, RevocationReason
from identity import operator_erasures
from identity.addresses import checked_email
from identity.command_line import Command, fail, say
from identity.erasure.certificate import certificate_digest, verify_certificate
from identity.policy import EmailTaken, WeakPassword
from identity.repositories import Mails, Sessions, Users
from identity.settings import IdentitySettings
from identity.use_cases.accounts.register_user import create_account
from identity.use_cases.operations.rotate_keys import rotate_keys
from identity.use_cases.sessions.log_out_everywhere import log_out_everywhere
from identity.wiring import Service, open_service

STUCK_AFTER = timedelta(minutes=5)
LISTED = 200


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the operator's commands to the service's command line."""
    admin = commands.add_parser("create-admin", help="make an account that may operate the platform")
    admin.add_argument("email")
    admin.set_defaults(command=_create_admin)
    for name, command, help_text in (
        ("sessions", _show_sessions, "list the live sessions of a user id"),
        ("end-sessions", _end_sessions, "end every session of a user id"),
    ):
        parser = commands.add_parser(name, help=help_text)
        parser.add_argument("user_id", type=UUID)
        parser.set_defaults(command=command)
    rotation = commands.add_parser("rotate-keys", help="make the next signing key; it signs in ten minutes")
    rotation.set_defaults(command=_rotate_keys)
    certificate = commands.add_parser(
        "verify-certificate", help="check an erasure certificate with nothing but published keys"
    )
    certificate.add_argument("file", type=Path, help="the certificate, as the API gave it")
    certificate.add_argument("--keys", type=Path, required=True, help="the JWKS that the gateway publishes")
    stuck = commands.add_parser("stuck-mails", help="list mails that should have left by now")
    stuck.set_defaults(command=_stuck_mails)
    operator_erasures.add_commands(commands)


def run_alone() -> None:
    """End the process with the status of the command, if the command line names one without a service."""
    if sys.argv[1:2] == ["verify-certificate"]:
        parser = argparse.ArgumentParser(prog="python -m identity")
        add_commands(parser.add_subparsers(dest="process", required=True))
        raise SystemExit(_verify_certificate(parser.parse_args()))


def run_command(settings: IdentitySettings, arguments: argparse.Namespace) -> int:
    """Run the chosen command and return the exit status."""

    async def run() -> int:
        async with open_service(settings) as service:
            command: Command = arguments.command
            return await command(service, arguments)

    return asyncio.run(run())


async def _create_admin(service: Service, arguments: argparse.Namespace) -> int:
    try:
        email = checked_email(arguments.email)
    except ValueError as error:
        return fail(str(error))
    password = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    try:
        password_hash = await service.hasher.hash_chosen(
            password, email=email, min_length=service.settings.password_min_length
        )
        async with service.unit_of_work() as uow:
            user = await create_account(
                uow,
                email=email,
                provider=AuthProvider.EMAIL,
                password_hash=password_hash,
                verified=True,
                admin=True,
            )
    except WeakPassword as problem:
        return fail(problem.detail)
    if user is None:
        return fail(EmailTaken.detail)
    return say(f"created {user.id}")


async def _show_sessions(service: Service, arguments: argparse.Namespace) -> int:
    async with service.unit_of_work() as uow:
        sessions, total = await Sessions(uow.session).listed(
            arguments.user_id,
            service.rules.live_since(service.clock.now()),
            page=1,
            page_size=LISTED,
        )
        lines = [
            f"{one.id}  since {one.created_at:%Y-%m-%d %H:%M}  last used {one.last_used_at:%Y-%m-%d %H:%M}"
            for one in sessions
        ]
        if total > len(lines):
            lines.append(f"and {total - len(lines)} more")
    return say("\n".join(lines) or "no live session")


async def _end_sessions(service: Service, arguments: argparse.Namespace) -> int:
    async with service.unit_of_work() as uow:
        if await Users(uow.session).lock(arguments.user_id) is None:
            return fail("no account has this id")
        reason = RevocationReason.SECURITY
        await log_out_everywhere(uow, user_id=arguments.user_id, reason=reason, rules=service.rules)
    return say("every session has ended; access tokens are refused within a second")


async def _rotate_keys(service: Service, _arguments: argparse.Namespace) -> int:
    async with service.unit_of_work() as uow:
        row = await rotate_keys(uow, sealing=service.sealing_keys)
    return say(f"key {row.kid} is published now and signs from {row.active_from:%Y-%m-%d %H:%M:%S} UTC")


def _verify_certificate(arguments: argparse.Namespace) -> int:
    token = arguments.file.read_text().strip()
    try:
        claims = verify_certificate(token, arguments.keys.read_text())
    except ValueError as error:
        return fail(f"this certificate does not hold: {error}")
    reports = claims["participants"]
    who = ", ".join(it["service"] for it in reports)
    number = sum(sum(it["erased"].values()) for it in reports)
    return say(
        f"this certificate holds: erasure {claims['erasure_id']}, {_outcome(claims)}: "
        f"{number} things, verified by {who}\nSHA-256 {certificate_digest(token)}"
    )


def _outcome(claims: dict[str, Any]) -> str:
    if claims["completed_at"] is None:
        return "PARTIAL, because something is held by law"
    without = ", ".join(it["service"] for it in claims.get("retired", ()))
    said = f"completed {claims['completed_at']}"
    return f"{said} WITHOUT {without}, which was retired" if without else said


async def _stuck_mails(service: Service, _arguments: argparse.Namespace) -> int:
    before = service.clock.now() - STUCK_AFTER
    async with service.unit_of_work() as uow:
        mails = await Mails(uow.session).unsettled(before=before, limit=LISTED)
        lines = [f"{mail.id}  {mail.kind}  asked for {mail.requested_at:%Y-%m-%d %H:%M}" for mail in mails]
    return say("\n".join(lines) or "no mail is stuck")
