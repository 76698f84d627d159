"""Accounts, written straight into the database: nobody waits for a thousand sign-ups."""

import secrets
from datetime import UTC, datetime

from chassis.ids import new_id
from support.platform import Platform

PASSWORD = "seven blue irises"
COLUMNS = (
    "id",
    "email",
    "email_key",
    "password_hash",
    "auth_provider",
    "is_active",
    "is_verified",
    "created_at",
    "updated_at",
)


async def create_accounts(platform: Platform, count: int, *, password_hash: str) -> list[str]:
    """Create accounts that all have one password, and return their addresses."""
    now, crowd = datetime.now(UTC), secrets.token_hex(4)
    emails = [f"{crowd}-{number}@example.com" for number in range(count)]
    rows = [(new_id(), email, email, password_hash, "email", True, True, now, now) for email in emails]
    connection = await platform.connect_as_admin()
    try:
        await connection.copy_records_to_table("users", schema_name="identity", columns=COLUMNS, records=rows)
        await connection.execute("ANALYZE identity.users")
    finally:
        await connection.close()
    return emails
