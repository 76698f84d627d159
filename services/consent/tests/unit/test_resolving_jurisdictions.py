from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.policy import Place, Source, read_place, requirements, resolve
from consent.rulebook import load_rulebook

TODAY = date(2026, 11, 22)
RULEBOOK = load_rulebook()
STRICT_UNION = ("us_strict", "bipa", "cubi", "ccpa")


def codes(listed: str) -> list[str]:
    return listed.split()


EU27 = codes("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")
ANYWHERE = ("us_strict", "bipa", "gdpr", "uk_gdpr", "generic", "cubi", "ccpa")
TERRITORIES_OF_THE_US = codes("AS GU MP PR UM VI")
EEA_AND_OUTERMOST = codes("IS LI NO AX GF GP MF MQ RE YT")
ISO_3166_1 = codes(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE
    EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM
    HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC
    LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA
    NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """
)
US_STATES = codes(
    """
    AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM
    NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY
    """
)


def of_device(country: str | None, state: str | None = None) -> tuple[str, ...]:
    place = read_place(RULEBOOK, country, state)
    return resolve(RULEBOOK, device=place, network=None, day=TODAY).jurisdictions


def expected(country: str) -> tuple[str, ...]:
    if country in EU27 or country in EEA_AND_OUTERMOST:
        return ("gdpr",)
    if country in TERRITORIES_OF_THE_US:
        return STRICT_UNION
    return {"GB": ("uk_gdpr",), "US": STRICT_UNION}.get(country, ("generic",))


def test_the_tables_of_this_test_are_complete() -> None:
    assert len(set(ISO_3166_1)) == 249
    assert len(set(US_STATES)) == 51
    assert set(RULEBOOK.region_names["US"].values()) == set(US_STATES)


@pytest.mark.parametrize("country", ISO_3166_1)
def test_every_country_resolves(country: str) -> None:
    assert of_device(country) == expected(country)


@pytest.mark.parametrize("state", US_STATES)
def test_every_state_of_the_us_resolves(state: str) -> None:
    known = {"IL": ("bipa",), "TX": ("cubi",), "CA": ("ccpa",)}
    assert of_device("US", state) == known.get(state, STRICT_UNION)


@pytest.mark.parametrize(
    ("country", "state", "jurisdictions"),
    [
        ("de", None, ("gdpr",)),
        (" De ", "BY", ("gdpr",)),
        ("us", "il", ("bipa",)),
        ("US", "US-IL", ("bipa",)),
        ("US", "ZZ", STRICT_UNION),
        ("US", "", STRICT_UNION),
        ("US", "Illinois", STRICT_UNION),
        ("EL", None, ("gdpr",)),
        ("UK", None, ("uk_gdpr",)),
        ("CA", "QC", ("generic",)),
        ("CA", "IL", ("generic",)),
        ("DEU", None, ("gdpr",)),
        ("deu", "DEU-BY", ("gdpr",)),
        ("EU", None, ("gdpr",)),
        ("US-IL", None, ("bipa",)),
        ("us_il", None, ("bipa",)),
        ("USA", "IL", ("bipa",)),
        ("USA", "USA-IL", ("bipa",)),
        ("USA-TX", "", ("cubi",)),
        ("US-IL", "TX", ("cubi",)),
        ("USA", None, STRICT_UNION),
        ("GBR", None, ("uk_gdpr",)),
        ("GB-ENG", None, ("uk_gdpr",)),
        ("PR", None, STRICT_UNION),
        ("PRI", "CA", STRICT_UNION),
        ("US", "PR", STRICT_UNION),
        ("GRC", None, ("gdpr",)),
        ("XK", None, ("generic",)),
        ("ZZ", None, ANYWHERE),
        ("ZZZ", None, ANYWHERE),
        ("001", None, ANYWHERE),
        ("840", "IL", ANYWHERE),
        ("Germany", None, ANYWHERE),
        ("\x00\u202e🏴", "\x00", ANYWHERE),
    ],
)
def test_what_a_device_says_is_read_tolerantly(
    country: str, state: str | None, jurisdictions: tuple[str, ...]
) -> None:
    assert of_device(country, state) == jurisdictions


@given(country=st.none() | st.text(max_size=12), state=st.none() | st.text(max_size=12))
def test_resolving_is_total_and_its_requirements_can_be_met(country: str | None, state: str | None) -> None:
    resolution = resolve(RULEBOOK, device=read_place(RULEBOOK, country, state), network=None, day=TODAY)
    needed = requirements(RULEBOOK, resolution.jurisdictions, "biometric_capture", TODAY)
    assert needed.text.text
    assert needed.duties.explicit_consent
    assert 0 < needed.retention_days <= 1095


def test_without_any_hint_the_strict_default_holds() -> None:
    resolution = resolve(RULEBOOK, device=None, network=None, day=TODAY)
    assert (resolution.primary, resolution.source) == ("generic", Source.DEFAULT)


def test_the_network_decides_when_the_device_says_nothing() -> None:
    resolution = resolve(RULEBOOK, device=None, network=Place("US", "IL"), day=TODAY)
    assert (resolution.jurisdictions, resolution.source) == (("bipa",), Source.IP)


def test_a_network_elsewhere_never_takes_protection_away() -> None:
    at_home = resolve(RULEBOOK, device=Place("US", "IL"), network=None, day=TODAY)
    for network in [Place("ZZ", None), Place("US", "CA"), Place("DE", None), Place(None, None)]:
        travelling = resolve(RULEBOOK, device=Place("US", "IL"), network=network, day=TODAY)
        assert set(travelling.jurisdictions) >= set(at_home.jurisdictions)
        assert travelling.source is Source.DEVICE
        assert travelling.place == Place("US", "IL")


@pytest.mark.parametrize("network", [None, Place("US", "IL"), Place("DE", None)])
def test_a_device_that_names_nowhere_gets_the_union_of_the_strictest(network: Place | None) -> None:
    resolution = resolve(RULEBOOK, device=Place(None, None), network=network, day=TODAY)
    assert resolution.jurisdictions == ANYWHERE
    assert (resolution.place, resolution.source) == (Place(None, None), Source.DEFAULT)


def test_every_alpha_3_code_is_read_as_its_alpha_2_code() -> None:
    assert len(RULEBOOK.alpha_3) == 249 + len(["XKX"])
    for three, two in RULEBOOK.alpha_3.items():
        assert of_device(three) == of_device(two), three


def test_what_can_not_be_read_gets_every_law_there_is() -> None:
    assert set(RULEBOOK.territories(TODAY).unreadable) == set(RULEBOOK.regimes)


def test_several_regimes_add_their_duties_and_keep_the_shortest_time() -> None:
    resolution = resolve(RULEBOOK, device=Place("DE", None), network=Place("US", "IL"), day=TODAY)
    needed = requirements(RULEBOOK, resolution.jurisdictions, "biometric_capture", TODAY)
    assert resolution.jurisdictions == ("bipa", "gdpr")
    assert needed.jurisdiction == "bipa"
    assert needed.duties.written_consent
    assert needed.duties.data_minimization
    assert needed.retention_days == 365


def test_the_strict_american_profile_asks_for_all_that_its_states_ask_for() -> None:
    union = requirements(RULEBOOK, STRICT_UNION, "biometric_capture", TODAY)
    strict = RULEBOOK.regimes["us_strict"].ruleset(TODAY)
    assert union.duties == strict.duties
    assert union.retention_days == strict.retention_days
    assert set(strict.covers) == set(STRICT_UNION)
