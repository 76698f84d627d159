"""Archives: sealed for one key, known by their digests, and deleted in time."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster import archives, env_file
from cluster.errors import ClusterError

NOW = datetime(2027, 1, 31, 3, 17, tzinfo=UTC)
CANARY = b"ada@example.org"


@pytest.fixture
def key() -> tuple[str, str]:
    return archives.new_identity()


@pytest.fixture
def backup(tmp_path: Path, key: tuple[str, str]) -> Path:
    place = tmp_path / "backup"
    place.mkdir()
    sealer = archives.Sealer(key[1])
    made = {
        name: sealer.seal(io.BytesIO(CANARY * 1000), place / f"{name}.dump.age")
        for name in ("identity", "consent")
    }
    archives.write_manifest(place, NOW, made)
    return place


def test_archive_opens_with_its_key_and_shows_nothing_without(backup: Path, key: tuple[str, str]) -> None:
    place = archives.verified(backup)["identity"]
    assert CANARY not in place.read_bytes()
    assert place.stat().st_mode & 0o077 == 0
    plain = io.BytesIO()
    archives.opened(place, key[0], plain)
    assert plain.getvalue() == CANARY * 1000
    with pytest.raises(ClusterError, match="can't be opened"):
        archives.opened(place, archives.new_identity()[0], io.BytesIO())


@pytest.mark.parametrize("position", [0, 100, -1])
def test_one_changed_byte_is_found(backup: Path, position: int) -> None:
    archive = backup / "consent.dump.age"
    body = bytearray(archive.read_bytes())
    body[position] ^= 1
    archive.write_bytes(body)
    with pytest.raises(ClusterError, match="was changed"):
        archives.verified(backup)


@pytest.mark.parametrize("what", ["missing", "added", "no manifest", "other manifest"])
def test_backup_that_is_not_whole_is_refused(backup: Path, what: str) -> None:
    match what:
        case "missing":
            (backup / "consent.dump.age").unlink()
        case "added":
            (backup / "storage.dump.age").write_bytes(b"")
        case "no manifest":
            (backup / archives.MANIFEST).unlink()
        case _:
            (backup / archives.MANIFEST).write_text("{}")
    with pytest.raises(ClusterError):
        archives.verified(backup)


def test_only_what_is_too_old_is_deleted(tmp_path: Path) -> None:
    for days in (0, 6, 7, 8, 30):
        (tmp_path / (NOW - timedelta(days=days)).strftime(archives.STAMP)).mkdir()
    (tmp_path / "notes").mkdir()
    gone = archives.prune(tmp_path, now=NOW, days=7)
    assert [place.name for place in gone] == ["20270101T031700Z", "20270123T031700Z"]
    assert len(list(tmp_path.iterdir())) == 4


def test_private_key_goes_into_its_file_alone(tmp_path: Path) -> None:
    env, file = tmp_path / ".env", tmp_path / "backup.key"
    env.write_text("A=1\nBACKUP_RECIPIENT=\n")
    archives.write_identity(file, env)
    secret = archives.identity_in(file)
    assert file.stat().st_mode & 0o077 == 0
    assert secret not in env.read_text()
    recipient = env_file.read(env)["BACKUP_RECIPIENT"]
    assert recipient.startswith("age1")
    with pytest.raises(ClusterError, match="never written over"):
        archives.write_identity(file, env)
    with pytest.raises(ClusterError, match="no private key"):
        archives.identity_in(env)
    with pytest.raises(ClusterError, match="no age public key"):
        archives.Sealer("age1nobody")
