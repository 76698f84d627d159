"""What every route may ask for, and how every route shows a photo."""

from typing import Annotated

from fastapi import Depends, Query, Request

from chassis.auth import Principal
from chassis.callers import client_address
from storage import schemas
from storage.consents import Whereabouts
from storage.models import Photo
from storage.policy import ProveAddressFirst, Rendition, upload_status
from storage.use_cases.request_upload import Uploader
from storage.wiring import Service

_PLACE = "Where the person is, as the device knows it: a code of ISO 3166, read tolerantly."


async def current_service(request: Request) -> Service:
    """Return the collaborators of this process."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(current_service)]


async def _whereabouts(
    request: Request,
    country_code: Annotated[str | None, Query(max_length=64, description=_PLACE)] = None,
    state_code: Annotated[str | None, Query(max_length=64, description=_PLACE)] = None,
) -> Whereabouts:
    return Whereabouts(client_address(request), country_code, state_code)


Seen = Annotated[Whereabouts, Depends(_whereabouts)]


def uploader_of(service: Service, principal: Principal, seen: Whereabouts) -> Uploader:
    """Return who asks for an upload link; raises `ProveAddressFirst` where that is asked for."""
    if service.settings.proved_address_for_biometrics and not principal.email_verified:
        raise ProveAddressFirst
    return Uploader(principal.user_id, principal.session_id, principal.email_verified, seen)


def photo_read(photo: Photo, service: Service, principal: Principal) -> schemas.PhotoRead:
    """Show a photo to its owner, with fresh links for this session once it is confirmed."""
    now = service.clock.now()

    def link(rendition: Rendition) -> str | None:
        if photo.confirmed_at is None or photo.lost_at is not None:
            return None
        return service.links.read_url(photo.id, rendition, session_id=principal.session_id, now=now)

    return schemas.PhotoRead(
        id=photo.id,
        user_id=photo.user_id,
        s3_key=photo.s3_key,
        thumbnail_url=link(Rendition.THUMBNAIL),
        original_url=link(Rendition.ORIGINAL),
        width=photo.width,
        height=photo.height,
        file_size=photo.received_bytes,
        content_type=photo.media_type,
        upload_status=upload_status(
            confirmed=photo.confirmed_at is not None,
            received=photo.received_at is not None,
            lost=photo.lost_at is not None,
            link_expires_at=photo.upload_expires_at,
            now=now,
        ),
        created_at=photo.created_at,
        updated_at=photo.updated_at,
    )
