"""The registry is the one place that names services: whoever adds one adds an entry there, and a folder."""

import ast
from pathlib import Path

import yaml

from chassis import process
from cluster import members
from contracts import topology
from native import services as native_services
from native import supervisor

SOURCES = Path(members.__file__).parent
ROOT = SOURCES.parents[2]


def named_in(text: str) -> set[str]:
    """Services and schemas that a source spells out."""
    spelled = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
    return {name for name in (*members.SERVICES, *members.SCHEMAS) if name in spelled}


def test_no_source_but_the_registry_names_a_service() -> None:
    folders = (SOURCES, ROOT / "tools" / "native", ROOT / "tools" / "service_settings")
    files = [file for folder in folders for file in folder.rglob("*.py")]
    named = {file.name: found for file in files if (found := named_in(file.read_text()))}
    # The database of the keyring is called like the schema that lies in it.
    assert named == {"environment.py": {"keyring"}, "postgres.py": {"keyring"}}


def test_name_that_is_spelled_out_is_found() -> None:
    assert named_in('if service == "storage":\n    pass') == {"storage"}


def test_every_service_has_a_folder_and_a_place_in_the_topology() -> None:
    assert {file.parent.name for file in ROOT.glob("services/*/pyproject.toml")} == set(members.SERVICES)
    assert topology.SERVICES == topology.erasure_participants() == members.DATABASE_SERVICES


def test_containers_of_our_services_are_those_of_the_registry() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    kinds = ("api", "worker", "migrate")
    expected = {f"{name}-{kind}" for name in members.DATABASE_SERVICES for kind in kinds}
    ours = {name for name in services if name.partition("-")[0] in members.SERVICES}
    assert ours == expected | set(members.DOORS)


def test_whoever_stops_a_process_waits_longer_than_it_takes() -> None:
    assert process.STOP_SECONDS < native_services.STOP_SECONDS < supervisor.STOP_SECONDS
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    waits = {float(service["stop_grace_period"].removesuffix("s")) for service in services.values()}
    assert min(waits) > process.STOP_SECONDS
