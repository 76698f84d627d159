"""What each action costs in round trips to PostgreSQL; docs/architecture.md has the table."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from chassis.ids import new_id
from consent.jurisdictions import Hints, Place, Resolution, Source
from consent.preferences import Choice, Signal
from consent.receipts import Issuer
from consent.use_cases.answer_consent_question import answer_consent_question
from consent.use_cases.change_preferences import change_preferences
from consent.use_cases.check_biometric_consent import check_biometric_consent
from consent.use_cases.grant_consent import GrantLimits, grant_consent
from consent.use_cases.list_changes import list_changes
from consent.use_cases.record_activity import record_activity
from consent.use_cases.seal_log import seal_log
from consent.use_cases.show_preferences import show_preferences
from consent.use_cases.show_receipt import show_receipt
from consent.use_cases.what_was_shown import Agreement
from consent.use_cases.withdraw_consent import withdraw_consent
from consent.wiring import open_service
from contracts.fields import ConsentType

BIOMETRIC = ConsentType.BIOMETRIC_CAPTURE
HERE = Resolution(("gdpr",), Place("DE", None), Source.DEVICE, "0" * 64)
SEEN = Hints(device=Place("DE", None))
AGREEMENT = Agreement(BIOMETRIC, "gdpr", "2026-01", HERE)


class Paths:
    """The actions of consent, without HTTP."""

    def __init__(self, service) -> None:
        self._service = service
        self._person = new_id()
        self._granted = None

    async def grant(self, agreement=AGREEMENT):
        async with self._service.unit_of_work() as uow:
            self._granted = await grant_consent(
                uow,
                agreement,
                user_id=self._person,
                address_proved=True,
                limits=GrantLimits(1_000),
                rulebook=self._service.rulebook,
                clock=self._service.clock,
            )

    async def grant_anew(self):
        other = "uk_gdpr" if self._granted and self._granted.jurisdiction == "gdpr" else "gdpr"
        here = replace(HERE, jurisdictions=(other,))
        await self.grant(replace(AGREEMENT, jurisdiction=other, resolution=here))

    async def withdraw(self):
        async with self._service.unit_of_work() as uow:
            await withdraw_consent(uow, user_id=self._person, consent_id=self._granted.id)

    async def answer(self):
        now, rules = self._service.clock.now(), self._service.rulebook
        await answer_consent_question(
            self._service.database,
            user_id=self._person,
            consent_type=BIOMETRIC,
            seen=SEEN,
            rulebook=rules,
            now=now,
        )

    async def status(self):
        now, rules = self._service.clock.now(), self._service.rulebook
        await check_biometric_consent(
            self._service.database, user_id=self._person, seen=SEEN, rulebook=rules, now=now
        )

    async def receipt(self):
        await show_receipt(
            self._service.database,
            user_id=self._person,
            consent_id=self._granted.id,
            issuer=Issuer(self._service.records, self._service.rulebook, "https://irisvue.example"),
            keys=self._service.log_keys,
            now=self._service.clock.now(),
        )

    async def seal(self):
        await seal_log(self._service.database, keys=self._service.log_keys, clock=self._service.clock)

    async def preferences(self):
        await show_preferences(self._service.database, user_id=self._person)

    async def choose(self, *, opt_out=True, limit=False):
        now = self._service.clock.now()
        choice = Choice(opt_out=opt_out, limit=limit)
        await change_preferences(self._service.database, choice, user_id=self._person, now=now)

    async def choose_otherwise(self):
        await self.choose(limit=True)

    async def signal(self):
        now = self._service.clock.now()
        await change_preferences(self._service.database, Signal(), user_id=self._person, now=now)

    async def record_activity(self):
        async with self._service.unit_of_work() as uow:
            await record_activity(uow, user_id=self._person, day=self._service.clock.now().date())

    async def idle_feed(self):
        now, rules = self._service.clock.now(), self._service.rulebook
        await list_changes(self._service.database, after=10**6, limit=100, rulebook=rules, now=now)


@pytest.fixture
async def paths(service, settings, clock, round_trips):
    url = SecretStr(round_trips.way(settings.database_url.get_secret_value()))
    async with open_service(settings.model_copy(update={"database_url": url}), clock) as counted:
        yield Paths(counted)


@pytest.mark.parametrize(
    ("path", "before", "budget"),
    [
        ("answer", (), 1),
        ("status", (), 1),
        ("grant", ("withdraw",), 3),
        ("grant_anew", (), 3),
        ("withdraw", ("grant",), 3),
        ("receipt", ("seal",), 5),
        ("preferences", ("choose",), 1),
        ("choose_otherwise", ("choose",), 4),
        ("choose", ("choose",), 1),
        ("signal", ("choose", "signal"), 1),
        ("record_activity", (), 3),
        ("idle_feed", (), 4),
    ],
)
async def test_path_takes_no_more_round_trips_than_budgeted(paths, round_trips, path, before, budget):
    for warm in (False, False, True):
        # The first times prepare the statements, once for each connection.
        await paths.grant()
        for step in before:
            await getattr(paths, step)()
        with round_trips.within(budget if warm else 100):
            await getattr(paths, path)()
