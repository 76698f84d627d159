"""Which form of an answer the caller wants (RFC 9110 §12.5.1)."""

import re
from collections.abc import Sequence

_LONGEST = 1000
_WEIGHTED = re.compile(
    r"(?P<kind>[\w.+-]+/[\w.+-]+)\s*(?:;\s*(?!q=)[^;,]*)*(?:;\s*q=(?P<q>[01](?:\.\d{0,3})?))?", re.IGNORECASE
)


def preferred_form(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offered media type that `accept` weighs highest; of equals, and of none, the first.

    Only a type that is named counts: browsers name HTML, and everybody who says */* gets the first form.
    """
    said = _WEIGHTED.finditer((accept or "")[:_LONGEST])
    weights = {match["kind"].lower(): float(match["q"] or 1) for match in said}
    return max(offered, key=lambda kind: weights.get(kind, 0.0))
