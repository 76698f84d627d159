"""Every query about bundles of evidence."""

from chassis.repository import Repository
from identity.models import EvidenceBundle


class EvidenceBundles(Repository):
    """What was written for whom."""

    def add(self, bundle: EvidenceBundle) -> None:
        """Note a bundle."""
        self._session.add(bundle)
