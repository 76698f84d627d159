"""No two services say the same in six lines: what they share is in the libraries, or in tests/support."""

import re
from collections import defaultdict
from pathlib import Path

SERVICES = Path(__file__).parents[2] / "services"
LINES = 6
# Lines that say nothing by themselves.
THIN = re.compile(r"\W*|from .*|import .*|#.*|.*\bpytest\.fixture\b.*")
# Migrations are not changed once they have run, and a schema tells its own history.
LEFT_OUT = {"migrations"}


def runs_of(text: str) -> set[tuple[str, ...]]:
    """Return every run of six lines of a text, spaces aside."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    telling = [line for line in lines if not THIN.fullmatch(line)]
    return {tuple(telling[start : start + LINES]) for start in range(len(telling) - LINES + 1)}


def repeats(texts: dict[tuple[str, str], str]) -> set[tuple[str, ...]]:
    """Return the runs that stand in the files of two services or more."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for (service, _), text in texts.items():
        for run in runs_of(text):
            found[run].add(service)
    return {run for run, services in found.items() if len(services) > 1}


def test_no_service_repeats_another() -> None:
    texts = {}
    for file in SERVICES.glob("*/**/*.py"):
        place = file.relative_to(SERVICES)
        if not LEFT_OUT & set(place.parts):
            texts[place.parts[0], str(place)] = file.read_text()
    assert len({service for service, _ in texts}) > 1
    assert repeats(texts) == set()


def test_repeat_is_found() -> None:
    lines = [f"value_{number} = read({number})" for number in range(LINES)]
    text = "\n".join(lines)
    assert repeats({("one", "a.py"): text, ("two", "b.py"): "import this\n" + text}) == {tuple(lines)}
    assert repeats({("one", "a.py"): text, ("one", "b.py"): text}) == set()
