"""Pins the images of Docker mode to digests, so that a start tomorrow runs what was tried today."""

import json
import subprocess

from cluster import compose_file, env_file
from cluster.errors import ClusterError
from cluster.layout import Layout

DIGEST = "@sha256:"


def pin(layout: Layout) -> dict[str, str]:
    """Pull every tag, write its digest into `.env` and return what was written.

    Without a registry that answers, or with images that were built here and have no digest, it is a
    ClusterError and `.env` stays as it is.
    """
    tags = compose_file.defaults_of(layout.checkout / "compose.yaml", suffix="_IMAGE")
    pinned = {name: _digest_of(tag) for name, tag in tags.items()}
    env_file.replace(layout.env_file, pinned)
    return pinned


def _digest_of(tag: str) -> str:
    pulled = subprocess.run(["docker", "pull", "--quiet", tag], capture_output=True, text=True, check=False)
    if pulled.returncode != 0:
        raise ClusterError(f"{tag} can't be pulled, so nothing was pinned: {pulled.stderr.strip()}")
    inspect = ["docker", "image", "inspect", tag]
    (image,) = json.loads(subprocess.run(inspect, capture_output=True, check=True).stdout)
    repository = tag.partition(":")[0]
    for digest in image["RepoDigests"]:
        if digest.startswith(repository + DIGEST):
            return f"{tag}{DIGEST}{digest.partition(DIGEST)[2]}"
    raise ClusterError(f"{tag} was built on this machine and has no digest, so nothing was pinned.")
