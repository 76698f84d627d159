"""The certificate of an erasure as a page that a person can read and print."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

TITLE = "Certificate of erasure"
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid;padding:.4rem;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
)


def certificate_page(claims: Mapping[str, Any], token: str) -> str:
    """Return HTML without scripts and without anything that is loaded from elsewhere."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{"<br>".join(map(escape, lines))}</td></tr>'
        for name, lines in lines_of(claims)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{TITLE}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{TITLE}</h1><table><tbody>{rows}</tbody></table>"
        f"<h2>Signed</h2><p>Whoever has the published keys can check this.</p><pre>{escape(token)}</pre>"
        "</body></html>\n"
    )


def lines_of(claims: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield what a certificate says, as headings and lines."""
    backups, keys = claims["backups"], claims["keys"]
    yield "Erasure", [claims["erasure_id"]]
    yield "Issued by", [claims["iss"]]
    yield "Whose data", [f"{claims['sub']} (a keyed hash, key {claims['sub_key']})"]
    yield "Completed", [claims["completed_at"]]
    yield "Laws", [", ".join(claims["regimes"]) or "none that is known here"]
    yield "Promised by", [claims["deadline"]]
    yield "Steps", [f"{it['step']}: {it['at']}" for it in claims["steps"]]
    yield "What was erased", [_participant(it) for it in claims["participants"]]
    if retired := claims.get("retired"):
        yield (
            "Not asked, because retired",
            [f"{it['service']}, {it['retired_at']}: {it['reason']}" for it in retired],
        )
    for terms in (keys, *keys.get("also", ())):
        yield f"Keys ({terms['provider']})", _key_terms(terms)
    yield (
        "Backups",
        [
            f"Rows of databases can be in backups until {backups['rows_until']}.",
            f"Ciphertext of pictures can be in backups until {backups['ciphertext_until']}.",
            f"Wrapped keys can be in backups of the keyring until {backups['wrapped_keys_until']}.",
        ],
    )


def _key_terms(terms: Mapping[str, Any]) -> list[str]:
    if "readable" not in terms:
        # An earlier release has signed it.
        return [terms["erasure"]]
    return [terms["erasure"], terms["readable"], f"At the latest that ends {terms['until']}."]


def _participant(said: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in said["erased"].items())
    return f"{said['service']}, {said['completed_at']}: {counts or 'nothing was held'}"
