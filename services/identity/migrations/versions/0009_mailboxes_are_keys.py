"""Key accounts by the mailbox that mails go to, and store their addresses in that form.

The domain is in A-labels in lower case, the part before the @ is NFC with ASCII letters in lower case. Two live
accounts that turn out to be one mailbox both stay: the one that proved its address, else the older one, keeps
the key. The other gets its own id as key, so that its owner signs in, or resets the password, with that id in
place of the address, and can then give the account another one.
"""

import logging
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from string import ascii_lowercase, ascii_uppercase
from typing import Any
from uuid import UUID

import idna
import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

BATCH = 5000
LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
INDEX = "uq_users_email_key_live"
log = logging.getLogger("alembic.runtime.migration")


def upgrade() -> None:
    rekey(op.get_bind(), _written)


def downgrade() -> None:
    """Take the change back; addresses stay as they are written, and keys that are one again collide as above."""
    rekey(op.get_bind(), _written_before)


def rekey(connection: sa.Connection, written: Callable[[str], dict[str, str]]) -> list[tuple[UUID, UUID]]:
    """Give every account its new key; return the accounts that collided, who keeps the key first."""
    connection.execute(
        sa.text("CREATE TABLE identity.rekeyed (id uuid PRIMARY KEY, email text, email_key text)")
    )
    for batch in _changed(connection, written):
        connection.execute(sa.text("INSERT INTO identity.rekeyed VALUES (:id, :email, :email_key)"), batch)
    collisions = [(row.keeper, row.id) for row in connection.execute(sa.text(_COLLISIONS))]
    for keeper, loser in collisions:
        log.warning(
            "address_collision: account %s keeps the address, account %s is reached by its id", keeper, loser
        )
    if collisions:
        connection.execute(
            sa.text(
                "INSERT INTO identity.rekeyed SELECT id, email, :key FROM identity.users WHERE id = :id"
                " ON CONFLICT (id) DO UPDATE SET email_key = :key"
            ),
            [{"id": loser, "key": f" {loser}"} for _, loser in collisions],
        )
    # Keys may move from one row to another in any order, so the index is away meanwhile.
    connection.execute(sa.text(f"DROP INDEX identity.{INDEX}"))
    connection.execute(
        sa.text(
            "UPDATE identity.users SET email = rekeyed.email, email_key = rekeyed.email_key"
            " FROM identity.rekeyed WHERE users.id = rekeyed.id"
        )
    )
    connection.execute(
        sa.text(f"CREATE UNIQUE INDEX {INDEX} ON identity.users (email_key) WHERE erasure_id IS NULL")
    )
    connection.execute(sa.text("DROP TABLE identity.rekeyed"))
    return collisions


_COLLISIONS = """
    SELECT id, keeper FROM (
        SELECT users.id, row_number() OVER same AS place, first_value(users.id) OVER same AS keeper
        FROM identity.users LEFT JOIN identity.rekeyed USING (id)
        WHERE erasure_id IS NULL
        WINDOW same AS (
            PARTITION BY COALESCE(rekeyed.email_key, users.email_key)
            ORDER BY is_verified DESC, created_at, users.id
        )
    ) AS ranked
    WHERE place > 1
    ORDER BY id
"""


def _changed(
    connection: sa.Connection, written: Callable[[str], dict[str, str]]
) -> Iterator[list[dict[str, Any]]]:
    """Return the accounts whose address or key is written in another way now, by batches in order of ids."""
    after = UUID(int=0)
    page = sa.text(
        "SELECT id, email, email_key FROM identity.users WHERE id > :after ORDER BY id LIMIT :most"
    )
    while rows := connection.execute(page, {"after": after, "most": BATCH}).all():
        after = rows[-1].id
        rewritten = [{"id": row.id, **written(row.email)} for row in rows]
        changed = [
            new
            for new, row in zip(rewritten, rows, strict=True)
            if (new["email"], new["email_key"]) != (row.email, row.email_key)
        ]
        if changed:
            yield changed


def _written(email: str) -> dict[str, str]:
    local, _, domain = email.rpartition("@")
    try:
        name = domain if domain.isascii() else idna.encode(domain, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        # Nothing was ever mailed to such a domain; the account is reached by the spelling that it has.
        return {"email": email, "email_key": " " + email.strip().translate(LOWER)}
    local = unicodedata.normalize("NFC", local)
    return {"email": f"{local}@{name.lower()}", "email_key": f"{local.translate(LOWER)}@{name.lower()}"}


def _written_before(email: str) -> dict[str, str]:
    return {"email": email, "email_key": unicodedata.normalize("NFKC", email).strip().casefold()}
