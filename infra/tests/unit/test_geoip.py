from pathlib import Path

import pytest

from cluster import env_file, geoip
from cluster.errors import ClusterError
from cluster.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    env_file.ensure(tmp_path / ".env")
    return Layout(tmp_path, tmp_path, tmp_path / "var")


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_file_that_is_no_database_is_refused_and_env_stays(layout: Layout, content: bytes | None) -> None:
    file = layout.home / "places.mmdb"
    if content is not None:
        file.write_bytes(content)
    before = layout.env_file.read_text()

    with pytest.raises(ClusterError, match="can't be read as a MaxMind database"):
        geoip.use(layout, file)

    assert layout.env_file.read_text() == before
