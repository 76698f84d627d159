from pathlib import Path

import pytest

from cluster import engine, state
from cluster.cli import main
from cluster.layout import LONGEST_SOCKET_DIRECTORY, Layout


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "why_not", lambda: "no Docker engine answers `docker info`")


def cluster(directory: Path, *arguments: str) -> int:
    return main(["--directory", str(directory), *arguments])


def test_unknown_mode_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster(tmp_path, "up", "--mode", "kubernetes") == 1

    assert "MODE=kubernetes is neither native nor compose" in capsys.readouterr().err


@pytest.mark.usefixtures("no_engine")
def test_docker_mode_without_engine_names_the_other_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cluster(tmp_path, "up", "--mode", "compose") == 1

    message = capsys.readouterr().err
    assert "no Docker engine answers" in message
    assert "MODE=native make up" in message


def test_cluster_that_is_up_is_not_started_in_the_other_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = Layout.of(tmp_path)
    layout.make_directories()
    state.remember(layout, "compose")

    assert cluster(tmp_path, "up", "--mode", "native") == 1

    assert "make down" in capsys.readouterr().err


def test_two_commands_at_once_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with state.only_one(Layout.of(tmp_path)):
        assert cluster(tmp_path, "up") == 1

    assert "Another command" in capsys.readouterr().err


def test_half_written_state_counts_as_down(tmp_path: Path) -> None:
    layout = Layout.of(tmp_path)
    layout.make_directories()
    layout.state_file.write_text('{"mode": "nat')

    assert state.mode_that_is_up(layout) is None


def test_down_before_the_first_up_is_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster(tmp_path, "down") == 0

    assert "never started" in capsys.readouterr().out


def test_status_of_a_cluster_that_is_down_fails_and_says_how_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cluster(tmp_path, "status") == 1

    assert "make up" in capsys.readouterr().out


def test_reset_without_anybody_to_ask_deletes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster(tmp_path, "env")
    kept = tmp_path / "var" / "kept"
    kept.parent.mkdir()
    kept.touch()

    assert cluster(tmp_path, "reset") == 1

    assert kept.exists()
    assert "CONFIRM=yes" in capsys.readouterr().err


@pytest.mark.usefixtures("no_engine")
def test_unknown_log_lists_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster(tmp_path, "env")

    assert cluster(tmp_path, "logs", "identify") == 1

    assert "identity-api" in capsys.readouterr().err


def test_file_of_another_user_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/some/where/.env")

    monkeypatch.setattr(Path, "exists", refuse)

    assert cluster(tmp_path, "env") == 1

    message = capsys.readouterr().err
    assert "/some/where/.env" in message
    assert "chown" in message


def test_sockets_of_a_deep_checkout_move_to_a_short_place(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    layout = Layout.of(deep)

    assert len(str(layout.sockets)) <= LONGEST_SOCKET_DIRECTORY
    assert layout.sockets != Layout.of(tmp_path / ("e" * 90)).sockets


def test_private_directory_elsewhere_holds_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRISVUE_VAR", str(tmp_path / "data"))

    assert Layout.of().var == tmp_path / "data"
    assert Layout.of(tmp_path).var == tmp_path / "var"
