"""The retention schedule and receipts as pages that a person can read and print, of the same data."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from consent.law_schemas import RetentionOfJurisdiction, RetentionRead, RetentionSchedule

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid;padding:.4rem;text-align:left;"
    "vertical-align:top}"
)
_CODE = "pre{white-space:pre-wrap;overflow-wrap:anywhere}td{overflow-wrap:anywhere}"
_HEADINGS = ("What", "How long", "Ends earlier on", "How it is destroyed", "Why", "Carried out")
_STARTS = {"last_interaction": "after the last interaction", "purpose_end": "after the purpose has ended"}


def retention_page(schedule: RetentionSchedule) -> str:
    """Return HTML without scripts and without anything that is loaded from elsewhere."""
    sections = "".join(_section(part) for part in schedule.jurisdictions)
    title = "Retention schedule and guidelines for permanent destruction"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{sections}</body></html>\n"
    )


def _section(part: RetentionOfJurisdiction) -> str:
    heads = "".join(f'<th scope="col">{heading}</th>' for heading in _HEADINGS)
    rows = "".join(_row(item) for item in part.items)
    return (
        f'<section id="{escape(part.jurisdiction)}"><h2>{escape(part.jurisdiction_name)}</h2>'
        f"<p>Rules {escape(part.ruleset_version)}, in force from {part.effective_from.isoformat()}. A consent"
        f" lapses after {part.consent_valid_days} days.</p>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _row(item: RetentionRead) -> str:
    cells = (
        item.what,
        _how_long(item),
        ", ".join(reason.replace("_", " ") for reason in item.ends_earlier_on),
        item.destruction,
        item.basis,
        item.enforcement,
    )
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _how_long(item: RetentionRead) -> str:
    if item.days is None or item.starts is None:
        return "As long as the account exists"
    return f"At most {item.days} days {_STARTS[item.starts]}"


def receipt_page(claims: Mapping[str, Any], token: str) -> str:
    """Return a consent receipt as HTML to read and print, with the signed form of it at the end."""
    title = "Consent receipt"
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{"<br>".join(map(escape, lines))}</td></tr>'
        for name, lines in _lines_of(claims)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}{_CODE}</style></head>'
        f"<body><h1>{title}</h1><table><tbody>{rows}</tbody></table>"
        f"<h2>Signed</h2><p>Whoever has the published keys can check this.</p><pre>{escape(token)}</pre>"
        "</body></html>\n"
    )


def _lines_of(claims: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    event, notice, storage = (
        claims[f"dpv:{name}"] for name in ("hasConsentStatus", "hasNotice", "hasStorageCondition")
    )
    law = claims["dpv:hasJurisdiction"]
    yield "What happened", [f"{event['event']} ({event['@type']})"]
    yield "When", [event["dpv:isIndicatedAtTime"]]
    yield "How", [event.get("dpv:hasIndicationMethod", "By itself, when its time was over")]
    yield "Valid until", [event.get("dct:valid", "Nothing was agreed to")]
    yield (
        "Who asked",
        [
            f"{it['dpv:hasName']}: {it['dpv:hasIdentifier']}. {it['dpv:hasContact']}"
            for it in claims["dpv:hasDataController"]
        ],
    )
    yield "What for", [claims["dpv:hasPurpose"]["dct:description"]]
    yield "Which data", [", ".join(it["@type"]) for it in claims["dpv:hasPersonalData"]]
    yield "Which words", [f"{notice['dct:identifier']}, SHA-256 {notice['sha256']}", notice["dct:source"]]
    yield "Legal basis", claims["dpv:hasLegalBasis"]
    yield "Laws", [f"{name} ({code})" for code, name in law["laws"].items()]
    yield "What they ask of us", [_clause(it) for it in claims["dpv:hasObligation"]]
    yield "Your rights", [_clause(it) for it in claims["dpv:hasRight"]]
    yield "How to withdraw", [claims["dpv:hasConsentControl"]["dct:description"]]
    yield (
        "How long data is kept",
        [f"{_days(it)}. {it['dct:description']}" for it in storage if it["@type"] == "dpv:StorageDeletion"],
    )
    yield (
        "Where data is kept",
        [it["dct:description"] for it in storage if it["@type"] == "dpv:StorageLocation"],
    )
    yield "Who receives data", [it["dpv:hasName"] for it in claims["dpv:hasRecipient"]]
    yield "Consent", [claims["dct:identifier"]]
    yield "Place in the log", [f"{claims['log']['origin']}, leaf {claims['log']['leaf_index']}"]


def _clause(obligation: Mapping[str, str]) -> str:
    return f"{obligation['kind'].replace('_', ' ')}: {obligation['clause']}"


def _days(item: Mapping[str, Any]) -> str:
    length = "As long as the account exists" if item.get("days") is None else f"At most {item['days']} days"
    return f"{length} ({item['jurisdiction']})"
