"""Command line: `python -m data_map_page` writes docs/data-map.md and docs/data-map.json."""

from data_map_page import FOLDER, whole, written

if __name__ == "__main__":
    for name, text in written(whole()).items():
        (FOLDER / name).write_text(text)
