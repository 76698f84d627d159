"""A person's copy of their data, read as a stranger reads it: with nothing but the archive."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Copy:
    """The files of an archive, by name."""

    files: Mapping[str, bytes]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Open the bytes of a ZIP archive."""
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return cls({name: archive.read(name) for name in archive.namelist()})

    @property
    def names(self) -> list[str]:
        """The names of the files, in the order of the archive."""
        return list(self.files)

    @property
    def account(self) -> str:
        """What identity has written, as text."""
        return self.files["data/identity.json"].decode()

    def is_whole(self) -> bool:
        """Tell whether the manifest names every file, and each is what it says."""
        listed = {file["path"]: file for file in json.loads(self.files[MANIFEST])["files"]}
        return listed.keys() | {MANIFEST} == self.files.keys() and all(
            (len(self.files[name]), hashlib.sha256(self.files[name]).hexdigest())
            == (file["bytes"], file["sha256"])
            for name, file in listed.items()
        )

    def has_photos(self, photo_ids: Iterable[str]) -> bool:
        """Tell whether these photos are among the files."""
        return all(any(name.startswith(f"photos/{it}.") for name in self.files) for it in photo_ids)

    def records(self, service: str) -> dict[str, list[dict[str, Any]]]:
        """Return what a service has written, by kind."""
        document = json.loads(self.files[f"data/{service}.json"])
        return {holding["kind"]: holding["records"] for holding in document["holdings"]}

    def contents(self) -> list[tuple[str, str, str]]:
        """List how many records of each kind there are, of those of which there are any."""
        services = [name[5:-5] for name in self.files if name.startswith("data/")]
        return [
            (service, kind, str(len(records)))
            for service in services
            for kind, records in self.records(service).items()
            if records
        ]
