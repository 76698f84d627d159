"""What the store is told as a process is what it is told in its container."""

from pathlib import Path

from cluster import env_file
from native.environment import described
from native.servers import servers_of


def test_store_has_as_much_memory_as_in_its_container(tmp_path: Path) -> None:
    env_file.ensure(tmp_path / ".env")
    values = env_file.load(tmp_path / ".env")

    (store,) = servers_of(values, tmp_path, tmp_path, tag="one").s3.programs()

    assert store.environment["GOMEMLIMIT"] == described(values, "s3")["environment"]["GOMEMLIMIT"]
