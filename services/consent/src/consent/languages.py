"""Which language a text is shown in: RFC 9110 §12.5.4 with the lookup of RFC 4647 §3.4."""

import re
from collections.abc import Collection

_RANGE = re.compile(r"(?P<tag>\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)(?:\s*;\s*q=(?P<q>[01](?:\.\d{0,3})?))?")


def preferred_language(header: str | None, available: Collection[str], *, default: str) -> str:
    """Return the language of `available` that an `Accept-Language` asks for, else `default`.

    What can't be read in the header is passed over. `de-CH` is met by `de`, `*` by the default, and a weight
    of 0 excludes a language unless nothing else is left.
    """
    known = {language.lower(): language for language in available}
    excluded = {tag for weight, tag in _ranges(header) if weight == 0}
    for weight, tag in sorted(_ranges(header), key=lambda wish: -wish[0]):
        if weight == 0:
            continue
        if tag == "*":
            allowed = [
                language for language in (default, *known.values()) if language.lower() not in excluded
            ]
            return next(iter(allowed), default)
        parts = tag.split("-")
        for length in range(len(parts), 0, -1):
            if (found := known.get("-".join(parts[:length]))) is not None:
                return found
    return default


def _ranges(header: str | None) -> list[tuple[float, str]]:
    matches = (_RANGE.fullmatch(part.strip()) for part in (header or "")[:1000].split(","))
    return [(min(float(match["q"] or 1), 1.0), match["tag"].lower()) for match in matches if match]
