from pathlib import Path

from chassis import migrations
from consent.settings import ConsentSettings
from support.platform import Platform

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def test_the_models_are_the_migrated_schema(platform: Platform, settings: ConsentSettings) -> None:
    migrations.check(MIGRATIONS, settings.owner_database_url.get_secret_value())


def test_migrating_again_is_harmless(platform: Platform, settings: ConsentSettings) -> None:
    migrations.upgrade(MIGRATIONS, settings.owner_database_url.get_secret_value())
