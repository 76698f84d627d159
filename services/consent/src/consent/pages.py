"""The retention schedule as a page that a person can read and print: the same data as the JSON."""

from html import escape

from consent.law_schemas import RetentionOfJurisdiction, RetentionRead, RetentionSchedule

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid;padding:.4rem;text-align:left;"
    "vertical-align:top}"
)
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
