"""`make restore-drill`: plays the drill on a cluster of its own, and prints a table; 0 when all holds."""

import asyncio
import sys
import tempfile
from pathlib import Path

from cluster import archives, table
from restore_drill.drill import Drill
from support.separate import separate_cluster


def main() -> int:
    """Return 0 when nothing came back and nothing else was lost."""
    with tempfile.TemporaryDirectory() as safe:
        key = Path(safe) / "backup.key"
        secret, public = archives.new_identity()
        key.write_text(f"{secret}\n")
        with separate_cluster(BACKUP_RECIPIENT=public) as cluster:
            rows = asyncio.run(Drill(cluster, key).play())
    print("\n" + table.render([row.cells for row in rows], headings=("step", "wanted", "seen", "")))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
