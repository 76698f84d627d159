"""What a developer sees and does about the migrations of running servers."""

from pathlib import Path

import pytest

from cluster import env_file, migrations
from cluster.errors import ClusterError
from cluster.layout import Layout
from cluster.testing.platform import Platform


@pytest.fixture
def layout(platform: Platform, tmp_path: Path) -> Layout:
    env_file.ensure(tmp_path / ".env", given=dict(platform.servers.values))
    return Layout(Layout.of().checkout, tmp_path, tmp_path / "var")


@pytest.mark.parametrize("schema", ["consent", "storage", "keyring"])
def test_status_shows_the_version_of_the_database(
    platform: Platform, layout: Layout, schema: str, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.migrate("storage" if schema == "keyring" else schema)

    migrations.show(layout, schema)

    assert "(head) (current)" in capsys.readouterr().out


def test_migration_that_cannot_be_taken_back_is_named_and_nothing_changes(
    platform: Platform, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    platform.migrate("consent")

    with pytest.raises(ClusterError, match="of consent can't be taken back"):
        migrations.downgrade(layout, "consent", "base")

    migrations.show(layout, "consent")
    assert "(head) (current)" in capsys.readouterr().out


def test_unknown_schema_is_answered_with_the_known_ones(layout: Layout) -> None:
    with pytest.raises(ClusterError, match="identity, consent, storage, keyring"):
        migrations.show(layout, "photos")


def test_new_migrations_can_be_taken_back() -> None:
    for template in Layout.of().checkout.glob("services/*/**/script.py.mako"):
        assert "def downgrade()" in template.read_text(), template
