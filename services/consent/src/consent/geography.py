"""Where a network address is, as far as a database on this machine knows; no address leaves the process."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import maxminddb
import structlog

from consent.jurisdictions import Place, read_place
from consent.rulebook import Rulebook

log = structlog.get_logger(__name__)


class Geography:
    """Reads a MaxMind-format database; a replaced file takes effect at the next question."""

    def __init__(self, path: Path | None, rulebook: Rulebook) -> None:
        self._path = path
        self._rulebook = rulebook
        self._reader: maxminddb.Reader | None = None
        self._version: tuple[int, int] | None = None
        if path is not None:
            # A path that can't be read is a mistake to be seen at the start, not at the first question.
            self._open(path)

    def locate(self, address: str | None) -> Place | None:
        """Return the place of an address, or None when nothing is known of it."""
        if self._path is None or address is None:
            return None
        self._reopen_when_replaced(self._path)
        try:
            record = self._reader.get(ip_address(address)) if self._reader is not None else None
        except ValueError:
            # Not an address, or of the other IP version than the database.
            return None
        return self._place_in(record) if isinstance(record, dict) else None

    def close(self) -> None:
        """Release the file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self, path: Path) -> None:
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
        self.close()
        self._reader, self._version = reader, _version_of(path)

    def _reopen_when_replaced(self, path: Path) -> None:
        try:
            if _version_of(path) != self._version:
                self._open(path)
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            # Half a file, or none for a moment: the old database goes on answering.
            log.warning("geoip_database_not_reopened", error=type(error).__name__)

    def _place_in(self, record: dict[str, Any]) -> Place | None:
        country, region = _codes_in(record)
        if not country:
            return None
        place = read_place(self._rulebook, country, region)
        # Some files spell regions out.
        named = self._rulebook.region_names.get(place.country or "", {}).get(region or "")
        return Place(place.country, named) if named else place


def _version_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _codes_in(record: dict[str, Any]) -> tuple[str | None, str | None]:
    # MaxMind nests ({"country": {"iso_code": …}}), DB-IP's lighter files are flat and spell regions out.
    country, regions = record.get("country"), record.get("subdivisions")
    if isinstance(country, dict):
        first = regions[0] if isinstance(regions, list) and regions and isinstance(regions[0], dict) else {}
        return _text(country.get("iso_code")), _text(first.get("iso_code"))
    return _text(record.get("country_code")), _text(record.get("state1"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
