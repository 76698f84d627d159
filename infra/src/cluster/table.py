"""Plain tables for the terminal."""

from collections.abc import Sequence


def render(rows: Sequence[Sequence[str]], *, headings: Sequence[str] = ()) -> str:
    """Return rows as aligned columns, under headings when there are some."""
    lines = [list(headings), *map(list, rows)] if headings else [list(row) for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
