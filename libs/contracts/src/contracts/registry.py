"""The registry: one entry for each service, from which follows what prepares, starts and reaches it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Member:
    """A service: what it owns, whom it asks, and which servers it uses.

    With a schema it has a worker and migrations, a user at the broker and a part in every erasure;
    `further_schemas` lie in the database of the keyring. `secrets` are generated for it alone, by the names
    of its settings. One with a `bucket` in the object store may use the objects there, or, where it
    `keeps_versions`, only add some, from its worker. One that `reaches_out` asks servers outside of the
    cluster. The one that `coordinates` erasures asks everybody who takes part in them, and
    every other writes its part of an export to the one that `assembles` them.
    """

    name: str
    has_schema: bool = True
    further_schemas: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    counts: bool = False
    sends_mail: bool = False
    bucket: str = ""
    keeps_versions: bool = False
    reaches_out: bool = False
    coordinates: bool = False
    assembles: bool = False


JOURNAL_BUCKET = "irisvue-journal"
"""Where every service with a schema keeps who was erased; its workers add and read, and nobody deletes."""

MEMBERS = {
    member.name: member
    for member in (
        Member(
            "identity",
            asks=("storage",),
            secrets=("SIGNING_KEY", "REFRESH_TOKEN_KEY", "PROVIDER_TOKEN_KEY"),
            counts=True,
            sends_mail=True,
            reaches_out=True,
            coordinates=True,
        ),
        Member(
            "consent",
            asks=("identity", "storage"),
            secrets=("SIGNING_KEY", "LOG_KEYS"),
            bucket="irisvue-ledger",
            keeps_versions=True,
        ),
        Member(
            "storage",
            further_schemas=("keyring",),
            asks=("identity", "consent"),
            secrets=("KEY_ENCRYPTION_KEYS", "LINK_KEY"),
            bucket="irisvue-photos",
            reaches_out=True,
            assembles=True,
        ),
        Member(
            "gateway",
            has_schema=False,
            asks=(
                "identity",
                "consent",
                "storage",
            ),
            counts=True,
        ),
    )
}

COORDINATOR = next(name for name, member in MEMBERS.items() if member.coordinates)
"""Who opens erasures, and hears what each participant holds and has erased."""

ASSEMBLER = next(name for name, member in MEMBERS.items() if member.assembles)
"""Who puts the exports together."""
