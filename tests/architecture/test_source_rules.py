"""Rules of the source that imports can't show; each rule is also tried on code that breaks it."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

from cluster.members import SERVICES

ROOT = Path(__file__).resolve().parents[2]
IMPORT_NAMES = (
    "contracts",
    "chassis",
    *SERVICES,
    "cluster",
    "native",
    "api_description",
    "event_schemas",
    "service_settings",
    "data_map_page",
    "residue",
    "prove_erasure",
    "new_service",
    "restore_drill",
)
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
VAGUE = re.compile(r"(Manager|Helper|Util)s?$|^(manager|helper|util|common|misc)s?$")


@dataclass(frozen=True)
class Source:
    """One file of source; `module` is its dotted name."""

    module: str
    text: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))


Rule = Callable[[Source], list[str]]


def sources() -> Iterator[Source]:
    files = [
        (folder, file)
        for pattern in ("libs/*/src", "services/*/src", "infra/src", "tools")
        for folder in ROOT.glob(pattern)
        for file in sorted(folder.rglob("*.py"))
        if "tests" not in file.relative_to(folder).parts
    ]
    for folder, file in files:
        yield Source(".".join(file.relative_to(folder).with_suffix("").parts), file.read_text())


def only_the_chassis_commits(source: Source) -> list[str]:
    if source.module.startswith("chassis."):
        return []
    return [f"line {call.lineno} commits" for call in _method_calls(source, "commit")]


def only_the_relay_publishes_to_the_broker(source: Source) -> list[str]:
    if source.module in {"chassis.broker", "chassis.relay"}:
        return []
    return [
        f"line {call.lineno} publishes past the outbox"
        for name in ("publish", "basic_publish", "publish_batch", "request")
        for call in _method_calls(source, name)
        if name != "request" or _receiver(call) in {"broker", "publisher"}
        if _receiver(call) != "uow"
    ]


def only_settings_read_the_environment(source: Source) -> list[str]:
    if source.module.startswith(("cluster.", "native.")) or source.module.rsplit(".", 1)[-1] == "settings":
        return []
    found = []
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv"}:
            found.append(f"line {node.lineno} reads os.{node.attr}")
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            found += [
                f"line {node.lineno} imports os.{alias.name}" for alias in node.names if "env" in alias.name
            ]
    return found


def files_and_functions_stay_short(source: Source) -> list[str]:
    lines = source.text.count("\n")
    found = [f"has {lines} lines"] if lines > LONGEST_FILE else []
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                found.append(f"{node.name} has {length} lines")
    return found


def names_say_what_things_are(source: Source) -> list[str]:
    names = [*source.module.split(".")]
    names += [node.name for node in source.nodes if isinstance(node, ast.ClassDef)]
    return [f"{name} says nothing" for name in names if VAGUE.search(name)]


def errors_are_caught_by_name(source: Source) -> list[str]:
    return [
        f"line {node.lineno} catches everything"
        for node in source.nodes
        if isinstance(node, ast.ExceptHandler)
        if node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "BaseException")
    ]


RULES: tuple[Rule, ...] = (
    only_the_chassis_commits,
    only_the_relay_publishes_to_the_broker,
    only_settings_read_the_environment,
    files_and_functions_stay_short,
    names_say_what_things_are,
    errors_are_caught_by_name,
)

BREAKING_CODE: tuple[tuple[Rule, str], ...] = (
    (only_the_chassis_commits, "async def save(session):\n    await session.commit()\n"),
    (only_the_chassis_commits, "def save(self):\n    self._session.commit()\n"),
    (only_the_relay_publishes_to_the_broker, "async def tell(self):\n    await self._broker.publish(b'')\n"),
    (only_the_relay_publishes_to_the_broker, "channel.basic_publish(b'')\n"),
    (only_the_relay_publishes_to_the_broker, "broker.request(b'')\n"),
    (only_settings_read_the_environment, "import os\nport = os.environ['PORT']\n"),
    (only_settings_read_the_environment, "import os\nport = os.getenv('PORT')\n"),
    (only_settings_read_the_environment, "from os import environ\n"),
    (files_and_functions_stay_short, "x = 1\n" * (LONGEST_FILE + 1)),
    (files_and_functions_stay_short, "def long():\n" + "    x = 1\n" * LONGEST_FUNCTION),
    (files_and_functions_stay_short, "async def long():\n" + "    x = 1\n" * LONGEST_FUNCTION),
    (names_say_what_things_are, "class SessionManager:\n    pass\n"),
    (names_say_what_things_are, "class Outer:\n    class StringUtils:\n        pass\n"),
    (errors_are_caught_by_name, "try:\n    x = 1\nexcept:\n    pass\n"),
    (errors_are_caught_by_name, "try:\n    x = 1\nexcept BaseException:\n    pass\n"),
)


@cache
def complaints() -> dict[Rule, list[str]]:
    """Hold each file against every rule while it is read, and keep none of them."""
    found: dict[Rule, list[str]] = {rule: [] for rule in RULES}
    for source in sources():
        for rule, broken in found.items():
            broken += [f"{source.module}: {complaint}" for complaint in rule(source)]
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_is_kept_everywhere(rule: Rule) -> None:
    broken = complaints()[rule]

    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(("rule", "text"), BREAKING_CODE, ids=lambda part: getattr(part, "__name__", None))
def test_rule_finds_code_that_breaks_it(rule: Rule, text: str) -> None:
    assert rule(Source("storage.use_cases.example", text))


def test_every_rule_is_tried_on_code_that_breaks_it() -> None:
    assert {rule for rule, _ in BREAKING_CODE} == set(RULES)


def test_publishing_through_the_unit_of_work_is_fine() -> None:
    assert not only_the_relay_publishes_to_the_broker(Source("consent.api", "uow.publish(event)\n"))


def test_vague_module_names_are_found() -> None:
    assert names_say_what_things_are(Source("storage.utils", ""))
    assert not names_say_what_things_are(Source("storage.utilization_report", ""))


def test_source_of_every_member_is_read() -> None:
    assert {source.module.split(".")[0] for source in sources()} == set(IMPORT_NAMES)


distributions = cache(packages_distributions)


@pytest.mark.parametrize("name", IMPORT_NAMES)
def test_no_installed_distribution_shadows_an_import_name(name: str) -> None:
    spec = find_spec(name)

    # An editable installation lists no package names: then nobody else may list this one either.
    assert set(distributions().get(name, [])) <= {f"irisvue-{name}"}
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).is_relative_to(ROOT)


def _method_calls(source: Source, name: str) -> Iterator[ast.Call]:
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
            yield node


def _receiver(call: ast.Call) -> str:
    """Return the name before the method, without leading underscores: `self._broker.publish` → broker."""
    value = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    if isinstance(value, ast.Attribute):
        return value.attr.lstrip("_")
    return value.id if isinstance(value, ast.Name) else ""
