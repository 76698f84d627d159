"""Command line: `python -m service_settings` writes both files anew."""

from pathlib import Path

from service_settings import compose, example

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Replace the generated parts; a second run changes nothing."""
    for name, rewritten in ((".env.example", example.rewritten), ("compose.yaml", compose.rewritten)):
        path = ROOT / name
        path.write_text(rewritten(path.read_text()))


if __name__ == "__main__":
    main()
