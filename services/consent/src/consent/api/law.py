"""The public routes about the law, which need no account: what holds, the texts, the retention schedule."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from chassis.negotiation import preferred_form
from chassis.openapi import example, problems
from chassis.problems import NotFound
from consent.api.dependencies import CurrentService, address_of
from consent.examples import CONSENT_TEXTS, JURISDICTION, RETENTION_SCHEDULE
from consent.jurisdictions import Hints, read_hint
from consent.languages import preferred_language
from consent.law_schemas import (
    ConsentTextsRead,
    JurisdictionRead,
    RetentionOfJurisdiction,
    RetentionSchedule,
)
from consent.pages import retention_page
from consent.policy import utc_day
from consent.requests import Code, KnownConsentType
from consent.rulebook import DEFAULT_LANGUAGE
from consent.use_cases.resolve_jurisdiction import resolve_jurisdiction

law = APIRouter(prefix="/api/v1/privacy", tags=["consent"])

Languages = Annotated[
    str | None, Header(alias="Accept-Language", description="RFC 9110 §12.5.4; English where nothing fits.")
]
_FORMS = ("application/json", "text/html")
_PAGE: dict[str, Any] = {"200": {"content": {"text/html": {"schema": {"type": "string"}}}}}


@law.get(
    "/jurisdiction",
    summary="Which laws hold for the caller, and what they ask for",
    responses=example(JURISDICTION),
)
async def get_jurisdiction(
    request: Request,
    response: Response,
    service: CurrentService,
    country_code: Annotated[Code, Query()] = None,
    state_code: Annotated[Code, Query()] = None,
    residence: Annotated[Code, Query()] = None,
    accept_language: Languages = None,
) -> JurisdictionRead:
    """Resolve from ISO 3166 codes, read case-insensitively, and the network address, else strictly."""
    hints = Hints(
        device=read_hint(service.rulebook, country_code, state_code),
        network=service.geography.locate(address_of(request)),
        residence=read_hint(service.rulebook, residence),
    )
    found = resolve_jurisdiction(
        service.rulebook,
        hints,
        languages=accept_language,
        filings=service.settings.regulator_filings,
        now=service.clock.now(),
    )
    _in_language(response, found.needed.text.locale)
    return JurisdictionRead.resolved(found)


@law.get(
    "/consent-texts/{jurisdiction}/{consent_type}",
    summary="The texts people agree to",
    responses=example(CONSENT_TEXTS) | problems(NotFound),
)
async def get_consent_texts(
    jurisdiction: str,
    consent_type: KnownConsentType,
    response: Response,
    service: CurrentService,
    accept_language: Languages = None,
) -> ConsentTextsRead:
    """Show the current and the earlier texts with their languages, versions and digests."""
    regime = service.rulebook.regimes.get(jurisdiction.lower())
    if regime is None:
        raise NotFound(f"There is no such jurisdiction. Use one of: {service.rulebook.regime_names}.")
    day = utc_day(service.clock.now())
    written = regime.current_texts(consent_type, day)
    language = preferred_language(accept_language, written, default=DEFAULT_LANGUAGE)
    _in_language(response, language)
    return ConsentTextsRead.of(regime, consent_type, day, language)


@law.get(
    "/retention-schedule",
    summary="How long what is kept, and how it is destroyed",
    responses=example(RETENTION_SCHEDULE),
    response_model=RetentionSchedule,
    openapi_extra={"responses": _PAGE},
)
async def get_retention_schedule(
    response: Response, service: CurrentService, accept: Annotated[str | None, Header()] = None
) -> RetentionSchedule | HTMLResponse:
    """Show the schedule per jurisdiction, and whether each row is enforced; HTML where that is asked for."""
    day = utc_day(service.clock.now())
    regimes = sorted(service.rulebook.regimes.values(), key=lambda regime: regime.code)
    schedule = RetentionSchedule(
        jurisdictions=[RetentionOfJurisdiction.of(regime, day) for regime in regimes]
    )
    if preferred_form(accept, _FORMS) == "text/html":
        return HTMLResponse(retention_page(schedule), headers={"Vary": "Accept", "Content-Language": "en"})
    response.headers["Vary"] = "Accept"
    return schedule


def _in_language(response: Response, language: str) -> None:
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language"
