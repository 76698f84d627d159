"""What supervisord is told; it has its own rules for quotes and percent signs."""

import stat
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from cluster.errors import ClusterError
from cluster.layout import Layout
from native import supervisor
from native.programs import Program


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(supervisor.Supervisor, "is_running", lambda _: False)
    monkeypatch.setattr(supervisor.Supervisor, "_start", lambda _: None)
    layout = Layout.of(tmp_path / "half of it")
    layout.make_directories()
    return layout


def as_supervisord_reads_it(layout: Layout) -> ServerOptions:
    options = ServerOptions()
    options.realize(["-c", str(layout.var / "supervisord.conf")], doc="supervisord")
    return options


def test_program_arrives_as_it_was_meant(layout: Layout) -> None:
    program = Program(
        name="store",
        command=("/opt/my store/bin", "-dir=100%", "-say=a b"),
        directory=layout.var,
        environment={"ARGUMENTS": "-kernel inet_dist_use_interface {127,0,0,1}", "SHARE": "5%", "EMPTY": ""},
        stop_signal="INT",
        stop_seconds=7,
        stop_as_group=False,
    )

    supervisor.Supervisor(layout).load([program])

    (group,) = as_supervisord_reads_it(layout).process_group_configs
    (read,) = group.process_configs
    assert read.name == "store"
    assert read.command == "'/opt/my store/bin' -dir=100% '-say=a b'"
    assert read.directory == str(layout.var)
    assert read.environment == program.environment
    assert (read.stopsignal.name, read.stopwaitsecs, read.stopasgroup) == ("SIGINT", 7, False)
    assert read.autostart is False


def test_configuration_is_for_its_owner_only(layout: Layout) -> None:
    supervisor.Supervisor(layout).load([])

    assert stat.S_IMODE((layout.var / "supervisord.conf").stat().st_mode) == 0o600


def test_place_that_supervisord_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="rename"):
        supervisor.Supervisor(Layout.of(tmp_path / "50% of it")).load([])


@pytest.mark.parametrize("value", ['say "a"', "it's", "a\\b", "a\nb"])
def test_value_that_supervisord_would_change_is_refused(layout: Layout, value: str) -> None:
    program = Program("store", ("weed",), layout.var, {"TEXT": value})

    with pytest.raises(ClusterError, match="store"):
        supervisor.Supervisor(layout).load([program])
