"""What the user is told when the cluster can't do what was asked."""


class ClusterError(Exception):
    """Says what is wrong and what fixes it; shown without a traceback."""
