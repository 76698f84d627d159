import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from consent.main import CONSENT
from consent.preferences import Choice, Signal
from consent.use_cases.change_preferences import change_preferences
from support.erasures import work_on_erasures

OPT_OUT, LIMIT = "opt_out_of_sale_and_sharing", "limit_sensitive_data_use"
GPC = {"Sec-GPC": "1"}
NOTHING = {
    OPT_OUT: False,
    LIMIT: False,
    "opt_out_honored": False,
    "source": None,
    "opted_out_at": None,
    "gpc_honored_at": None,
    "limited_at": None,
    "reprompt_not_before": None,
}


def sending(ann, **headers):
    return replace(ann, headers={**ann.headers, **headers})


async def shown(ann):
    answer = await ann.call("GET", "/preferences")
    assert answer.status_code == 200
    return answer.json()


async def choose(ann, *, opt_out: object = False, limit: object = False):
    return await ann.call("PUT", "/preferences", json={OPT_OUT: opt_out, LIMIT: limit})


async def told(admin):
    bodies = await admin.fetch(
        "SELECT body FROM consent.outbox WHERE type = 'consent.preferences.changed.v1' ORDER BY position"
    )
    events = [json.loads(row["body"])["data"] for row in bodies]
    return [(event["user_id"], event["epoch"], event["flags"]) for event in events]


async def test_who_never_chose_has_neither_choice_nor_row(person, admin) -> None:
    ann = person()

    assert await shown(ann) == NOTHING
    assert (await choose(ann)).json() == NOTHING
    assert await admin.fetchval("SELECT count(*) FROM consent.preferences") == 0
    assert await told(admin) == []


async def test_ca_5_an_opt_out_holds_at_once_is_shown_as_honoured_and_announced(person, admin, clock) -> None:
    ann = person()
    answer = await choose(ann, opt_out=True)

    now = clock.now()
    assert answer.status_code == 200
    assert answer.json() == await shown(ann)
    assert (answer.json()[OPT_OUT], answer.json()["opt_out_honored"], answer.json()["source"]) == (
        True,
        True,
        "person",
    )
    assert answer.json()["reprompt_not_before"][:10] == now.replace(year=now.year + 1).isoformat()[:10]
    assert await told(admin) == [(str(ann.id), 1, [OPT_OUT])]


async def test_ca_6_limiting_the_use_of_sensitive_data_is_kept_and_announced(person, admin, clock) -> None:
    ann = person()
    await choose(ann, limit=True)
    clock.advance(timedelta(days=1))
    await choose(ann, opt_out=True, limit=True)

    assert ((await shown(ann))[LIMIT], (await shown(ann))[OPT_OUT]) == (True, True)
    assert await told(admin) == [(str(ann.id), 1, [LIMIT]), (str(ann.id), 2, [LIMIT, OPT_OUT])]


async def test_the_same_choice_again_changes_and_announces_nothing(person, admin, clock) -> None:
    ann = person()
    first = await choose(ann, opt_out=True)
    clock.advance(timedelta(days=30))
    second = await choose(ann, opt_out=True)

    assert first.json() == second.json()
    assert len(await told(admin)) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/preferences", None),
        ("PUT", "/preferences", {OPT_OUT: True, LIMIT: False}),
        ("GET", "/consent", None),
        (
            "POST",
            "/consent",
            {"consent_type": "marketing", "jurisdiction": "gdpr", "consent_text_version": "2026-01"},
        ),
        ("GET", "/consent/biometric-status", None),
        ("POST", "/consent/019ab0c4-1000-7001-8001-0000316edc57/withdraw", None),
    ],
)
async def test_ca_5_the_signal_on_any_call_of_a_person_opts_the_account_out(
    person, admin, method, path, body
) -> None:
    ann = person()
    await sending(ann, **GPC).call(method, path, json=body)

    held = await shown(ann)
    assert (held[OPT_OUT], held["opt_out_honored"], held["source"]) == (True, True, "gpc")
    assert held["gpc_honored_at"] == held["opted_out_at"] is not None
    assert await told(admin) == [(str(ann.id), 1, [OPT_OUT])]


async def test_ca_5_the_absence_of_the_signal_takes_nothing_back_and_only_a_choice_does(
    person, admin, clock
) -> None:
    ann = person()
    await sending(ann, **GPC).call("GET", "/preferences")
    held = await shown(ann)
    clock.advance(timedelta(days=3))
    await sending(ann, **GPC).call("GET", "/preferences")
    await ann.consents()

    assert await shown(ann) == held
    opted_in = await choose(ann)
    assert opted_in.json() == {**NOTHING, "source": "person"}
    assert [event[1:] for event in await told(admin)] == [(1, [OPT_OUT]), (2, [])]


async def test_ca_5_opting_in_while_the_signal_is_sent_is_refused_and_opts_out(person, admin) -> None:
    ann = person()
    await choose(ann, limit=True)
    refused = await sending(ann, **GPC).call("PUT", "/preferences", json={OPT_OUT: False, LIMIT: False})

    assert refused.status_code == 409
    assert refused.json()["type"].endswith("opt-out-signal-present")
    held = await shown(ann)
    assert (held[OPT_OUT], held[LIMIT], held["source"]) == (True, True, "gpc")


async def test_ca_5_a_refusal_with_an_idempotency_key_opts_out_as_well(person) -> None:
    ann = person()
    sender = sending(ann, **GPC, **{"Idempotency-Key": "once"})
    refused = await sender.call("PUT", "/preferences", json={OPT_OUT: False, LIMIT: True})

    assert refused.status_code == 409
    held = await shown(ann)
    assert (held[OPT_OUT], held[LIMIT]) == (True, False)


@pytest.mark.parametrize("value", ["0", "true", "", "1, 0", "2", "yes"])
async def test_any_other_value_of_the_header_says_nothing(person, value) -> None:
    ann = person()
    await sending(ann, **{"Sec-GPC": value}).call("GET", "/preferences")

    assert await shown(ann) == NOTHING


@pytest.mark.parametrize("value", ["true", 1, 0, "false", None, [], {}])
@pytest.mark.parametrize("field", [OPT_OUT, LIMIT])
async def test_only_a_boolean_of_json_is_a_choice(person, admin, field, value) -> None:
    ann = person()
    answer = await ann.call("PUT", "/preferences", json={OPT_OUT: True, LIMIT: True, field: value})

    assert answer.status_code == 422
    assert await admin.fetchval("SELECT count(*) FROM consent.preferences") == 0


@pytest.mark.parametrize("field", [OPT_OUT, LIMIT])
async def test_a_choice_says_everything(person, field) -> None:
    assert (await person().call("PUT", "/preferences", json={field: True})).status_code == 422


async def test_one_person_sees_and_changes_nothing_of_another(person) -> None:
    ann, ben = person(), person()
    await choose(ann, opt_out=True, limit=True)

    assert await shown(ben) == NOTHING


async def test_nobody_is_somebody(client) -> None:
    assert (await client.get("/api/v1/privacy/preferences", headers=GPC)).status_code == 401
    assert (await client.put("/api/v1/privacy/preferences", json={})).status_code == 401


async def test_choices_at_once_leave_one_order_of_epochs(service, person, admin) -> None:
    ann, now = person(), service.clock.now()
    wishes = [Signal(), Choice(opt_out=True, limit=True), Choice(opt_out=False, limit=False)] * 8
    await asyncio.gather(
        *(change_preferences(service.database, wish, user_id=ann.id, now=now) for wish in wishes)
    )

    epochs = [epoch for _, epoch, _ in await told(admin)]
    assert len(epochs) == len(set(epochs))
    row = await admin.fetchrow("SELECT * FROM consent.preferences")
    newest = max(await told(admin), key=lambda event: event[1])
    flags = {LIMIT: row["limited_at"], OPT_OUT: row["opted_out_at"]}
    assert newest[2] == [name for name, since in flags.items() if since is not None]
    assert row["epoch"] >= newest[1]


async def test_an_erased_person_has_no_preferences_and_gets_none_again(
    person, service, admin, open_erasure
) -> None:
    ann, ben = person(), person()
    await choose(ann, opt_out=True)
    await choose(ben, opt_out=True)
    await open_erasure(ann.id)
    await work_on_erasures(CONSENT.participation(service), service.database)

    assert [row["user_id"] for row in await admin.fetch("SELECT user_id FROM consent.preferences")] == [
        ben.id
    ]
    assert (await choose(ann, limit=True)).status_code == 401
    assert (await sending(ann, **GPC).call("GET", "/preferences")).status_code == 401
    assert await admin.fetchval("SELECT count(*) FROM consent.preferences") == 1
