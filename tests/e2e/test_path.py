"""The path of one person through the gateway: every status and every field that the app relies on."""

from secrets import token_hex

from contracts.topology import SERVICES
from demo import picture
from residue import Canaries, search

USER = {"id", "email", "is_active", "is_verified", "created_at", "auth_provider", "updated_at"}
TOKENS = {"access_token", "refresh_token", "token_type", "expires_in"}
REQUIREMENTS = {
    "consent_text",
    "consent_text_version",
    "requires_explicit_consent",
    "explicit_consent",
    "jurisdiction_name",
    "purpose_disclosure",
    "retention_policy",
    "right_to_withdraw",
    "retention_days",
    "data_retention_days",
}
DUTIES = {
    "gdpr": {"data_minimization"},
    "bipa": {"written_consent", "retention_schedule", "no_profit_from_data"},
    "ccpa": {"notice_at_collection", "opt_out_right", "deletion_right"},
    "generic": set[str](),
}
CONSENT = {
    "id",
    "user_id",
    "consent_type",
    "jurisdiction",
    "jurisdictions",
    "granted",
    "granted_at",
    "withdrawn_at",
    "expires_at",
    "consent_text_version",
}
PHOTO = {
    "id",
    "user_id",
    "s3_key",
    "thumbnail_url",
    "original_url",
    "width",
    "height",
    "file_size",
    "content_type",
    "upload_status",
    "created_at",
    "updated_at",
}
PLACES = {
    "gdpr": {"country_code": "DE"},
    "bipa": {"country_code": "US", "state_code": "IL"},
    "ccpa": {"country_code": "US", "state_code": "CA"},
    "generic": {"country_code": "NZ"},
}


async def test_person_signs_up_in_refreshes_and_signs_out(new_app) -> None:
    app, address = new_app(), f"Grace.Hopper.{token_hex(4)}@example.com"
    user = await app.register(address, "seven blue irises")
    again = await app.register(address.lower(), "another password")
    form = await app.login_with_form(address.upper(), "seven blue irises")
    login = await app.login(address, "seven blue irises")
    me = await app.me()

    assert user.status == 201
    assert user.document.keys() >= USER
    assert (user.document["is_active"], user.document["auth_provider"]) == (True, "email")
    assert (again.status, again.problem) == (409, "email-taken")
    assert (form.status, login.status) == (200, 200)
    assert form.document.keys() >= TOKENS
    assert login.document["token_type"] == "bearer"
    assert login.document["expires_in"] == 1800
    assert (me.status, me.document) == (200, user.document)

    first = app.refresh_token
    fresh = await app.refresh()
    repeated = await app.refresh(first)
    assert (fresh.status, repeated.status) == (200, 200)
    assert fresh.document["refresh_token"] == repeated.document["refresh_token"] != first

    assert (await app.logout()).document.keys() == {"message"}
    assert ((await app.me()).status, (await app.refresh()).status) == (401, 401)


async def test_old_refresh_token_ends_the_session(person) -> None:
    first = person.app.refresh_token
    await person.app.refresh()
    await person.app.refresh()

    stolen = await person.app.refresh(first)
    honest = await person.app.refresh()

    assert (stolen.status, stolen.problem) == (401, "invalid-refresh-token")
    assert honest.status == 401


async def test_laws_of_each_place_are_told_with_their_duties(new_app) -> None:
    for law, place in PLACES.items():
        answer = await new_app().jurisdiction(**place)

        assert answer.status == 200
        told = answer.document
        assert told["jurisdiction"] == law
        assert law in told["jurisdictions"]
        assert told["source"] == "device"
        assert told.keys() >= {"detected_country", "detected_region"} | REQUIREMENTS
        assert told["consent_requirements"].keys() >= REQUIREMENTS
        assert {name: told[name] for name in REQUIREMENTS} == {
            name: told["consent_requirements"][name] for name in REQUIREMENTS
        }
        assert all(told[duty] for duty in DUTIES[law])


async def test_consent_is_granted_shown_and_withdrawn(person) -> None:
    before = await person.app.biometric_status()
    version = (await person.app.jurisdiction(country_code="DE")).document["consent_text_version"]
    granted = await person.app.grant("GDPR", version)
    outdated = await person.app.grant("gdpr", "1999-01")
    unknown = await person.app.grant("atlantis", version)
    status = await person.app.biometric_status()

    assert before.document == {"has_consent": False, "consent_record": None}
    assert granted.status == 201
    assert granted.document.keys() >= CONSENT
    assert (granted.document["granted"], granted.document["jurisdiction"]) == (True, "gdpr")
    assert (outdated.status, outdated.problem) == (409, "consent-text-outdated")
    assert (unknown.status, unknown.problem) == (409, "jurisdiction-unknown")
    assert status.document == {"has_consent": True, "consent_record": granted.document}

    withdrawn = await person.app.withdraw(granted.document["id"])
    listed = (await person.app.consents()).document["consents"]
    assert withdrawn.status == 200
    assert withdrawn.document["granted"] is False
    assert withdrawn.document["withdrawn_at"] is not None
    assert [consent["id"] for consent in listed] == [granted.document["id"]]
    assert (await person.app.biometric_status()).document["has_consent"] is False


async def test_photo_is_uploaded_listed_read_and_deleted(person, jpeg) -> None:
    app = person.app
    refused = await app.ask_to_upload()
    await person.agree()
    link = await app.ask_to_upload()
    early = await app.confirm(link.document["photo_id"], file_size=len(jpeg), width=1, height=1)
    put = await app.put(link.document["upload_url"], jpeg)
    again = await app.put(link.document["upload_url"], jpeg)
    other = await app.put(link.document["upload_url"], jpeg[:-1])
    wrong = await app.confirm(link.document["photo_id"], file_size=len(jpeg) + 1, width=1, height=1)
    photo = await app.confirm(link.document["photo_id"], file_size=len(jpeg), width=1, height=1)
    repeated = await app.confirm(link.document["photo_id"], file_size=len(jpeg), width=1, height=1)

    assert (refused.status, refused.problem) == (403, "consent-required")
    assert link.status == 201
    assert link.document.keys() >= {"upload_url", "photo_id", "s3_key", "expires_at"}
    assert (early.status, early.problem) == (409, "photo-not-uploaded")
    assert put.status == 200
    assert (again.status, again.document) == (200, put.document)
    assert (other.status, other.problem) == (409, "upload-differs")
    assert (wrong.status, wrong.problem) == (409, "size-mismatch")
    assert (photo.status, repeated.status) == (200, 200)
    assert photo.document.keys() >= PHOTO
    shown = photo.document
    assert (shown["upload_status"], shown["content_type"]) == ("uploaded", "image/jpeg")
    assert (shown["width"], shown["height"], shown["file_size"]) == (720, 960, len(jpeg))

    listed = await app.photos(page="1", page_size="5")
    assert (listed.document["total"], listed.document["page"], listed.document["page_size"]) == (1, 1, 5)
    assert [item["id"] for item in listed.document["items"]] == [shown["id"]]
    assert (await app.photo(shown["id"])).document["id"] == shown["id"]

    whole = await app.follow("GET", shown["original_url"])
    part = await app.follow("GET", shown["original_url"], headers={"Range": "bytes=2-5"})
    thumbnail = await app.follow("GET", shown["thumbnail_url"])
    measured = await app.follow("HEAD", shown["original_url"])
    told = ("Content-Length", "Content-Type", "ETag", "Accept-Ranges")
    assert (measured.status, measured.body) == (200, b"")
    assert [measured.headers[name] for name in told] == [whole.headers[name] for name in told]
    assert (whole.status, whole.headers["Content-Type"]) == (200, "image/jpeg")
    assert (part.status, part.body) == (206, whole.body[2:6])
    assert picture.read(whole.body).pixels == picture.read(jpeg).pixels
    assert not picture.tells_of_its_owner(whole.body)
    assert max(picture.read(thumbnail.body).width, picture.read(thumbnail.body).height) <= 512

    assert (await app.delete_photo(shown["id"])).status == 204
    assert (await app.follow("GET", shown["original_url"])).status == 410
    assert ((await app.photo(shown["id"])).status, (await app.delete_photo(shown["id"])).status) == (404, 404)
    assert (await app.photos()).document["total"] == 0


async def test_upload_takes_only_the_picture_that_the_link_is_for(person, jpeg) -> None:
    await person.agree()
    link = (await person.app.ask_to_upload()).document["upload_url"]

    no_picture = await person.app.put(link, b"GIF89a, or so it says")
    other_type = await person.app.put(link, jpeg, "image/png")
    too_large = await person.app.put(link, jpeg + bytes(25_000_000))
    changed = await person.app.put(f"{link}x", jpeg)

    assert (no_picture.status, no_picture.problem) == (415, "wrong-image-type")
    assert (other_type.status, other_type.problem) == (415, "wrong-image-type")
    assert (too_large.status, too_large.problem) == (413, "photo-too-large")
    assert too_large.document["limit"] == 25_000_000
    assert (changed.status, changed.problem) == (403, "link-refused")
    assert (await person.app.put(link, jpeg)).status == 200


async def test_withdrawal_closes_links_and_uploads_at_once(person, jpeg) -> None:
    await person.agree()
    photo = await person.take_picture(jpeg)
    pending = (await person.app.ask_to_upload()).document["upload_url"]

    await person.app.withdraw(person.consent_id)

    assert (await person.app.follow("GET", photo["original_url"])).status in {403, 410}
    assert (await person.app.follow("GET", photo["thumbnail_url"])).status in {403, 410}
    assert (await person.app.put(pending, jpeg)).status == 403
    assert (await person.app.ask_to_upload()).problem == "consent-required"

    await person.agree()
    assert (await person.app.follow("GET", photo["original_url"])).status in {403, 410}
    assert (await person.app.put(pending, jpeg)).status == 403
    assert (await person.take_picture(jpeg))["upload_status"] == "uploaded"


async def test_erased_person_is_refused_everywhere_and_found_nowhere(
    person, jpeg, stage, until_erased
) -> None:
    await person.agree()
    photo = await person.take_picture(jpeg)
    traces = Canaries.of(
        ids=[person.id, photo["id"], person.consent_id], words=[person.email], object_keys=[photo["s3_key"]]
    )
    assert any(place.found for place in await search(stage.values, traces))

    receipt = await person.ask_to_be_erased()
    assert receipt.keys() >= {"message", "deleted_at", "erasure_id", "status_url", "status_token"}
    assert ((await person.app.me()).status, (await person.app.refresh()).status) == (401, 401)
    assert (await person.app.login(person.email, person.password)).status == 401
    assert (await person.app.follow("GET", photo["original_url"])).status in {403, 410}

    status = await until_erased(person.app, receipt)
    assert status.keys() >= {"requested_at", "deadline", "completed_at", "participants"}
    parts = {part["service"]: part for part in status["participants"]}
    assert parts.keys() == set(SERVICES)
    assert all(part["status"] == "completed" and part["completed_at"] for part in parts.values())
    assert parts["storage"]["erased"]["objects"] == 2
    assert parts["storage"]["erased"]["data_keys"] == 1
    assert parts["identity"]["erased"].items() >= {"accounts": 1, "sessions": 1}.items()
    assert (await person.app.erasure(receipt["erasure_id"], "guessed")).status == 404
    by_query = await person.app.call(
        "GET", f"/privacy/erasures/{receipt['erasure_id']}?token={receipt['status_token']}", bearer=""
    )
    assert by_query.document == status
    assert [it["step"] for it in status["steps"]] == ["requested", "erasing", "verifying", "completed"]
    left = [place for place in await search(stage.values, traces) if place.found]
    assert not left


async def test_erased_persons_address_can_be_registered_again(person, until_erased) -> None:
    await until_erased(person.app, await person.ask_to_be_erased())

    again = await person.app.register(person.email, person.password)

    assert again.status == 201
    assert again.document["id"] != person.id


async def test_logs_tell_nothing_of_a_person(person, jpeg, stage, until_erased) -> None:
    await person.agree()
    photo = await person.take_picture(jpeg)
    await person.app.follow("GET", photo["original_url"])
    await person.app.login(person.email, "a wrong password")
    words = [person.email, person.password, person.id, photo["original_url"].rsplit("=", 1)[1]]
    words += [person.app.access_token, person.app.refresh_token]
    receipt = await person.ask_to_be_erased()
    await until_erased(person.app, receipt)
    words.append(receipt["status_token"])

    programs = ["gateway", *(f"{name}-{kind}" for name in SERVICES for kind in ("api", "worker"))]
    for program in [*programs, "postgres", "rabbitmq", "redis"]:
        told = stage.cluster.log(program)
        assert [word for word in words if word in told] == [], program
