"""The certificate of an erasure as a page that a person can read and print."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from identity.erasure.policy import Outcome

TITLES = {
    Outcome.COMPLETED.value: "Certificate of erasure",
    Outcome.COMPLETED_WITHOUT_RETIRED.value: "Certificate of erasure without every service",
    Outcome.PARTIAL.value: "Certificate of partial erasure",
}
"""What a certificate is called, by what it certifies: nobody shall take a lesser one for a whole one."""
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
    title = escape(title_of(claims))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><table><tbody>{rows}</tbody></table>"
        f"<h2>Signed</h2><p>Whoever has the published keys can check this.</p><pre>{escape(token)}</pre>"
        "</body></html>\n"
    )


def title_of(claims: Mapping[str, Any]) -> str:
    """Return what a certificate is called."""
    # Certificates of before say "completed" where a service was retired.
    status = claims["status"]
    if status == Outcome.COMPLETED.value and claims.get("retired"):
        status = Outcome.COMPLETED_WITHOUT_RETIRED.value
    return TITLES[status]


def lines_of(claims: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield what a certificate says, as headings and lines."""
    backups, keys = claims["backups"], claims["keys"]
    yield "Result", _result(claims)
    yield "Erasure", [claims["erasure_id"]]
    yield "Issued by", [claims["iss"]]
    yield "Whose data", [f"{claims['sub']} (a keyed hash, key {claims['sub_key']})"]
    yield "Completed", [claims["completed_at"] or "not yet: see what is held"]
    if superseded := claims.get("supersedes"):
        yield "In place of", [f"the certificate with the SHA-256 {superseded}"]
    yield "Laws", [", ".join(claims["regimes"]) or "none that is known here"]
    yield "Promised by", [claims["deadline"]]
    yield "Steps", [f"{it['step']}: {it['at']}" for it in claims["steps"]]
    yield "What was erased", [_participant(it) for it in claims["participants"]]
    if holds := claims.get("holds"):
        yield "What is or was held", [line for it in holds for line in _hold(it)]
    if retired := claims.get("retired"):
        yield (
            "Nobody could ask, because retired",
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


def _result(claims: Mapping[str, Any]) -> list[str]:
    said = ["Every service has looked again and has found nothing of the person."]
    if claims["completed_at"] is None:
        said = [
            "NOT EVERYTHING IS ERASED. Every service has looked again and has found only what is held.",
            "When that ends, the rest is erased by itself, and a new certificate follows.",
        ]
    if retired := claims.get("retired"):
        names = ", ".join(it["service"] for it in retired)
        said.append(
            f"NOT EVERY SERVICE HAS LOOKED. This says nothing about {names}: nobody could ask there any more."
        )
    return said


def _participant(said: Mapping[str, Any]) -> str:
    told = f"{said['service']}, {said['completed_at']}: {_counts(said['erased']) or 'nothing was held'}"
    held = _counts(said.get("held") or {})
    return f"{told}; still held: {held}" if held else told


def _hold(hold: Mapping[str, Any]) -> list[str]:
    end = f"ended {hold['ended_at']}" if hold["ended_at"] else f"until {hold['expires_at']} at the latest"
    return [
        f"{hold['kind'].replace('_', ' ')} in {hold['service']}, since {hold['placed_at']}, {end}",
        f"{hold['code']}: {hold['legal_reference']} (approved by {hold['approver']}; hold {hold['hold_id']})",
    ]


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in numbers.items())
