"""The schemas as an earlier git revision promised them; one deleted and frozen anew can't hide there."""

import json
import subprocess
from pathlib import Path

from event_schemas.frozen import Schema


def schemas_at(revision: str, library: Path) -> dict[str, Schema]:
    """Read the frozen schemas of a revision by type; raises LookupError with what git has to say."""
    names = _git(library, "ls-tree", "--name-only", revision, "schemas/").split()
    return {Path(name).stem: json.loads(_git(library, "show", f"{revision}:./{name}")) for name in names}


def _git(library: Path, *words: str) -> str:
    command = ["git", *words]
    done = subprocess.run(command, cwd=library, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LookupError(done.stderr.strip())
    return done.stdout
