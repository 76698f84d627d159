from pathlib import Path

from chassis import migrations

FOLDER = Path(__file__).parents[2] / "migrations"


def test_models_are_the_migrated_schema(settings) -> None:
    migrations.check(FOLDER, settings.owner_database_url.get_secret_value())
