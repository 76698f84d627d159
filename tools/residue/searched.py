"""What was looked at, and what was found there."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from residue.canaries import FOLDER, PHOTO, SESSION, Canaries

# What the data map says of these places: an upload that was cut off may still reach the store after the
# erasure, so storage looks into the folder again, up to a day later, and then forgets its name; and the
# tokens of an ended session are refused until the last of them has expired.
_DECLARED = {
    "irisvue.storage.destructions": {FOLDER},
    "irisvue.identity.session_revocations": {SESSION},
}
# The store's own log names what it has emptied.
_LOG_OF_THE_STORE = {FOLDER, PHOTO}


@dataclass
class Searched:
    """One table, bucket, database of Redis, queue, log or mailbox.

    `looked_at` counts rows, objects, keys, messages, lines or mails, `found` those of them that bear a trace,
    and `kept` those that bear one which the data map declares to stay there.
    """

    kind: str
    name: str
    looked_at: int = 0
    size: int = 0
    found: int = 0
    kept: int = 0
    passing: bool = False
    """Whether whatever stands here goes by itself soon, as the data map says of the place."""
    labels: set[str] = field(default_factory=set)

    def look_at(self, canaries: Canaries, *data: bytes) -> None:
        """Look at one row, object, key, message, line or mail, which may consist of several pieces."""
        self.looked_at += 1
        self.size += sum(map(len, data))
        self._note(frozenset().union(*map(canaries.labels_in, data)))

    def look_at_lines(self, canaries: Canaries, text: bytes) -> None:
        """Look at each line of a text; all of it at once where nothing is in it."""
        lines = text.splitlines()
        self.looked_at += len(lines)
        self.size += len(text)
        if canaries.labels_in(text):
            for line in lines:
                self._note(canaries.labels_in(line))

    def _note(self, labels: Iterable[str]) -> None:
        present = set(labels)
        if not present:
            return
        if self.passing or present <= self._declared:
            self.kept += 1
            return
        self.found += 1
        self.labels |= present

    @property
    def _declared(self) -> set[str]:
        """What the data map declares to stay here."""
        if self.kind == "log" and "s3" in self.name.replace(".", "/").split("/"):
            return _LOG_OF_THE_STORE
        return _DECLARED.get(self.name, set())
