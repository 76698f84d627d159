"""Command line: `python -m api_description` writes the gateway's openapi.json."""

from api_description import FILE, described

if __name__ == "__main__":
    FILE.write_text(described())
