"""The pytest plugin of the project: marks by folder, a clock, and the watch over written events."""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from contracts.catalogue import by_type, types_of
from contracts.topology import SERVICES
from support.clock import FrozenClock
from support.events import EventRecorder

LAYERS = ("unit", "contract", "integration", "e2e", "chaos", "architecture")
PRODUCED = "produced_events"
PRODUCED_KEY = "project/produced_events"
ON_THE_CLUSTER = ("tests/e2e/", "tests/chaos/")
# What takes longest begins first, and what takes a moment fills the gaps at the end.
BEGIN_WITH = ("tests/e2e/", "tests/chaos/", "tools/", "infra/", "services/consent/", "services/", "libs/")
BEFORE = ("integration", "contract", "architecture", "unit")
_recorder = pytest.StashKey[EventRecorder]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that a run of the whole suite sets."""
    parser.addoption(
        "--require-all-events",
        action="store_true",
        help="fail when a declared event was produced by no test of this run",
    )
    parser.addoption(
        "--generated-cases",
        type=int,
        default=6,
        help="how many random requests tests send to each operation of an API; 6 keep them short",
    )
    parser.addoption(
        "--generated-seed",
        type=int,
        default=20_261_125,
        help="begins the random requests to APIs; another one sends others",
    )
    parser.addoption(
        "--update-openapi",
        action="store_true",
        help="write the OpenAPI snapshots instead of comparing with them",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Start watching the outbox; how long a generated example takes is the machine's matter."""
    settings.register_profile("project", deadline=None)
    settings.load_profile("project")
    recorder = EventRecorder()
    recorder.install()
    if (cache := _cache_of(config)) and config.getoption("--last-failed"):
        # Those tests complete an earlier run, whose events count as well.
        recorder.produced |= set(cache.get(PRODUCED_KEY, []))
    config.stash[_recorder] = recorder


def _cache_of(config: pytest.Config) -> pytest.Cache | None:
    """Return pytest's cache; a run without that plugin has neither the cache nor its options."""
    return getattr(config, "cache", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop watching the outbox."""
    config.stash[_recorder].remove()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the folder that it stands in."""
    for item in items:
        # Below the checkout only: that itself may stand in a folder of one of these names.
        folders = item.path.relative_to(item.config.rootpath).parts
        for layer in LAYERS:
            if layer in folders:
                item.add_marker(getattr(pytest.mark, layer))
    if items and hasattr(items[0].config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, int]:
    """Return when the test is handed out to one of several processes: the layer counts, then the folder."""
    layer = next((turn for turn, name in enumerate(BEFORE) if item.get_closest_marker(name)), -1)
    folder = next((turn for turn, name in enumerate(BEGIN_WITH) if item.nodeid.startswith(name)), 0)
    return layer, folder


def pytest_collection_finish() -> None:
    """Begin the run with nothing to look through, and look through each file's rest only when it is done."""
    gc.disable()
    _set_aside()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Clear up after each file."""
    if nextitem is None or nextitem.path != item.path:
        _set_aside()


def _set_aside() -> None:
    # The garbage collector would look through every collected test and every application again and again, for
    # seconds at a time, in which the services under test answer nothing and miss their deadlines.
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Name the declared events that no test produced."""
    del exitstatus
    missing = _missing_events(config)
    if missing:
        terminalreporter.section("declared events that no test produced")
        for event_type in missing:
            terminalreporter.line(
                f"{event_type}: write an integration test that makes its service publish it"
            )


class SchedulingByServers(LoadFileScheduling):  # type: ignore[misc]
    """Gives a worker whole files, and one of them all tests on a cluster: each starts servers of its own."""

    def _split_scope(self, nodeid: str) -> str:
        return "cluster" if nodeid.startswith(ON_THE_CLUSTER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SchedulingByServers:
    """Say which tests run in which process of `-n`, in the order in which they were collected."""
    config.option.loadscopereorder = False
    return SchedulingByServers(config, log)


def pytest_testnodedown(node: Any) -> None:
    """Take over which events a worker's tests produced; one that was killed has told nothing."""
    told = getattr(node, "workeroutput", {})
    node.config.stash[_recorder].produced |= set(told.get(PRODUCED, ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail an otherwise green run of the whole suite when a declared event was produced by no test."""
    workeroutput = getattr(session.config, "workeroutput", None)
    if workeroutput is not None:
        workeroutput[PRODUCED] = sorted(session.config.stash[_recorder].produced)
        return
    if cache := _cache_of(session.config):
        cache.set(PRODUCED_KEY, sorted(session.config.stash[_recorder].produced))
    if exitstatus == pytest.ExitCode.OK and _missing_events(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def demanded_events() -> set[str]:
    """Return the types of the events that the tests of a whole run must have produced."""
    return {
        event_type
        for service in SERVICES
        for event_type in types_of(service)
        if not by_type(event_type).deprecated
    }


def _missing_events(config: pytest.Config) -> list[str]:
    if not config.getoption("--require-all-events"):
        return []
    return sorted(demanded_events() - config.stash[_recorder].produced)


@pytest.fixture
def clock() -> FrozenClock:
    """Return a clock that moves only when the test says so."""
    return FrozenClock()


@pytest.fixture
def assert_openapi_snapshot(request: pytest.FixtureRequest) -> Callable[[FastAPI, Path], None]:
    """Return a function that holds an application's OpenAPI document against a committed snapshot."""

    def compare(app: FastAPI, snapshot: Path) -> None:
        document = json.dumps(app.openapi(), indent=2, sort_keys=True) + "\n"
        if request.config.getoption("--update-openapi"):
            snapshot.write_text(document)
        assert snapshot.exists() and snapshot.read_text() == document, (  # noqa: PT018
            f"the API differs from {snapshot.name}: run `make openapi` and read the difference"
        )

    return compare
