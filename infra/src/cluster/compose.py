"""Starts and stops the whole cluster as containers."""

from collections.abc import Mapping

from cluster.layout import Layout
from cluster.progress import Progress


class ComposeCluster:
    """One cluster of containers."""

    def __init__(self, layout: Layout, values: Mapping[str, str], progress: Progress) -> None:
        self._layout = layout
        self._values = values
        self._progress = progress
