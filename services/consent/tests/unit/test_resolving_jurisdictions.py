from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.jurisdictions import (
    Hints,
    Place,
    Source,
    blocked_under,
    duties_of,
    meets,
    not_necessary_under,
    read_place,
    requirements,
    resolve,
    strictest_first,
)
from consent.obligations import ObligationKind
from consent.rule_files import load_rulebook

TODAY = date(2026, 11, 22)
RULEBOOK = load_rulebook()
STRICT_UNION = ("us_strict", "bipa", "wa_mhmda", "co", "cubi", "ccpa")
QUEBEC = ("ca_qc", "ca")


def codes(listed: str) -> list[str]:
    return listed.split()


EU27 = codes("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK")
ANYWHERE = ("us_strict", "bipa", "wa_mhmda", "gdpr", "uk_gdpr", "generic", "co", "cubi", "ccpa")
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


OPT_IN = codes("CT DE IN KY MN MT NE NH NJ OR RI TN VA FL")
OF_STATES = {
    "IL": "bipa",
    "TX": "cubi",
    "CA": "ccpa",
    "WA": "wa_mhmda",
    "CO": "co",
    "NV": "nv",
    "MD": "md",
    "IA": "us_optout",
    "UT": "us_optout",
} | dict.fromkeys(OPT_IN, "us_optin")
PROVINCES = codes("AB BC MB NB NL NS NT NU ON PE QC SK YT")
ART_8 = {
    "AT": 14,
    "BE": 13,
    "BG": 14,
    "HR": 16,
    "CY": 14,
    "CZ": 15,
    "DK": 15,
    "EE": 13,
    "FI": 13,
    "FR": 15,
    "DE": 16,
    "GR": 15,
    "HU": 16,
    "IE": 16,
    "IT": 14,
    "LV": 13,
    "LT": 14,
    "LU": 16,
    "MT": 13,
    "NL": 16,
    "PL": 16,
    "PT": 13,
    "RO": 16,
    "SK": 16,
    "SI": 15,
    "ES": 14,
    "SE": 13,
    "IS": 13,
    "LI": 16,
    "NO": 13,
    "GB": 13,
}


def at(place: str) -> Place:
    return read_place(RULEBOOK, place, None)


def of_device(country: str | None, state: str | None = None, day: date = TODAY) -> tuple[str, ...]:
    return resolve(RULEBOOK, Hints(device=read_place(RULEBOOK, country, state)), day).jurisdictions


def expected(country: str) -> tuple[str, ...]:
    if country in EU27 or country in EEA_AND_OUTERMOST:
        return ("gdpr",)
    if country in TERRITORIES_OF_THE_US:
        return ("us_base",)
    known = {
        "GB": ("uk_gdpr",),
        "US": STRICT_UNION,
        "CA": QUEBEC,
        "BR": ("br",),
        "CH": ("ch",),
        "KR": ("kr",),
    }
    return known.get(country, ("generic",))


def test_the_tables_of_this_test_are_complete() -> None:
    assert len(set(ISO_3166_1)) == 249
    assert len(set(US_STATES)) == 51
    assert len(set(PROVINCES)) == 13
    assert set(RULEBOOK.region_names["US"].values()) == set(US_STATES)
    assert set(RULEBOOK.region_names["CA"].values()) == set(PROVINCES)


@pytest.mark.parametrize("country", [pytest.param(code, id=f"J-06-{code}") for code in ISO_3166_1])
def test_every_country_resolves(country: str) -> None:
    assert of_device(country) == expected(country)


@pytest.mark.parametrize(
    "state", [pytest.param(code, id=f"J-06-US-{code}") for code in US_STATES + TERRITORIES_OF_THE_US]
)
def test_every_state_of_the_us_resolves(state: str) -> None:
    assert of_device("US", state) == (OF_STATES.get(state, "us_base"),)


@pytest.mark.parametrize("province", [pytest.param(code, id=f"J-06-CA-{code}") for code in PROVINCES])
def test_every_province_of_canada_resolves(province: str) -> None:
    assert of_device("CA", province) == (QUEBEC if province == "QC" else ("ca",))


@pytest.mark.parametrize(
    ("place", "before", "day", "after"),
    [
        pytest.param("US-LA", "us_base", date(2027, 1, 1), "us_optin", id="J-06-US-LA"),
        pytest.param("US-OK", "us_base", date(2027, 1, 1), "us_optin", id="J-06-US-OK"),
        pytest.param("US-AL", "us_base", date(2027, 5, 1), "us_optin", id="J-06-US-AL"),
        pytest.param("IN", "generic", date(2027, 5, 13), "in", id="J-06-IN"),
    ],
)
def test_a_law_holds_from_its_day(place: str, before: str, day: date, after: str) -> None:
    assert of_device(place, day=day - timedelta(days=1)) == (before,)
    assert of_device(place, day=day) == (after,)
    # What one day changes stays changed by the next.
    assert of_device("US-LA", day=date(2028, 1, 1)) == ("us_optin",)
    assert of_device("DE", day=day) == ("gdpr",)


# What people and devices say, and what holds: the trickiest that there are.
TRICKY = [
    ("de", None, ("gdpr",)),
    (" De ", "BY", ("gdpr",)),
    ("us", "il", ("bipa",)),
    ("US", "US-IL", ("bipa",)),
    ("US", "ZZ", STRICT_UNION),
    ("US", "", STRICT_UNION),
    ("US", "Illinois", STRICT_UNION),
    ("EL", None, ("gdpr",)),
    ("UK", None, ("uk_gdpr",)),
    ("CA", "QC", QUEBEC),
    ("CA", "IL", QUEBEC),
    ("CA", None, QUEBEC),
    ("US-CA", None, ("ccpa",)),
    ("CA-ON", None, ("ca",)),
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
    ("PR", None, ("us_base",)),
    ("PRI", "CA", ("us_base",)),
    ("US", "PR", ("us_base",)),
    ("GRC", None, ("gdpr",)),
    ("RE", None, ("gdpr",)),
    ("AX", None, ("gdpr",)),
    ("GL", None, ("generic",)),
    ("FO", None, ("generic",)),
    ("JE", None, ("generic",)),
    ("GG", None, ("generic",)),
    ("IM", None, ("generic",)),
    ("GI", None, ("generic",)),
    ("XK", None, ("generic",)),
    ("IN", None, ("generic",)),
    ("US-IN", None, ("us_optin",)),
    ("US-DE", None, ("us_optin",)),
    ("ZZ", None, ANYWHERE),
    ("ZZZ", None, ANYWHERE),
    ("001", None, ANYWHERE),
    ("840", "IL", ANYWHERE),
    ("Germany", None, ANYWHERE),
    ("\x00\u202e🏴", "\x00", ANYWHERE),
]


@pytest.mark.parametrize(
    ("country", "state", "jurisdictions"),
    [pytest.param(*row, id=f"J-05-{number:02}") for number, row in enumerate(TRICKY, 1)],
)
def test_what_a_device_says_is_read_tolerantly(
    country: str, state: str | None, jurisdictions: tuple[str, ...]
) -> None:
    assert of_device(country, state) == jurisdictions


HINT = st.none() | st.builds(
    lambda country, state: read_place(RULEBOOK, country, state),
    st.sampled_from([*ISO_3166_1, "US", "CA"]) | st.text(max_size=12),
    st.none() | st.sampled_from(US_STATES + PROVINCES) | st.text(max_size=12),
)


@given(
    device=HINT,
    network=HINT,
    residence=HINT,
    day=st.dates(min_value=date(2020, 1, 1), max_value=date(2035, 1, 1)),
)
def test_J06_resolving_is_total_and_its_requirements_can_be_met(  # noqa: N802
    device: Place | None, network: Place | None, residence: Place | None, day: date
) -> None:
    resolution = resolve(RULEBOOK, Hints(device, network, residence), day)
    needed = requirements(RULEBOOK, resolution.jurisdictions, "biometric_capture", day)
    assert needed.text.text
    assert 0 < needed.retention_days <= 1095
    assert resolution.jurisdictions == strictest_first(RULEBOOK, resolution.jurisdictions, day)
    assert set(resolution.located) <= set(resolution.jurisdictions)
    assert meets(RULEBOOK, resolution.primary, resolution, day)


@given(device=HINT, network=HINT, residence=HINT)
def test_J02_a_network_address_only_ever_adds(  # noqa: N802
    device: Place | None, network: Place | None, residence: Place | None
) -> None:
    with_it = resolve(RULEBOOK, Hints(device, network, residence), TODAY)
    without = resolve(RULEBOOK, Hints(device, None, residence), TODAY)
    said_something = device is not None or residence is not None
    if said_something:
        assert set(with_it.jurisdictions) >= set(without.jurisdictions)
        assert with_it.source == without.source


def test_without_any_hint_the_strict_default_holds() -> None:
    resolution = resolve(RULEBOOK, Hints(), TODAY)
    assert (resolution.primary, resolution.source, resolution.located) == ("generic", Source.DEFAULT, ())


def test_the_network_decides_when_the_device_says_nothing() -> None:
    resolution = resolve(RULEBOOK, Hints(network=Place("US", "IL")), TODAY)
    assert (resolution.jurisdictions, resolution.source) == (("bipa",), Source.IP)


@pytest.mark.parametrize(
    "network", [Place("ZZ", None), Place("US", "CA"), Place("DE", None), Place(None, None)]
)
def test_J02_a_network_elsewhere_never_takes_protection_away(network: Place) -> None:  # noqa: N802
    travelling = resolve(RULEBOOK, Hints(Place("US", "IL"), network), TODAY)
    assert "bipa" in travelling.jurisdictions
    assert not meets(RULEBOOK, "generic", travelling, TODAY)
    assert (travelling.source, travelling.place) == (Source.DEVICE, Place("US", "IL"))


@pytest.mark.parametrize("network", [None, Place("US", "IL"), Place("DE", None)])
def test_J02_a_device_that_names_nowhere_gets_the_union_of_the_strictest(network: Place | None) -> None:  # noqa: N802
    resolution = resolve(RULEBOOK, Hints(Place(None, None), network), TODAY)
    assert resolution.jurisdictions == ANYWHERE
    assert (resolution.place, resolution.source) == (Place(None, None), Source.DEFAULT)


def test_J01_a_resident_of_illinois_in_washington_has_both_laws() -> None:  # noqa: N802
    hints = Hints(device=at("US-WA"), residence=at("US-IL"))
    resolution = resolve(RULEBOOK, hints, TODAY)
    assert resolution.jurisdictions == ("bipa", "wa_mhmda")
    needed = requirements(RULEBOOK, resolution.jurisdictions, "biometric_capture", TODAY)
    assert needed.duties.has(ObligationKind.WRITTEN_RELEASE, "biometric_capture")
    assert needed.duties.acts == ["collect", "share"]
    assert needed.retention_days == 365


def test_every_alpha_3_code_is_read_as_its_alpha_2_code() -> None:
    assert len(RULEBOOK.alpha_3) == 249 + len(["XKX"])
    for three, two in RULEBOOK.alpha_3.items():
        assert of_device(three) == of_device(two), three


def test_J02_what_can_not_be_read_is_asked_for_all_that_any_law_asks_of_the_asking() -> None:  # noqa: N802
    anywhere = duties_of(RULEBOOK, RULEBOOK.territories(TODAY).unreadable, TODAY)
    every = duties_of(RULEBOOK, RULEBOOK.regimes, TODAY)
    # Blocks need a place to hold at: they are no default.
    blocks = {ObligationKind.STRICT_NECESSITY, ObligationKind.BLOCK_UNTIL_FILED}
    assert {atom for atom in every.atoms - anywhere.atoms if atom[0] not in blocks} == set()


def test_several_regimes_add_their_duties_and_keep_the_shortest_time() -> None:
    resolution = resolve(RULEBOOK, Hints(at("DE"), at("US-IL")), TODAY)
    needed = requirements(RULEBOOK, resolution.jurisdictions, "biometric_capture", TODAY)
    assert resolution.jurisdictions == ("bipa", "gdpr")
    assert needed.jurisdiction == "bipa"
    assert needed.duties.has(ObligationKind.WRITTEN_RELEASE)
    assert needed.duties.has(ObligationKind.DATA_MINIMIZATION)
    assert needed.retention_days == 365


def test_the_strict_american_profile_asks_for_all_that_its_states_ask_for() -> None:
    strict = RULEBOOK.regimes["us_strict"].ruleset(TODAY)
    assert strict.duties(TODAY).atoms == duties_of(RULEBOOK, STRICT_UNION[1:], TODAY).atoms
    assert strict.retention_days == min(
        RULEBOOK.regimes[code].ruleset(TODAY).retention_days for code in STRICT_UNION
    )
    assert set(strict.covers) == set(STRICT_UNION)


def test_where_a_state_has_no_law_the_release_of_illinois_and_the_policy_of_colorado_hold() -> None:
    base = RULEBOOK.regimes["us_base"].ruleset(TODAY)
    assert base.duties(TODAY).include(duties_of(RULEBOOK, ["bipa", "co"], TODAY))


@given(first=st.sampled_from(sorted(RULEBOOK.regimes)), second=st.sampled_from(sorted(RULEBOOK.regimes)))
def test_who_asks_for_all_that_another_does_never_ranks_lower(first: str, second: str) -> None:
    day = date(2028, 1, 1)
    one, other = (RULEBOOK.regimes[code].ruleset(day).duties(day) for code in (first, second))
    if one.include(other):
        assert one.rank >= other.rank


@pytest.mark.parametrize(
    ("jurisdiction", "place", "enough"),
    [
        ("us_strict", "DE", False),
        ("bipa", "DE", False),
        ("uk_gdpr", "DE", False),
        ("gdpr", "GB", True),
        ("us_strict", "US-WA", True),
        ("us_strict", "US-MD", False),
        ("us_base", "US-VA", True),
        ("us_optin", "US-CO", False),
        ("generic", "CH", True),
        ("generic", "BR", False),
    ],
)
def test_another_law_is_enough_when_it_asks_for_all_that_the_one_here_does(
    jurisdiction: str, place: str, enough: bool
) -> None:
    assert meets(RULEBOOK, jurisdiction, resolve(RULEBOOK, Hints(at(place)), TODAY), TODAY) is enough


@pytest.mark.parametrize("place", [pytest.param(code, id=f"G-8-{code}") for code in ART_8])
def test_a_parent_decides_below_the_age_of_the_country(place: str) -> None:
    duties = duties_of(RULEBOOK, of_device(place), TODAY)
    assert duties.age_below_which_a_parent_decides(place) == ART_8[place]


def test_J04_maryland_refuses_what_is_not_necessary_and_nothing_else() -> None:  # noqa: N802
    refused = {
        kind: not_necessary_under(RULEBOOK, of_device("US-MD"), kind, TODAY)
        for kind in ("biometric_capture", "data_processing", "marketing")
    }
    assert refused == {"biometric_capture": None, "data_processing": "md", "marketing": None}


@pytest.mark.parametrize(
    ("filed", "blocked"),
    [({}, True), ({"ca_qc": TODAY}, True), ({"ca_qc": TODAY - timedelta(days=60)}, False)],
)
def test_J04_quebec_waits_for_sixty_days_after_its_regulator_was_told(filed, blocked) -> None:  # noqa: N802
    found = blocked_under(RULEBOOK, of_device("CA-QC"), "biometric_capture", TODAY, filed)
    assert found == ("ca_qc" if blocked else None)
    assert blocked_under(RULEBOOK, of_device("CA-QC"), "marketing", TODAY, filed) is None
    assert blocked_under(RULEBOOK, of_device("CA-ON"), "biometric_capture", TODAY, filed) is None
