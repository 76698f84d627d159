"""Where one cluster keeps its files."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import ClusterError

# sockaddr_un holds 104 bytes on macOS and 108 on Linux, and the servers append names of their own.
LONGEST_SOCKET_DIRECTORY = 75


@dataclass(frozen=True)
class Layout:
    """The directories of one cluster; `home` holds `.env`, `var` everything that `reset` deletes."""

    checkout: Path
    home: Path
    var: Path

    @classmethod
    def of(cls, directory: Path | None = None) -> "Layout":
        """Return the cluster of this checkout, or a separate one that lives in `directory`."""
        checkout = Path(__file__).resolve().parents[3]
        home = checkout if directory is None else directory.resolve()
        elsewhere = os.environ.get("IRISVUE_VAR") if directory is None else None
        return cls(checkout, home, Path(elsewhere).resolve() if elsewhere else home / "var")

    @property
    def env_file(self) -> Path:
        """The variables of this cluster, with its secrets."""
        return self.home / ".env"

    @property
    def state_file(self) -> Path:
        """What is up: see cluster.state."""
        return self.var / "cluster.json"

    @property
    def logs(self) -> Path:
        """One file per process in native mode."""
        return self.var / "log"

    @property
    def tag(self) -> str:
        """Ten characters that tell this cluster from others on the machine."""
        return hashlib.sha256(str(self.var).encode()).hexdigest()[:10]

    @property
    def sockets(self) -> Path:
        """A directory whose path is short enough for unix sockets."""
        inside = self.var / "run"
        if len(str(inside)) <= LONGEST_SOCKET_DIRECTORY:
            return inside
        return Path(tempfile.gettempdir()) / f"irisvue-{os.getuid()}-{self.tag}"

    def make_directories(self) -> None:
        """Create what is missing; the socket directory is readable by its owner only."""
        for directory in (self.home, self.var, self.logs):
            directory.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(parents=True, exist_ok=True)
        if self.sockets.stat().st_uid != os.getuid():
            raise ClusterError(f"{self.sockets} belongs to another user. Remove it, or set TMPDIR.")
        self.sockets.chmod(0o711)
