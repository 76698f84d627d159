"""The HTTP routes about a person's consents; those about the law are `law`, the shapes `schemas`."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from chassis.callers import CurrentPrincipal, require_service
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import Forbidden
from consent.api.dependencies import CurrentService, HonoursSignal, address_of, one_spelling
from consent.api.law import Languages
from consent.examples import ANSWER, BIOMETRIC_STATUS, CHANGES, CONSENT, CONSENTS, DISCLOSURE, WITHDRAWN
from consent.jurisdictions import Hints, read_hint, resolve
from consent.languages import preferred_language
from consent.policy import utc_day
from consent.requests import Code, GrantRequest, KnownConsentType, canonical_json
from consent.rulebook import DEFAULT_LANGUAGE, Rulebook
from consent.schemas import (
    BiometricStatus,
    ChangePage,
    ConsentAnswer,
    ConsentList,
    ConsentRead,
    Disclosure,
)
from consent.use_cases.answer_consent_question import answer_consent_question
from consent.use_cases.check_biometric_consent import check_biometric_consent
from consent.use_cases.find_disclosure import find_disclosure
from consent.use_cases.grant_consent import ProveAddressFirst, TooManyChanges, grant_consent
from consent.use_cases.list_changes import list_changes
from consent.use_cases.list_consents import PageNotFound, list_consents
from consent.use_cases.refuse_consent import refuse_consent
from consent.use_cases.what_was_shown import (
    Agreement,
    ConsentTextOutdated,
    JurisdictionBlocked,
    JurisdictionUnknown,
    LanguageUnknown,
    PurposeNotNecessary,
    SignatureMissing,
    StricterJurisdictionHolds,
)
from consent.use_cases.withdraw_consent import ConsentNotFound, withdraw_consent
from consent.wiring import Service

PAGE = 100
LARGEST_PAGE = 200
LARGEST_CHANGE_PAGE = 1000
LARGEST_POSITION = 2**63 - 1

public = APIRouter(prefix="/api/v1/privacy", tags=["consent"], route_class=IdempotentRoute)
internal = APIRouter(prefix="/internal", tags=["internal"])


@public.get(
    "/consent",
    summary="List the caller's consents, newest first, withdrawn ones too",
    dependencies=[HonoursSignal],
    responses=example(CONSENTS) | problems(PageNotFound),
)
async def get_consents(
    service: CurrentService,
    principal: CurrentPrincipal,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE,
    include: Annotated[
        Literal["refusals"] | None, Query(description="`refusals`: what the caller said no to as well.")
    ] = None,
) -> ConsentList:
    """List the caller's consents as they stand now, in pages."""
    refusals = include is not None
    async with service.unit_of_work() as uow:
        page = await list_consents(
            uow, user_id=principal.user_id, after=after, limit=limit, refusals=refusals
        )
    now = service.clock.now()
    return ConsentList(
        consents=[ConsentRead.of(consent, service.rulebook, now) for consent in page.consents],
        next=page.following,
    )


@public.post(
    "/consent",
    status_code=201,
    summary="Agree to one purpose under its current text, or refuse it",
    dependencies=[HonoursSignal],
    responses=example(CONSENT, status=201)
    | problems(
        ProveAddressFirst,
        JurisdictionUnknown,
        StricterJurisdictionHolds,
        ConsentTextOutdated,
        LanguageUnknown,
        SignatureMissing,
        TooManyChanges,
        PurposeNotNecessary,
        JurisdictionBlocked,
    ),
)
async def post_consent(
    body: GrantRequest,
    request: Request,
    service: CurrentService,
    principal: CurrentPrincipal,
    accept_language: Languages = None,
) -> ConsentRead:
    """Grant or refuse; a double tap has one effect, and its answer is the record there is."""
    agreement = _agreement(body, service, address_of(request), accept_language)
    rules, clock, limits = service.rulebook, service.clock, service.limits
    async with service.unit_of_work() as uow:
        if body.granted:
            consent = await grant_consent(
                uow,
                agreement,
                user_id=principal.user_id,
                address_proved=principal.email_verified,
                limits=limits,
                rulebook=rules,
                clock=clock,
            )
        else:
            consent = await refuse_consent(
                uow, agreement, user_id=principal.user_id, limits=limits, rulebook=rules, clock=clock
            )
    return ConsentRead.of(consent, rules, clock.now())


@public.get(
    "/consent/biometric-status",
    summary="Whether pictures may be taken now",
    dependencies=[HonoursSignal],
    responses=example(BIOMETRIC_STATUS),
)
async def get_biometric_status(
    request: Request,
    service: CurrentService,
    principal: CurrentPrincipal,
    country_code: Annotated[Code, Query()] = None,
    state_code: Annotated[Code, Query()] = None,
) -> BiometricStatus:
    """Answer from the gate and the consent that holds it open, for where the person is now."""
    now = service.clock.now()
    consent = await check_biometric_consent(
        service.database,
        user_id=principal.user_id,
        seen=_seen(service, address_of(request), country_code, state_code),
        rulebook=service.rulebook,
        now=now,
    )
    record = None if consent is None else ConsentRead.of(consent, service.rulebook, now)
    return BiometricStatus(has_consent=record is not None, consent_record=record)


@public.post(
    "/consent/{consent_id}/withdraw",
    summary="Withdraw a consent; no reason is asked for",
    dependencies=[HonoursSignal],
    responses=example(WITHDRAWN) | problems(ConsentNotFound),
)
async def post_withdrawal(
    consent_id: UUID, service: CurrentService, principal: CurrentPrincipal
) -> ConsentRead:
    """Withdraw; the gate is closed before the answer leaves, and repeating it changes nothing."""
    async with service.unit_of_work() as uow:
        consent = await withdraw_consent(uow, user_id=principal.user_id, consent_id=consent_id)
    return ConsentRead.of(consent, service.rulebook, service.clock.now())


@internal.get(
    "/consents",
    dependencies=[Depends(require_service("storage"))],
    summary="Whose consents have changed since a position",
    responses=example(CHANGES) | problems(Forbidden),
)
async def get_changes(
    service: CurrentService,
    after: Annotated[int, Query(ge=0, le=LARGEST_POSITION, description="`position` of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST_CHANGE_PAGE)] = LARGEST_CHANGE_PAGE,
) -> ChangePage:
    """List every gate that changed after `after` as it stands now; never cached."""
    return await list_changes(
        service.database, after=after, limit=limit, rulebook=service.rulebook, now=service.clock.now()
    )


@internal.get(
    "/consents/{user_id}/{consent_type}",
    dependencies=[Depends(require_service("storage", "gateway"))],
    summary="Whether a person's consent is live at this moment",
    responses=example(ANSWER) | problems(Forbidden),
)
async def get_answer(
    user_id: UUID,
    consent_type: KnownConsentType,
    service: CurrentService,
    address: Annotated[
        str | None,
        Query(max_length=100, description="The person's network address, as the gateway vouches for it."),
    ] = None,
    country_code: Annotated[Code, Query()] = None,
    state_code: Annotated[Code, Query()] = None,
) -> ConsentAnswer:
    """Answer from the gate itself, for where the person is; never cached, here or on the way."""
    return await answer_consent_question(
        service.database,
        user_id=user_id,
        consent_type=consent_type,
        seen=_seen(service, one_spelling(address), country_code, state_code),
        rulebook=service.rulebook,
        now=service.clock.now(),
    )


@internal.get(
    "/people/{user_id}/disclosure",
    dependencies=[Depends(require_service("storage"))],
    summary="Whether pictures go into a copy of the person's data",
    responses=example(DISCLOSURE) | problems(Forbidden),
)
async def get_disclosure(user_id: UUID, service: CurrentService) -> Disclosure:
    """Answer from the laws that the person's consents were given under."""
    return await find_disclosure(service.database, user_id=user_id)


def _seen(service: Service, address: str | None, country: str | None, region: str | None) -> Hints:
    return Hints(
        device=read_hint(service.rulebook, country, region), network=service.geography.locate(address)
    )


def _agreement(
    body: GrantRequest, service: Service, address: str | None, accept_language: str | None
) -> Agreement:
    rules, day = service.rulebook, utc_day(service.clock.now())
    seen = _seen(service, address, body.country_code, body.state_code)
    hints = Hints(seen.device, seen.network, residence=read_hint(rules, body.residence))
    return Agreement(
        consent_type=body.consent_type,
        jurisdiction=body.jurisdiction,
        consent_text_version=body.consent_text_version,
        resolution=resolve(rules, hints, day),
        details=None if body.metadata is None else canonical_json(body.metadata),
        ip_address=address,
        language=_language(rules, body, accept_language),
        signature=body.signature,
    )


def _language(rules: Rulebook, body: GrantRequest, accept_language: str | None) -> str:
    if body.consent_text_locale is not None:
        return body.consent_text_locale.lower()
    regime = rules.regimes.get(body.jurisdiction)
    written = [
        text.locale
        for text in (regime.texts_of(body.consent_type) if regime else ())
        if text.version == body.consent_text_version
    ]
    return preferred_language(accept_language, written, default=DEFAULT_LANGUAGE)
