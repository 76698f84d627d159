"""Conditions of a request (RFC 9110 §13), by entity tag alone: no answer carries a date to compare with."""

import re

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the client says that it has this version; tags are compared weakly (§13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)


def range_applies(if_range: str | None, tag: str) -> bool:
    """Whether a range of this version is wanted; the tag is compared strongly, no date matches (§13.1.5)."""
    return if_range is None or if_range.strip() == tag
