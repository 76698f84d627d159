"""Laws, texts and consents, and what other services ask about them; what they take and give is `schemas`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from chassis.auth import CurrentPrincipal
from chassis.idempotency import IdempotentRoute
from chassis.openapi import example, problems
from chassis.problems import Forbidden, NotFound
from chassis.service_auth import require_service
from consent.api.dependencies import CurrentService, address_of
from consent.examples import (
    ANSWER,
    BIOMETRIC_STATUS,
    CHANGES,
    CONSENT,
    CONSENT_TEXTS,
    CONSENTS,
    JURISDICTION,
    RETENTION_SCHEDULE,
    WITHDRAWN,
)
from consent.policy import resolve_hints, utc_day
from consent.requests import Code, GrantRequest, KnownConsentType, canonical_json
from consent.schemas import (
    BiometricStatus,
    ChangePage,
    ConsentAnswer,
    ConsentList,
    ConsentRead,
    ConsentTextsRead,
    JurisdictionRead,
    RetentionOfJurisdiction,
    RetentionSchedule,
)
from consent.use_cases.answer_consent_question import answer_consent_question
from consent.use_cases.check_biometric_consent import check_biometric_consent
from consent.use_cases.grant_consent import (
    Agreement,
    ConsentTextOutdated,
    JurisdictionUnknown,
    ProveAddressFirst,
    StricterJurisdictionHolds,
    TooManyChanges,
    grant_consent,
)
from consent.use_cases.list_changes import list_changes
from consent.use_cases.list_consents import PageNotFound, list_consents
from consent.use_cases.resolve_jurisdiction import resolve_jurisdiction
from consent.use_cases.withdraw_consent import ConsentNotFound, withdraw_consent

PAGE = 100
LARGEST_PAGE = 200
LARGEST_CHANGE_PAGE = 1000
LARGEST_POSITION = 2**63 - 1

public = APIRouter(prefix="/api/v1/privacy", tags=["consent"], route_class=IdempotentRoute)
internal = APIRouter(prefix="/internal", tags=["internal"])


@public.get(
    "/jurisdiction",
    summary="Which laws hold for the caller, and what they ask for",
    responses=example(JURISDICTION),
)
async def get_jurisdiction(
    request: Request,
    service: CurrentService,
    country_code: Annotated[Code, Query()] = None,
    state_code: Annotated[Code, Query()] = None,
) -> JurisdictionRead:
    """Resolve from ISO 3166 codes, read case-insensitively, else from the network address, else strictly."""
    resolution, needed = resolve_jurisdiction(
        service.rulebook,
        country=country_code,
        region=state_code,
        network=service.geography.locate(address_of(request)),
        now=service.clock.now(),
    )
    return JurisdictionRead.resolved(resolution, needed)


@public.get(
    "/consent",
    summary="List the caller's consents, newest first, withdrawn ones too",
    responses=example(CONSENTS) | problems(PageNotFound),
)
async def get_consents(
    service: CurrentService,
    principal: CurrentPrincipal,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE,
) -> ConsentList:
    """List the caller's consents as they stand now, in pages."""
    async with service.unit_of_work() as uow:
        page = await list_consents(uow, user_id=principal.user_id, after=after, limit=limit)
    now = service.clock.now()
    return ConsentList(
        consents=[ConsentRead.of(consent, service.rulebook, now) for consent in page.consents],
        next=page.following,
    )


@public.post(
    "/consent",
    status_code=201,
    summary="Agree to one purpose under its current text",
    responses=example(CONSENT, status=201)
    | problems(
        ProveAddressFirst,
        JurisdictionUnknown,
        StricterJurisdictionHolds,
        ConsentTextOutdated,
        TooManyChanges,
    ),
)
async def post_consent(
    body: GrantRequest, request: Request, service: CurrentService, principal: CurrentPrincipal
) -> ConsentRead:
    """Grant; repeated while it is live it returns the consent there is (a double tap has one effect)."""
    address = address_of(request)
    resolution = resolve_hints(
        service.rulebook,
        country=body.country_code,
        region=body.state_code,
        network=service.geography.locate(address),
        day=utc_day(service.clock.now()),
    )
    async with service.unit_of_work() as uow:
        consent = await grant_consent(
            uow,
            Agreement(
                consent_type=body.consent_type,
                jurisdiction=body.jurisdiction,
                consent_text_version=body.consent_text_version,
                resolution=resolution,
                details=None if body.metadata is None else canonical_json(body.metadata),
                ip_address=address,
            ),
            user_id=principal.user_id,
            address_proved=principal.email_verified,
            limits=service.limits,
            rulebook=service.rulebook,
            clock=service.clock,
        )
    return ConsentRead.of(consent, service.rulebook, service.clock.now())


@public.get(
    "/consent/biometric-status",
    summary="Whether pictures may be taken now",
    responses=example(BIOMETRIC_STATUS),
)
async def get_biometric_status(service: CurrentService, principal: CurrentPrincipal) -> BiometricStatus:
    """Answer from the gate and the consent that holds it open."""
    now = service.clock.now()
    consent = await check_biometric_consent(
        service.database, user_id=principal.user_id, rulebook=service.rulebook, now=now
    )
    record = None if consent is None else ConsentRead.of(consent, service.rulebook, now)
    return BiometricStatus(has_consent=record is not None, consent_record=record)


@public.post(
    "/consent/{consent_id}/withdraw",
    summary="Withdraw a consent; no reason is asked for",
    responses=example(WITHDRAWN) | problems(ConsentNotFound),
)
async def post_withdrawal(
    consent_id: UUID, service: CurrentService, principal: CurrentPrincipal
) -> ConsentRead:
    """Withdraw; the gate is closed before the answer leaves, and repeating it changes nothing."""
    async with service.unit_of_work() as uow:
        consent = await withdraw_consent(uow, user_id=principal.user_id, consent_id=consent_id)
    return ConsentRead.of(consent, service.rulebook, service.clock.now())


@public.get(
    "/consent-texts/{jurisdiction}/{consent_type}",
    summary="The texts people agree to",
    responses=example(CONSENT_TEXTS) | problems(NotFound),
)
async def get_consent_texts(
    jurisdiction: str, consent_type: KnownConsentType, service: CurrentService
) -> ConsentTextsRead:
    """Show the current and the earlier texts with their versions and digests."""
    regime = service.rulebook.regimes.get(jurisdiction.lower())
    if regime is None:
        raise NotFound(f"There is no such jurisdiction. Use one of: {service.rulebook.regime_names}.")
    return ConsentTextsRead.of(regime, consent_type, utc_day(service.clock.now()))


@public.get(
    "/retention-schedule",
    summary="How long what is kept, and how it is destroyed",
    responses=example(RETENTION_SCHEDULE),
)
async def get_retention_schedule(service: CurrentService) -> RetentionSchedule:
    """Show the schedule per jurisdiction, and for each row whether it is enforced."""
    day = utc_day(service.clock.now())
    regimes = sorted(service.rulebook.regimes.values(), key=lambda regime: regime.code)
    return RetentionSchedule(jurisdictions=[RetentionOfJurisdiction.of(regime, day) for regime in regimes])


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
async def get_answer(user_id: UUID, consent_type: KnownConsentType, service: CurrentService) -> ConsentAnswer:
    """Answer from the gate itself; never cached, here or on the way."""
    return await answer_consent_question(
        service.database,
        user_id=user_id,
        consent_type=consent_type,
        rulebook=service.rulebook,
        now=service.clock.now(),
    )
