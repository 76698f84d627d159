"""`python -m storage api|worker|migrate|reconcile|rewrap`."""

from chassis.startup import quick_imports

with quick_imports():
    from chassis.entry import migrations_of, owner_url
    from storage.main import STORAGE
    from storage.operator import add_commands, run_command
    from storage.settings import StorageSettings


def migrate(settings: StorageSettings) -> None:
    """Bring both databases to their newest version: photos and keys."""
    from chassis.migrations import upgrade  # noqa: PLC0415 - nothing else needs its library

    if settings.keyring_owner_database_url is None:
        raise SystemExit("KEYRING_OWNER_DATABASE_URL is not set; migrations run with the owner's rights")
    upgrade(migrations_of("storage"), owner_url(settings))
    upgrade(
        migrations_of("storage", "keyring/migrations"), settings.keyring_owner_database_url.get_secret_value()
    )


if __name__ == "__main__":
    STORAGE.run(migrate=migrate, add_commands=add_commands, run_command=run_command)
