"""Command line: `python -m new_service NAME`, or `make new-service NAME=rendering`."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from new_service.writing import Unwritable, write

GENERATORS = (
    ("ruff", "check", "--fix", "--quiet", "--select", "I"),
    ("ruff", "format", "--quiet"),
    ("service_settings",),
    ("event_schemas", "schemas"),
    ("event_schemas", "docs"),
    ("api_description",),
    ("data_map_page",),
)
"""What derives the rest from the lists and the new folder."""


def main() -> int:
    """Write the service into the project of the working directory; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m new_service", description=__doc__)
    parser.add_argument("name", help="lower-case letters, as `rendering`")
    name = parser.parse_args().name
    root = Path.cwd()
    try:
        write(root, name)
    except Unwritable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    # The new package is linked into the environment later; until then it is found by its place.
    found = os.pathsep.join([str(root / "services" / name / "src"), *sys.path])
    for generator in GENERATORS:
        subprocess.run(["env", f"PYTHONPATH={found}", sys.executable, "-m", *generator], check=True)
    print(f"services/{name} works; its README says what to replace. `make check` and `make test` hold it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
