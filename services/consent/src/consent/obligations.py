"""What a law can oblige us to, as a closed vocabulary, and what follows from several obligations together.

An obligation is a set of atoms, the union of several is the union of their atoms, and who keeps to a
superset keeps to all of it. That orders laws only in part: `Duties.rank` makes the order total, by the first
kind of obligation, in the order of `ObligationKind`, of which one law asks more than the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.fields import ConsentType

Atom = tuple[str, str | int]


class ObligationKind(StrEnum):
    """What a law can ask for: how a person has to be asked, what is owed to them, what we may not do."""

    WRITTEN_RELEASE = "written_release"
    SEPARATE_CONSENT = "separate_consent"
    PRIOR_CONSENT = "prior_consent"
    EXPLICIT_CONSENT = "explicit_consent"
    STANDALONE_REQUEST = "standalone_request"
    LEGAL_BASIS_NOTICE = "legal_basis_notice"
    PURPOSE_DISCLOSURE = "purpose_disclosure"
    NOTICE_AT_COLLECTION = "notice_at_collection"
    RETENTION_DISCLOSURE = "retention_disclosure"
    PUBLIC_RETENTION_POLICY = "public_retention_policy"
    WITHDRAWAL = "withdrawal"
    DATA_MINIMIZATION = "data_minimization"
    OPT_OUT = "opt_out"
    GLOBAL_PRIVACY_CONTROL = "global_privacy_control"
    DELETION = "deletion"
    NO_SALE_OR_PROFIT = "no_sale_or_profit"
    STRICT_NECESSITY = "strict_necessity"
    BLOCK_UNTIL_FILED = "block_until_filed"
    PARENTAL_AUTHORISATION = "parental_authorisation"


_NEEDS_TYPES = {
    ObligationKind.WRITTEN_RELEASE,
    ObligationKind.STRICT_NECESSITY,
    ObligationKind.BLOCK_UNTIL_FILED,
}


class Obligation(BaseModel):
    """One thing that a law asks for, with the clause that says so and the days on which it does.

    `consent_types` are the purposes that it is about (of `strict_necessity`: those that are not necessary,
    so that no consent to them counts), `acts` what has to be agreed to apart, `age` the years below which a
    parent decides, `ages` those of countries that have set their own, `days_before_service` how long before
    the first picture a regulator has to have been told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ObligationKind
    clause: str = Field(min_length=1)
    since: date
    until: date | None = Field(default=None, description="The first day on which it no longer holds.")
    consent_types: tuple[ConsentType, ...] = ()
    acts: tuple[Literal["collect", "share"], ...] = ()
    age: int | None = Field(default=None, ge=1, le=21)
    ages: dict[str, int] = {}
    days_before_service: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> Self:
        kind = self.kind
        needed = {
            "consent_types": kind in _NEEDS_TYPES,
            "acts": kind is ObligationKind.SEPARATE_CONSENT,
            "age": kind is ObligationKind.PARENTAL_AUTHORISATION,
            "days_before_service": kind is ObligationKind.BLOCK_UNTIL_FILED,
        }
        for name, is_needed in needed.items():
            if is_needed != (getattr(self, name) not in {None, ()}):
                raise ValueError(f"{kind} {'needs' if is_needed else 'has no'} {name}")
        if any(age > (self.age or 0) for age in self.ages.values()):
            raise ValueError("age is the highest of ages")
        return self

    def in_force(self, day: date) -> bool:
        """Tell whether it holds on `day`."""
        return self.since <= day and (self.until is None or day < self.until)

    @property
    def atoms(self) -> frozenset[Atom]:
        """What it consists of; an obligation that asks for more has all atoms of one that asks for less."""
        parts: list[str | int] = [*self.consent_types, *self.acts, *range(self.age or 0)]
        return frozenset({(self.kind.value, ""), *((self.kind.value, part) for part in parts)})


@dataclass(frozen=True)
class Duties:
    """All obligations that hold at once, of one law or of several."""

    obligations: tuple[Obligation, ...]

    @classmethod
    def of(cls, several: Iterable["Duties"]) -> "Duties":
        """Return the union."""
        several = list(several)
        if len(several) == 1:
            return several[0]
        return cls(tuple(obligation for duties in several for obligation in duties.obligations))

    @cached_property
    def atoms(self) -> frozenset[Atom]:
        """The atoms of all of them."""
        return frozenset[Atom]().union(*(obligation.atoms for obligation in self.obligations))

    def has(self, kind: ObligationKind, consent_type: str | None = None) -> bool:
        """Tell whether something is asked for, for that purpose if one is named."""
        return (kind.value, consent_type or "") in self.atoms

    def include(self, other: "Duties") -> bool:
        """Tell whether who keeps to these keeps to `other` too."""
        return self.atoms >= other.atoms

    @property
    def acts(self) -> list[str]:
        """What has to be agreed to apart from everything else."""
        return sorted({act for obligation in self.obligations for act in obligation.acts})

    @cached_property
    def rank(self) -> tuple[int, ...]:
        """How much is asked for, kind by kind in the order of the vocabulary; higher is stricter.

        A superset never ranks lower: none of its kinds has fewer atoms.
        """
        return tuple(sum(atom[0] == kind for atom in self.atoms) for kind in ObligationKind)

    def age_below_which_a_parent_decides(self, country: str | None) -> int | None:
        """Return the years, those that the country has set if it has; None where no law names any."""
        ages = [
            obligation.ages.get(country or "", obligation.age)
            for obligation in self.obligations
            if obligation.age is not None
        ]
        return max(ages, default=None)
