"""K35: leaves and commitments are the canonical JSON of what they say, many at once as well."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from consent.transparency.leaves import EntryLeaves, commitment_to, entry_leaf

ALIKE, DIFFERING = ("kind", "epoch", "jurisdictions", "source"), ("occurred_at", "commitment", "expires_at")
MOMENTS = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
ROWS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["grant", "expiry", 'Über "quoted" \\ \x7f\n']),
        "epoch": st.integers(0, 3),
        "jurisdictions": st.none() | st.lists(st.sampled_from(["gdpr", "co"]), max_size=2),
        "source": st.none() | st.just("device"),
        "commitment": st.text(),
        "occurred_at": MOMENTS,
        "expires_at": st.none() | MOMENTS,
    }
)


@given(st.lists(ROWS, max_size=12))
def test_k35_leaves_written_together_are_those_written_alone(rows) -> None:
    together = EntryLeaves(ALIKE, DIFFERING)
    assert [together.leaf(row) for row in rows] == [entry_leaf(row) for row in rows]


@given(ROWS)
def test_k35_leaf_is_canonical_json(row) -> None:
    said = {name: value for name, value in {"leaf": "entry/1", **row}.items() if value is not None}
    for name in ("occurred_at", "expires_at"):
        if name in said:
            said[name] = said[name].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    written = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert entry_leaf(row) == written.encode()


@given(
    st.dictionaries(st.sampled_from(["country", "metadata", "user_id"]), st.none() | st.text()), st.binary()
)
def test_k35_commitment_is_to_canonical_json(committed, salt) -> None:
    written = json.dumps(committed, sort_keys=True, separators=(",", ":"))
    assert commitment_to(committed, salt) == hashlib.sha256(salt + written.encode()).hexdigest()
